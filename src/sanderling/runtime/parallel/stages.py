"""A model in stages: where a graph may be cut, and which cuts make stages of equal time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sanderling.analysis.cost import rows
from sanderling.errors import RunError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import DType

_UNREADABLE = frozenset({DType.RESOURCE, DType.VARIANT, DType.STRING})
# Work that moving a byte between stages is worth, in multiply-accumulates: it only ranks the cuts.
_PER_BYTE = 4.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a model, in execution order.

    Attributes:
        model: of just these operators.
        reads: tensors of the whole graph that it takes, in the order of its inputs.
        makes: those that it gives, in the order of its outputs.
    """

    model: Model
    reads: tuple[int, ...]
    makes: tuple[int, ...]


def cut(model: Model, positions: Sequence[int]) -> list[Stage]:
    """Cuts a model before the operators at these positions.

    Args:
        model: a verified model.
        positions: ascending, each from 1 to the number of operators − 1.

    Raises:
        RunError: what would pass from one stage to the next is no array, or a state.
    """
    graph = model.main
    ends = [0, *positions, len(graph.nodes)]
    return [_stage(model, start, end) for start, end in pairwise(ends)]


def cuts(graph: Graph, stages: int) -> list[tuple[int, ...]]:
    """Returns: positions at which to cut into so many stages, those with the most equal work first.

    Raises:
        RunError: the graph cannot be cut into so many.
    """
    allowed = _allowed(graph)
    if len(allowed) < stages - 1:
        raise RunError(
            f"cannot be cut into {stages} stages: it has {len(allowed)} places for that",
            where=graph.name or "the graph",
            hint="ask for fewer stages, or for replicas",
        )
    work = np.cumsum([float((row.macs or 0) + (row.ops or 0)) for row in rows(graph)])
    found = []
    for shift in np.linspace(-0.15, 0.15, 7):
        chosen: list[int] = []
        for number in range(1, stages):
            aim = work[-1] * (number / stages + shift / stages)
            free = [k for k in allowed if k > (chosen[-1] if chosen else 0)]
            if not free:
                break
            chosen.append(min(free, key=lambda k: abs(work[k - 1] - aim) + _PER_BYTE * _bytes(graph, k)))
        if len(chosen) == stages - 1:
            found.append(tuple(chosen))
    middle = len(found) // 2
    return list(dict.fromkeys(sorted(found, key=lambda each: abs(found.index(each) - middle))))


def _allowed(graph: Graph) -> list[int]:
    return [k for k in range(1, len(graph.nodes)) if all(_passes(graph, i) for i in _crossing(graph, k))]


def _passes(graph: Graph, index: int) -> bool:
    tensor = graph.tensors[index]
    return tensor.dtype not in _UNREADABLE and not tensor.is_variable


def _crossing(graph: Graph, position: int) -> list[int]:
    """Returns: tensors that are there before a position and needed from it on."""
    made = {*graph.inputs, *(i for node in graph.nodes[:position] for i in node.outputs)}
    made |= {i for i, tensor in enumerate(graph.tensors) if tensor.is_variable}
    needed = dict.fromkeys(i for node in graph.nodes[position:] for i in node.inputs if i >= 0)
    return [i for i in needed if i in made and not graph.tensors[i].is_constant]


def _bytes(graph: Graph, position: int) -> float:
    return float(sum(graph.tensors[i].type.nbytes for i in _crossing(graph, position)))


def _stage(model: Model, start: int, end: int) -> Stage:
    graph = model.main
    nodes = graph.nodes[start:end]
    inside = {i for node in nodes for i in node.outputs}
    wanted = dict.fromkeys(i for node in nodes for i in node.inputs if i >= 0)
    reads = [i for i in wanted if i not in inside and not graph.tensors[i].is_constant]
    later = {i for node in graph.nodes[end:] for i in node.inputs} | set(graph.outputs)
    makes = [i for node in nodes for i in node.outputs if i in later]
    for index in (*reads, *makes):
        if not _passes(graph, index):
            raise RunError(
                f"tensor {graph.tensors[index].name!r} is a state, which cannot pass to another stage",
                where=model.name,
            )
    part = Graph(graph.tensors, nodes, tuple(reads), tuple(makes), "main")
    nothing = np.empty(0, np.uint8)
    bare = replace(
        model, graphs=(part, *model.graphs[1:]), signatures=(), metadata=(), description="", appended=nothing
    )
    return Stage(compact(bare), tuple(reads), tuple(makes))
