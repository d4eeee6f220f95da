"""Writes the tables of ``docs/guide/zoo.md``: the zoo's models, and where they come from.

They are made from the models' cards and the figures beside them. Run it again when one of those changes:

    .venv/bin/python tools/make_zoo_table.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src")]

from sanderling import zoo  # noqa: E402
from sanderling.report.format import format_bytes, format_ms  # noqa: E402
from sanderling.zoo import Bundled, Published  # noqa: E402
from sanderling.zoo.figures import reference  # noqa: E402

TARGET = ROOT / "docs" / "guide" / "zoo.md"
BEGIN, END = (
    "<!-- made by tools/make_zoo_table.py: begin -->",
    "<!-- made by tools/make_zoo_table.py: end -->",
)


def main() -> None:
    """Writes the page."""
    TARGET.write_text(page(), encoding="utf-8")


def page() -> str:
    """Returns: the page as it is, with its tables made again."""
    before, rest = TARGET.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def tables() -> str:
    """Returns: the models by task, and the packages."""
    cards = [zoo.describe(name) for name in zoo.names()]
    known = reference()
    lines = [
        f"Latency: median of a call, {known.engine}, {known.threads} thread, {known.device}, {known.date}.",
        "",
        "| model | task | input | size | latency | licence | what it is |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_row(card) for card in sorted(cards, key=lambda card: (card.task, card.subject, card.name))]
    packages = {card.package.name: card.package for card in cards if isinstance(card, Published)}
    lines += ["", "| package | wheel | licence | stated in |", "|---|---|---|---|"]
    lines += [
        f"| {each.title} | `{each.file}` ({format_bytes(each.size_bytes)}) | {each.license} | {each.stated} |"
        for _, each in sorted(packages.items())
    ]
    return "\n".join(lines)


def _row(card: Bundled | Published) -> str:
    figure = reference().figures.get(card.name)
    bundled = isinstance(card, Bundled)
    size = card.model.stat().st_size if bundled else card.model.size_bytes
    kind = (
        ""
        if bundled or card.kind == ".tflite"
        else f" ({card.kind}, {'built' if card.build else 'converted'})"
    )
    shape = " × ".join("?" if size < 0 else str(size) for size in card.input_shape[1:])
    latency = "" if figure is None else format_ms(figure.p50)
    quality = "" if bundled or card.quality is None else f"; {card.quality.text}"
    return (
        f"| `{card.name}`{kind} | {card.task} | {shape} | {format_bytes(size)} | {latency} "
        f"| {card.license['model']} | {card.summary}{quality} |"
    )


if __name__ == "__main__":
    main()
