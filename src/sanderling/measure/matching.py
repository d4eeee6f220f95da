"""Which operator of one graph is the counterpart of which operator of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from sanderling.graph.graph import Graph, Node

# Converters change the representation of a value, not the value: they are nobody's counterpart by position.
# Engines unpack sparse weights ahead of all runs and need not give them out.
_CONVERTERS = {"QUANTIZE", "DEQUANTIZE", "CAST", "DENSIFY"}


@dataclass(frozen=True, slots=True)
class Match:
    """A pair of operators that ought to compute the same.

    Attributes:
        index_a, index_b: positions of the nodes.
        tensor_a, tensor_b: indices of their first outputs.
        by: ``name`` or ``position``.
    """

    index_a: int
    index_b: int
    tensor_a: int
    tensor_b: int
    by: str


def match(a: Graph, b: Graph) -> list[Match]:
    """Pairs operators by the name of their first output, or by kind and size where names differ.

    Pairs never cross: a later operator of A has a later counterpart in B. Where kinds and sizes alone pair
    more operators, names are not to be trusted (a model exported again counts ``conv2d_1`` anew).

    Returns: pairs in A's order.
    """
    named = _by_name_first(a, b)
    plain = _by_position(a, range(len(a.nodes)), b, range(len(b.nodes)))
    pairs = named if len(named) >= len(plain) else [(i, j, "position") for i, j in plain]
    return [Match(i, j, a.nodes[i].outputs[0], b.nodes[j].outputs[0], by) for i, j, by in pairs]


def match_itself(graph: Graph) -> list[Match]:
    """Pairs every operator with itself, converters too, but for those that unpack stored weights: engines do
    that ahead of all runs and need not give the result out."""
    fixed = {index for index, tensor in enumerate(graph.tensors) if tensor.is_constant}
    pairs = []
    for position, node in enumerate(graph.nodes):
        if node.op in _CONVERTERS and fixed.issuperset(node.inputs):
            fixed.update(node.outputs)
        elif node.outputs:
            pairs.append(Match(position, position, node.outputs[0], node.outputs[0], "name"))
    return pairs


def comparable(graph: Graph) -> list[int]:
    """Returns: positions of the operators that may have a counterpart: all but converters."""
    return [i for i, node in enumerate(graph.nodes) if node.outputs and node.op not in _CONVERTERS]


def _by_name_first(a: Graph, b: Graph) -> list[tuple[int, int, str]]:
    """Returns: pairs of the same name, and between them pairs by position."""
    named = _increasing(_by_name(a, b))
    pairs: list[tuple[int, int, str]] = []
    low_a = low_b = 0
    for high_a, high_b in [*named, (len(a.nodes), len(b.nodes))]:
        gap = _by_position(a, range(low_a, high_a), b, range(low_b, high_b))
        pairs += [(i, j, "position") for i, j in gap]
        if high_a < len(a.nodes):
            pairs.append((high_a, high_b, "name"))
        low_a, low_b = high_a + 1, high_b + 1
    return pairs


def _by_name(a: Graph, b: Graph) -> list[tuple[int, int]]:
    """Returns: pairs whose first outputs have the same name and size, in A's order."""
    found: dict[str, int] = {}
    for index, node in enumerate(b.nodes):
        name = _name(b, node)
        if name:
            found.setdefault(name, index)
    pairs = []
    for index, node in enumerate(a.nodes):
        other = found.pop(_name(a, node), None) if _name(a, node) else None
        if other is not None and _size(a, node) == _size(b, b.nodes[other]):
            pairs.append((index, other))
    return pairs


def _increasing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns: the longest part of the pairs that does not cross (longest increasing subsequence)."""
    from bisect import bisect_left

    ends: list[int] = []  # smallest last element of an increasing run of each length
    places: list[int] = []
    before: list[int | None] = []
    for position, (_, j) in enumerate(pairs):
        length = bisect_left(ends, j)
        before.append(places[length - 1] if length else None)
        if length == len(ends):
            ends.append(j)
            places.append(position)
        else:
            ends[length], places[length] = j, position
    chain: list[tuple[int, int]] = []
    at = places[-1] if places else None
    while at is not None:
        chain.append(pairs[at])
        at = before[at]
    return chain[::-1]


def _by_position(a: Graph, span_a: range, b: Graph, span_b: range) -> list[tuple[int, int]]:
    """Returns: the longest common sequence of operators of the same kind and size."""
    left = [i for i in comparable(a) if i in span_a]
    right = [j for j in comparable(b) if j in span_b]
    keys = [_key(a, a.nodes[i]) for i in left], [_key(b, b.nodes[j]) for j in right]
    blocks = SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks()
    return [(left[m.a + k], right[m.b + k]) for m in blocks for k in range(m.size)]


def _key(graph: Graph, node: Node) -> tuple[str, int]:
    return node.kind, _size(graph, node)


def _size(graph: Graph, node: Node) -> int:
    return graph.tensors[node.outputs[0]].type.size if node.outputs else 0


def _name(graph: Graph, node: Node) -> str:
    return graph.tensors[node.outputs[0]].name if node.outputs and node.op not in _CONVERTERS else ""
