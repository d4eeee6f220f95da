"""Takes operators apart that an engine lacks: the passes ``lower_<operator>`` that this needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sanderling.graph.graph import Model
from sanderling.graph.types import Verdict, no
from sanderling.passes.pipeline import run
from sanderling.passes.registry import find, names
from sanderling.passes.rewrite import Pass


def lowerings() -> list[Pass]:
    """Returns: all passes that take an operator apart."""
    return [one for one in map(find, names()) if one.lowers]


def lower_for(
    model: Model, lacking: Collection[str], *, without: Sequence[str] = ()
) -> tuple[Model, list[str]]:
    """Replaces operators that an engine lacks by ones that it has.

    An operator is only taken apart if all that would stand in its place is there, or can be taken apart
    itself. What cannot be replaced stays: ``remaining`` names it.

    Args:
        model: the model to rewrite.
        lacking: TFLite's names of the operators that the engine does not have, own names of custom ones.
        without: names of passes to leave out.

    Returns: the rewritten model, and what was done, one line each, beginning with the pass's name.
    """
    wanted = [one for one in lowerings() if one.lowers in lacking and one.name not in without]
    useful: list[Pass] = []
    # From what the engine has upwards, so that two operators never wait for each other.
    while grounded := [
        one
        for one in wanted
        if one not in useful and set(one.needs) & set(lacking) <= {other.lowers for other in useful}
    ]:
        useful += grounded
    if not useful:
        return model, []
    return run(model, [*(one.name for one in useful), "drop_dead_code"], without=without)


def remaining(model: Model, lacking: Collection[str]) -> dict[str, Verdict]:
    """Returns: the operators of the main graph that the engine still lacks, each with the reason."""
    known = {one.lowers for one in lowerings()}
    found = {node.kind for node in model.main.nodes if node.kind in lacking}
    return {
        op: no(
            f"this {op} cannot be taken apart: its type, shape or options are not covered"
            if op in known
            else f"there is no way to take {op} apart"
        )
        for op in sorted(found)
    }
