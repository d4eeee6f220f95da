"""Self-contained pages: templates that escape, and a policy that allows nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.report.format import (
    format_bytes,
    format_count,
    format_ms,
    format_seconds,
    format_share,
    plain,
    shorten,
)

if TYPE_CHECKING:
    from jinja2 import Environment

# A space between a number and its unit: a line must not break there.
_UNIT = re.compile(r"(\d) (?=(?:%|[mµ]?s|[kMGT]?B|[kMGT]|min|h)\b|%)")
_FOLDER = Path(__file__).parent / "templates"


@cache
def environment() -> Environment:
    """Returns: the templates of ``templates/``, with filters for figures."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(
        ms=format_ms,
        size=format_bytes,
        count=format_count,
        share=format_share,
        seconds=format_seconds,
        short=shorten,
        verbatim=_verbatim,
    )
    return environment


def _finalize(value: Any) -> Any:
    # Exactly str: what is already marked as safe comes from our own templates.
    return _UNIT.sub("\\1\u00a0", plain(value)) if type(value) is str else value


def _verbatim(value: str) -> Any:
    """Escapes code and names, whose spaces must stay plain spaces when they are copied."""
    from markupsafe import escape

    return escape(plain(value))


@cache
def source(name: str) -> str:
    """Returns: the text of a style or script of ``templates/``."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def policy(style: str, script: str) -> str:
    """A content security policy that allows our own style and script, by their hashes, and nothing else."""
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"
