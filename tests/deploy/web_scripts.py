"""The page's own functions in headless Chromium, called with arrays and answering with arrays."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from sanderling.deploy.web.browser import lacking, launched
from sanderling.deploy.web.page import MODULES, _file, script
from tests.webgpu.conftest import missing

_SPREAD = """
const arrayOf = ({ base64, kind }) => {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return kind === "Uint8Array" ? bytes : new globalThis[kind](bytes.buffer);
};
const told = (array) => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return { kind: array.constructor.name, base64: btoa(text) };
};
"""
_KINDS = {
    "uint8": "Uint8Array",
    "float32": "Float32Array",
    "uint16": "Uint16Array",
    "float64": "Float64Array",
}


class Scripts:
    """What the page's modules offer, in a page of their own."""

    def __init__(self, page: Any) -> None:
        self._page = page

    def run(self, body: str, **given: Any) -> Any:
        """Runs an async function's body, which has the modules as ``lib``, and what is given.

        Returns: JSON values, or an array where the body returns ``told(array)``.
        """
        plain = {k: _plain(v) for k, v in given.items()}
        names = ", ".join(given)
        found = self._page.evaluate(
            f"async (given) => {{ {_SPREAD} const {{ lib }} = globalThis, {{ {names} }} = given; {body} }}",
            plain,
        )
        return _array(found)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        raw = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"kind": _KINDS[value.dtype.name], "base64": raw}
    return value


def _array(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"kind", "base64"}:
        kinds = {kind: name for name, kind in _KINDS.items()}
        return np.frombuffer(base64.b64decode(value["base64"]), kinds[value["kind"]])
    return value


@contextmanager
def scripts() -> Iterator[Scripts]:
    """The modules in headless Chromium, for as long as the block."""
    reason = lacking()
    if reason:
        missing(reason)
    modules = [name for name in MODULES if name != "app"]
    code = script(modules)
    names = (
        "resized, reduced, transformed, inColours, seenBy, Place, cropPlaces, narrowed, widened, weightsOf, "
        "Held, keptPixels, noiseBytes, answered, boxesOf"
    )
    boot = _file("boot.js").split("async function unpack")[0]
    with launched() as chromium:
        page = chromium.new_page()
        page.add_script_tag(content=boot)
        page.add_script_tag(type="module", content=f"{code}\nglobalThis.lib = {{ {names} }};")
        page.wait_for_function("() => globalThis.lib")
        yield Scripts(page)


@pytest.fixture(scope="module")
def js() -> Iterator[Scripts]:
    with scripts() as found:
        yield found
