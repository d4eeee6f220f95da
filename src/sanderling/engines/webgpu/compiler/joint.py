"""Pairs of operators that one kernel can compute, and under what key a choice is remembered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sanderling.engines.webgpu.compiler.half import halved
from sanderling.engines.webgpu.tuned import signature
from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Node
from sanderling.ops._gpu_separable import separable
from sanderling.ops.kernel import Limits, Variant

APART = "apart"  # the name under which a pair is remembered that is faster as two kernels


@dataclass(frozen=True, slots=True)
class Pair:
    """Two operators, the second of which is the only reader of what the first makes.

    Attributes:
        first, second: their positions.
        node: both as one: the operands of the first, the result of the second.
        variant: how they are computed.
        key: what pairs share that take the same time on a device.
    """

    first: int
    second: int
    node: Node
    variant: Variant
    key: str


def pairs(graph: Graph, limits: Limits, *, half: bool = False, wide: Collection[str] = ()) -> dict[int, Pair]:
    """Returns: position of the second → the pair; no operator is in two of them.

    Args:
        half, wide: see ``half.halved``.
    """

    def key(node: Node) -> str:
        return signature(graph, node, half=halved(graph, node, half=half, wide=wide))

    readers = Counter(index for node in graph.nodes for index in node.inputs)
    makers: dict[int, int] = {}
    found: dict[int, Pair] = {}
    for position, node in enumerate(graph.nodes):
        between = node.inputs[0] if node.inputs else -1
        first = makers.get(between)
        if (
            first is not None
            and readers[between] == 1
            and between not in graph.outputs
            and first not in found
        ):
            variant = _variant(graph, graph.nodes[first], node, limits)
            if variant is not None:
                before = graph.nodes[first]
                both = Node(node.op, before.inputs, node.outputs)
                found[position] = Pair(first, position, both, variant, f"{key(before)}+{key(node)}")
        makers |= dict.fromkeys(node.outputs, position)
    return found


def _variant(graph: Graph, first: Node, second: Node, limits: Limits) -> Variant | None:
    result = graph.results(second)[0]
    try:
        return separable(first, second, graph.operands(first), graph.operands(second), result, limits)
    except InvalidGraph:
        return None


def chosen(
    graph: Graph,
    tuned: Mapping[str, str],
    limits: Limits,
    *,
    half: bool = False,
    wide: Collection[str] = (),
) -> dict[int, Pair]:
    """Returns: position of the second → pairs that were faster as one kernel; arguments as of ``pairs``."""
    if not any("+" in key and name != APART for key, name in tuned.items()):
        return {}
    every = pairs(graph, limits, half=half, wide=wide)
    return {p: one for p, one in every.items() if tuned.get(one.key) == one.variant.name}
