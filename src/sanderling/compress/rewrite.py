"""Technique: exact rewrites that make LiteRT's CPU engine faster (see ``passes.FASTER``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sanderling import passes
from sanderling.compress.applied import Applied
from sanderling.compress.options import Options
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError, UsageError
from sanderling.graph.graph import Model

_LINES_PER_PASS = 3


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Settings: ``passes``: names of passes in order, by default ``passes.FASTER``; ``static_batch``: also
    fix the sizes that callers could change, so that the model can no longer be resized (false); ``without``:
    names of passes to leave out."""
    options = Options("rewrite", settings, ["passes", "static_batch", "without"])
    names = options.names("passes")
    if names is None:
        names = passes.FASTER
    if options.flag("static_batch", False):
        names = ("static_batch", *names)
    try:
        rewritten, notes = passes.run(model, names, without=options.names("without") or ())
    except UsageError as error:
        raise RecipeError(error.what, where="rewrite", hint=error.hint) from None
    return rewritten, Applied(notes=_summed(notes))


def _summed(notes: Sequence[str]) -> tuple[str, ...]:
    """Returns: the lines of each pass, only the first where it has many."""
    by_pass: dict[str, list[str]] = {}
    for line in notes:
        by_pass.setdefault(line.split(":")[0], []).append(line)
    summed: list[str] = []
    for lines in by_pass.values():
        shown = lines if len(lines) <= _LINES_PER_PASS else lines[:1]
        summed += shown[:-1]
        rest = len(lines) - len(shown)
        summed.append(f"{shown[-1]} (and {rest} more)" if rest else shown[-1])
    return tuple(summed)


TECHNIQUE = Technique(
    "rewrite",
    "Rearranges the arithmetic so that LiteRT's CPU engine runs it faster; the answers stay up to rounding.",
    apply,
)
