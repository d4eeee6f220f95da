"""``report.html``: one self-contained page that asks nothing of the network."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.report import verdict, view
from sanderling.report.data import ReportData
from sanderling.report.format import (
    format_bytes,
    format_count,
    format_ms,
    format_seconds,
    format_share,
    plain,
    shorten,
)
from sanderling.report.plot import scatter

if TYPE_CHECKING:
    from jinja2 import Environment

# A space between a number and its unit: a line must not break there.
_UNIT = re.compile(r"(\d) (?=(?:%|[mµ]?s|[kMGT]?B|[kMGT]|min|h)\b|%)")
_FOLDER = Path(__file__).parent / "templates"
# Each plot is drawn twice; the style shows the one that fits the screen.
_WIDE, _NARROW = (600, 420), (350, 360)


def render(data: ReportData) -> str:
    """Makes the page.

    Args:
        data: the result of a search.

    Returns: a whole HTML document. Every text of ``data`` is escaped; styles, script and pictures are
        inside, and a content security policy forbids everything else.
    """
    style, script = _source("style.css"), _source("script.js")
    plots = [
        [scatter(data, measure, width=width, height=height) for width, height in (_WIDE, _NARROW)]
        for measure in ("latency", "size")
    ]
    bars = view.bars(data.sensitivity)
    pairs = view.pairs(data.examples)
    return _environment().get_template("page.html.j2").render(
        data=data,
        style=style,
        script=script,
        policy=_policy(style, script),
        title=f"{data.model.name} · Sanderling report",
        verdict=data.verdict.rstrip(". ") or verdict.compose(data),
        tone="win" if data.winner and not verdict.float_wins(data) else "float" if data.winner else "none",
        advice=verdict.advice(data),
        limits=verdict.limits(data.budget),
        subject=view.subject(data),
        figures=view.figures(data),
        plots=[[plot for plot in pair if plot] for pair in plots if pair[0]],
        rows=view.rows(data),
        bars=bars,
        floats=[bar.operator for bar in bars if bar.keep_float],
        pairs=pairs,
        commands=view.commands(data),
        view=view,
    )  # fmt: skip


@cache
def _environment() -> Environment:
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
        recipe_step=view.step_text,
        recipe_json=view.recipe_json,
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
def _source(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """A content security policy that allows our own style and script, by their hashes, and nothing else."""
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src '{_hash(style)}'; script-src '{_hash(script)}'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"
