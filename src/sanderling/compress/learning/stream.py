"""Finds the blocks of a network that only add something to what passes by: layers of transformers, residual
blocks of convolutional networks.

The values through which everything from some value on has to pass are its post-dominators. Along such a
chain of values lie segments, each with one way in and one way out; masks and tables may come in from the
side. Segments that compute the same, up to their weights, have the same signature, and a run of signatures
that repeats itself is a stack of blocks. A block can go when one of its segments is residual: the rest of the
network then still reads the sum that it was trained to read, with one term less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sanderling.analysis.cost import rows
from sanderling.graph.edit import consumers
from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import DType
from sanderling.passes.drop_dead_code import EFFECTS

_EXIT = -1
# A sum may be moved to another shape on its way.
_MOVES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
_SMALL = 64  # that few integers are axes and shapes, no table of weights


@dataclass(frozen=True, slots=True)
class Block:
    """Operators that can go together.

    Attributes:
        source: index of the tensor that flows in.
        result: index of the tensor, of the same type, that flows out.
        nodes: positions of the operators between them, ascending.
        macs: multiply-accumulates.
        kind: blocks of one kind compute the same, up to their weights; kinds are numbered from zero.
    """

    source: int
    result: int
    nodes: tuple[int, ...]
    macs: int
    kind: int


@dataclass(frozen=True, slots=True)
class _Segment:
    source: int
    result: int
    nodes: tuple[int, ...]
    macs: int
    residual: bool


def blocks(graph: Graph) -> list[Block]:
    """Finds the blocks that can go, in the order in which they are computed.

    Args:
        graph: a verified main graph.
    """
    found: list[Block] = []
    used: set[int] = set()
    kinds: dict[tuple[str, ...], int] = {}
    for chain in _chains(graph):
        if not any(segment.residual for segment in chain):
            break
        signatures = {segment.source: _signature(graph, segment) for segment in chain}
        for run in _repeated(chain, signatures):
            nodes = tuple(sorted(position for segment in run for position in segment.nodes))
            if not _can_go(graph, run) or not used.isdisjoint(nodes):
                continue
            used.update(nodes)
            kind = kinds.setdefault(tuple(signatures[segment.source] for segment in run), len(kinds))
            macs = sum(segment.macs for segment in run)
            found.append(Block(run[0].source, run[-1].result, nodes, macs, kind))
    return sorted(found, key=lambda block: block.nodes)


def without(graph: Graph, gone: Sequence[Block]) -> tuple[Graph, dict[int, int]]:
    """Takes blocks out: what read their results reads what they read.

    Args:
        graph: what ``blocks`` saw.
        gone: some of its blocks, in order.

    Returns: the graph, whose tensors keep their indices, and removed tensor → the one that stands for it.
    """
    positions = {position for block in gone for position in block.nodes}
    stands: dict[int, int] = {}
    for block in gone:  # in order, so that what stands for a source that went is known by now
        stands[block.result] = stands.get(block.source, block.source)
    # Outputs of the graph keep their tensors, and so their names.
    renamed = {stands[index]: index for index in graph.outputs if index in stands}

    def now(indices: tuple[int, ...]) -> tuple[int, ...]:
        moved = (stands.get(i, i) for i in indices)
        return tuple(renamed.get(i, i) for i in moved)

    nodes = tuple(
        replace(node, inputs=now(node.inputs), outputs=now(node.outputs))
        for position, node in enumerate(graph.nodes)
        if position not in positions
    )
    moves = {index: now((index,))[0] for index in (*stands, *renamed)}
    return replace(graph, nodes=nodes), {old: new for old, new in moves.items() if old != new}


def _can_go(graph: Graph, run: Sequence[_Segment]) -> bool:
    source, result = graph.tensors[run[0].source], graph.tensors[run[-1].result]
    alike = source.type == result.type and source.shape_signature == result.shape_signature
    passed_on = run[0].source in graph.inputs and run[-1].result in graph.outputs
    residual = any(segment.residual for segment in run)
    return residual and alike and source.dtype is DType.FLOAT32 and not passed_on


# --- chains of values -------------------------------------------------------------------------------------


def _chains(graph: Graph) -> list[list[_Segment]]:
    """Returns: lists of segments of which each starts where the one before ends, most residual ones first."""
    after = _post_dominators(graph)
    segments = _segments(graph, after)
    weight: dict[int, tuple[int, int]] = {}  # residual segments and operators on the best chain to a tensor
    before: dict[int, int] = {}  # the tensor before it on that chain
    for index, segment in segments.items():  # in the order in which they are computed
        residual, size = weight.get(index, (0, 0))
        reached = (residual + segment.residual, size + len(segment.nodes))
        if reached > weight.get(segment.result, (0, 0)):
            weight[segment.result], before[segment.result] = reached, index
    chains = []
    for index, parent in after.items():
        if parent != _EXIT and before[parent] == index:
            continue  # within a chain
        chain = [segments[index]] if index in segments else []
        while index in before:
            index = before[index]
            chain.append(segments[index])
        chains.append(chain[::-1])
    return sorted(chains, key=lambda chain: sum(s.residual for s in chain), reverse=True)


def _post_dominators(graph: Graph) -> dict[int, int]:
    """Returns: tensor → the first tensor that all ways from it to an output or an effect pass, ``_EXIT`` for
    none; in the order in which they are computed. Tensors that nothing needs are left out."""
    read = consumers(graph)
    computed = dict.fromkeys((*graph.inputs, *(i for node in graph.nodes for i in node.outputs)))
    outputs = set(graph.outputs)
    parents: dict[int, int] = {}
    depth = {_EXIT: 0}
    for index in reversed(computed):
        ways = {_EXIT} if index in outputs or graph.tensors[index].is_variable else set()
        for position in read.get(index, ()):
            node = graph.nodes[position]
            if node.op in EFFECTS or any(node.mutating):
                ways.add(_EXIT)
            ways.update(i for i in node.outputs if i in parents)
        if ways:
            parents[index] = _meeting(ways, parents, depth)
            depth[index] = depth[parents[index]] + 1
    return {index: parents[index] for index in computed if index in parents}


def _meeting(ways: set[int], parents: dict[int, int], depth: dict[int, int]) -> int:
    """Returns: where the ways that go on from several tensors first meet."""
    front = set(ways)
    while len(front) > 1:
        deepest = max(front, key=lambda index: (depth[index], index))
        front.remove(deepest)
        front.add(parents[deepest])
    return front.pop()


# --- segments ---------------------------------------------------------------------------------------------


def _segments(graph: Graph, after: Mapping[int, int]) -> dict[int, _Segment]:
    """Returns: tensor → what lies between it and the tensor that all have to pass."""
    read = consumers(graph)
    macs = [row.macs or 0 for row in rows(graph)]
    segments = {}
    for source, result in after.items():
        if result != _EXIT:
            positions = _between(graph, read, source, result)
            work = sum(macs[position] for position in positions)
            residual = work > 0 and _passes([graph.nodes[p] for p in positions], source, result)
            segments[source] = _Segment(source, result, tuple(positions), work, residual)
    return segments


def _between(graph: Graph, read: dict[int, list[int]], source: int, result: int) -> list[int]:
    """Returns: positions of the operators on the ways from one tensor to another, ascending."""
    found: set[int] = set()
    waiting = [source]
    while waiting:
        here = [position for position in read.get(waiting.pop(), ()) if position not in found]
        found.update(here)
        waiting += [i for position in here for i in graph.nodes[position].outputs if i != result]
    return sorted(found)


def _passes(nodes: Sequence[Node], source: int, result: int) -> bool:
    """Returns: whether a tensor reaches the result as a term of sums."""
    terms = {source}
    for node in nodes:
        if (node.op == "ADD" or node.op in _MOVES) and not terms.isdisjoint(node.inputs):
            terms.update(node.outputs)
    return result in terms


def _signature(graph: Graph, segment: _Segment) -> str:
    """Returns: the same text for segments that compute the same up to the weights, in whatever order."""
    known = {segment.source: f"entry {graph.tensors[segment.source].type}"}

    def operand(index: int) -> str:
        if index in known or index < 0:
            return known.get(index, "none")
        tensor = graph.tensors[index]
        if tensor.is_constant:
            told = tensor.data is not None and not tensor.dtype.is_float and tensor.data.size <= _SMALL
            return f"constant {tensor.type} {np.asarray(tensor.data).tolist() if told else ''}"
        return f"state {tensor.type}" if tensor.is_variable else f"side {index}"

    for node in (graph.nodes[position] for position in segment.nodes):
        attrs = sorted((name, repr(value)) for name, value in node.attrs.items())
        said = [node.kind, str(attrs), node.custom_options.hex(), *(operand(i) for i in node.inputs)]
        for position, index in enumerate(node.outputs):
            text = "\n".join((*said, str(position), str(graph.tensors[index].type)))
            known[index] = hashlib.sha256(text.encode()).hexdigest()
    return known.get(segment.result, "")


# --- stacks -----------------------------------------------------------------------------------------------


def _repeated(segments: Sequence[_Segment], signatures: Mapping[int, str]) -> Iterator[Sequence[_Segment]]:
    """Yields: blocks of segments: what repeats itself, turn by turn, and single ones of what is left."""
    free = [(0, len(segments))]
    while free:
        start, end = free.pop()
        part = segments[start:end]
        best = _best_repeat(part, signatures)
        if best is None:
            yield from ([segment] for segment in part)
            continue
        first, period, count = best
        for turn in range(count):
            yield part[first + turn * period : first + (turn + 1) * period]
        free += [(start, start + first), (start + first + period * count, end)]


def _best_repeat(segments: Sequence[_Segment], signatures: Mapping[int, str]) -> tuple[int, int, int] | None:
    """Returns: first segment, segments per block and number of blocks of the run of equal blocks that does
    most of the work; the shortest blocks of those, and of these the last to start: what comes before them
    (an embedding's normalization) belongs to no layer."""
    names: dict[str, int] = {}
    signs = np.array([names.setdefault(signatures[s.source], len(names)) for s in segments], np.int64)
    work = np.concatenate([[0], np.cumsum([segment.macs for segment in segments], dtype=np.float64)])
    residual = np.concatenate([[0], np.cumsum([segment.residual for segment in segments], dtype=np.int64)])
    best: tuple[float, int, int, int] | None = None
    for period in range(1, len(segments) // 2 + 1):
        same = np.concatenate([[False], signs[:-period] == signs[period:], [False]])
        edges = np.flatnonzero(same[1:] != same[:-1])
        for low, high in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            count = 1 + (high - low) // period
            if count < 2:
                continue
            for first in range(low, high - (count - 1) * period + 1):
                if residual[first + period] > residual[first]:
                    done = float(work[first + count * period] - work[first])
                    best = max(best or (0.0, 0, 0, 0), (done, -period, first, count))
    return None if best is None or best[0] <= 0 else (best[2], -best[1], best[3])
