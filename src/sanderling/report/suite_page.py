"""A suite as a page like a paper's table."""

from __future__ import annotations

from sanderling.measure.suite import Suite
from sanderling.measure.variants import together
from sanderling.report.bench_page import machine_words
from sanderling.report.html import environment, policy, source
from sanderling.report.suite_view import paper_table


def render_suite(suite: Suite, title: str = "Models × engines") -> str:
    """Makes the page: a whole HTML document, escaped, that loads nothing."""
    style = source("style.css") + source("bench.css")
    return environment().get_template("suite.html.j2").render(
        title=title,
        suite=suite,
        left_out=together(suite.left_out),
        table=paper_table(suite),
        machine=machine_words(suite.machine),
        versions=suite.machine.get("versions", {}),
        style=style,
        policy=policy(style, ""),
    )  # fmt: skip
