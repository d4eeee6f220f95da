"""``report.html``: one self-contained page that asks nothing of the network."""

from __future__ import annotations

from sanderling.report import verdict, view
from sanderling.report.cascade_view import cascade_view
from sanderling.report.commands import commands
from sanderling.report.data import ReportData
from sanderling.report.html import environment, policy, source
from sanderling.report.lost_view import lost_view
from sanderling.report.plot import scatter

# Each plot is drawn twice; the style shows the one that fits the screen.
_WIDE, _NARROW = (600, 420), (350, 360)


def render(data: ReportData) -> str:
    """Makes the page.

    Args:
        data: the result of a search.

    Returns: a whole HTML document. Every text of ``data`` is escaped; styles, script and pictures are
        inside, and a content security policy forbids everything else.
    """
    style, script = source("style.css"), source("script.js")
    plots = [
        [scatter(data, measure, width=width, height=height) for width, height in (_WIDE, _NARROW)]
        for measure in view.measures(data)
    ]
    bars = view.bars(data.sensitivity)
    pairs = view.pairs(data.examples)
    return environment().get_template("page.html.j2").render(
        data=data,
        style=style,
        script=script,
        policy=policy(style, script),
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
        lost=lost_view(data),
        cascade=cascade_view(data),
        floats=[bar.operator for bar in bars if bar.keep_float],
        pairs=pairs,
        commands=commands(data),
        view=view,
    )  # fmt: skip
