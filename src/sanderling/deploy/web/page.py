"""The page: our scripts, the style and the data in one file that asks nobody for anything.

A small script unpacks the larger one, which the page's policy names by its hash: no other text can run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from importlib.resources import files as resources

from sanderling.deploy.web.blob import packed

_PACKAGE = "sanderling.deploy.web"
MODULES = ("data", "constants", "pixels", "places", "readers", "draw", "answers", "model", "bench", "app")
_IMPORT = re.compile(r'^import [^;]*? from "\./[a-z]+\.js";\n', re.MULTILINE)


def script(modules: Sequence[str] = MODULES) -> str:
    """Returns: the runner and the page's own modules as one module: each uses only what stands before it."""
    runner = resources("sanderling.engines.webgpu").joinpath("runner.js").read_text("utf-8")
    own = [_file(f"{name}.js") for name in modules]
    return "\n".join([runner, *(_IMPORT.sub("", text) for text in own)])


def page(title: str, data: str) -> str:
    """Returns: the page.

    Args:
        title: as it is, it is escaped.
        data: of ``Blob.packed``.
    """
    boot, code, style = _file("boot.js"), script(), _file("style.css")
    policy = (
        f"default-src 'none'; script-src '{_hash(boot)}' '{_hash(code)}'; style-src '{_hash(style)}'; "
        "img-src blob: data:; media-src blob: mediastream:; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "TITLE": html.escape(title), "POLICY": html.escape(policy), "STYLE": style, "BOOT": boot,
        "CODE": packed(code.encode()), "DATA": data,
    }  # fmt: skip
    return re.sub(r"@([A-Z]+)@", lambda found: parts[found[1]], _file("page.html"))


def _file(name: str) -> str:
    return resources(_PACKAGE).joinpath("files", name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
