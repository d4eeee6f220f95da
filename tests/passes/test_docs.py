"""The guide lists every pass as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sanderling import passes
from sanderling.passes.lower_for import lowerings
from sanderling.passes.registry import find, names

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "passes.md"
PIPELINES = ("LOSSLESS", "PLAIN_WEIGHTS", "FASTER", "STATIC", "CANONICAL")


def all_passes() -> list[str]:
    rows = ["| pass | what it does | bit for bit | more operators | in |", "|---|---|---|---|---|"]
    for name in names():
        one = find(name)
        if name.startswith("lower_"):
            continue
        told = ["yes" if flag else "" for flag in (one.exact, one.grows)]
        member = [pipeline for pipeline in PIPELINES if name in getattr(passes, pipeline)]
        # What is in FASTER is in STATIC too.
        member = [p for p in member if not (p == "STATIC" and "FASTER" in member)]
        rows.append(f"| `{name}` | {one.summary} | {told[0]} | {told[1]} | {', '.join(member)} |")
    return rows


def all_lowerings() -> list[str]:
    rows = ["| operator | becomes |", "|---|---|"]
    return rows + [f"| {one.lowers} | {', '.join(one.needs)} |" for one in lowerings()]


@pytest.mark.parametrize("what, expected", [("passes", all_passes()), ("lowerings", all_lowerings())])
def test_the_guide_lists_every_pass(what: str, expected: list[str]) -> None:
    found = re.search(
        rf"<!-- {what}: .*? -->\n(.*?)<!-- end -->", GUIDE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found
    assert found[1].strip() == "\n".join(expected), "copy this into the guide:\n" + "\n".join(expected)
