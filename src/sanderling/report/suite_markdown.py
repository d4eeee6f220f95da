"""A suite as Markdown, for documentation."""

from __future__ import annotations

from sanderling.measure.suite import Suite
from sanderling.measure.variants import together
from sanderling.report.bench_page import machine_words
from sanderling.report.format import plain
from sanderling.report.suite_view import Entry, paper_table, superscript


def markdown(suite: Suite, title: str = "Models × engines") -> str:
    """Writes the table: median per call, and how many times the first column's speed."""
    table = paper_table(suite)
    versions = ", ".join(f"{name} {version}" for name, version in suite.machine.get("versions", {}).items())
    head = ["model", *table.columns]
    lines = [
        f"# {title}",
        "",
        f"Measured on {_text(machine_words(suite.machine))}, with {_text(versions)}.",
        "Median of a call, and in brackets how many times the first column's speed, timed by turns with it.",
        "Bold is the fastest whose answers are right; struck through are wrong answers.",
        "",
        f"| {' | '.join(map(_text, head))} |",
        f"|---|{'---:|' * len(table.columns)}",
        *(f"| {_text(name)} | {' | '.join(map(_cell, entries))} |" for name, entries in table.rows),
        f"| *geometric mean* | {' | '.join(_mean(*mean) for mean in table.means)} |",
        "",
        *(f"{superscript(i)} {_text(foot)}  " for i, foot in enumerate(table.feet, 1)),
        *([""] if table.feet else []),
        *(f"Left out: {_text(name)}: {_text(why)}." for name, why in together(suite.left_out)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _cell(entry: Entry) -> str:
    text = _text(entry.text)
    text = f"**{text}**" if entry.best else f"~~{text}~~" if entry.wrong else text
    ratio = f" ({entry.ratio})" if entry.ratio else ""
    return f"{text}{ratio}{' '.join(superscript(number) for number in entry.feet)}"


def _mean(ratio: str, counted: str) -> str:
    return f"{ratio} ({counted})" if counted else ratio


def _text(text: str) -> str:
    """Returns: the text so that Markdown shows it as it is."""
    line = plain(text).replace("\n", " ")
    for character in "\\|*_`<[":
        line = line.replace(character, "\\" + character)
    return line
