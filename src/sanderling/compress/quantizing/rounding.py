"""Learned rounding: an operator's integers are chosen so that its results come closest to the original's.

Operators are rounded in the order of execution. Each reads what the rounded operators before it really give
in LiteRT, and aims at what it gave in the float model; where its result is only added to something, it also
makes up for what has gone wrong there. Nothing is trained and no gradients are needed. Weights
that are zero stay zero.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sanderling.compress.calibration import Feeds
from sanderling.compress.eligible import BIAS
from sanderling.compress.fitting.in_order import in_rounds
from sanderling.compress.fitting.readers import Floats, Reader, beside_of
from sanderling.compress.fitting.reconstruct import held_out
from sanderling.compress.fitting.sampling import Rows, Sampler
from sanderling.compress.quantizing.integer_descent import anchored, descend, error_of, moments
from sanderling.compress.quantizing.stored import Stored
from sanderling.errors import SampleError
from sanderling.graph.constant import real
from sanderling.graph.edit import consumers
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import Array
from sanderling.ops._quantized import limits

Matrix = npt.NDArray[np.float64]
Weights = Mapping[int, Stored]
Write = Callable[[Graph, Weights], Graph]
_ROUNDED = frozenset({"CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D"})
_ROWS = 6144  # of an operator's operand, over all feeds
_VALUES = 24_000_000  # of one operand's samples
# How much the samples are trusted: tried on feeds held out, with a few sweeps each.
_NOISE = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_WORTH = 0.95  # of the error of the nearest integers: less is not worth the risk
_TRIED_SWEEPS = 3


@dataclass(frozen=True, slots=True)
class Runs:
    """What models are run on.

    Attributes:
        feeds: calibration feeds.
        folder: for scratch files.
        threads: CPU threads.
    """

    feeds: Feeds
    folder: Path
    threads: int


def learn_rounding(
    model: Model, graph: Graph, nodes: Collection[int], weights: Weights, write: Write, runs: Runs
) -> tuple[Graph, dict[int, Stored]]:
    """Rounds weights anew.

    Args:
        model: the float model, folded and compacted.
        graph: its main graph as it is to be written, perhaps with corrected biases.
        nodes: positions of the nodes with rounded weights.
        weights: the integers to start from, by tensor index.
        write: (graph, weights) → the graph that computes with them, its outputs as in ``graph``.
        runs: what to run it on.

    Returns: the graph with new biases, and all weights.

    Raises:
        SampleError: a value is NaN, infinite or too large on the samples.
    """
    chosen = dict(weights)
    for batch in in_rounds(graph, _readers(graph, nodes, chosen)):
        shown = tuple(dict.fromkeys(i for r in batch for i in (r.tensor, r.beside) if i >= 0))
        written = model.with_main(write(replace(graph, outputs=shown), chosen))
        sampler = _sampler(graph, batch, runs)
        before, now = (sampler.rows(each, batch, graph=graph) for each in (model, written))
        for reader in batch:
            place, node = reader.position, graph.nodes[reader.position]
            stored, bias = _round(model.main, node, chosen[node.inputs[1]], before[place], now[place])
            chosen[node.inputs[1]] = stored
            graph = _with_bias(graph, node, bias)
    return graph, chosen


def _readers(graph: Graph, nodes: Collection[int], weights: Weights) -> list[Reader]:
    used = consumers(graph)
    found = []
    for position in sorted(set(nodes)):
        node = graph.nodes[position]
        if node.op not in _ROUNDED or not _is_rounded(graph, node, weights, used):
            continue
        beside = beside_of(graph, position, used)
        empty = np.zeros((0, 0), np.float32)
        columns = np.zeros(0, np.int64)
        found.append(Reader(position, node.inputs[0], columns, empty, None, _has_bias(node), True, beside))
    return found


def _is_rounded(graph: Graph, node: Node, stored: Weights, used: Mapping[int, Sequence[int]]) -> bool:
    weights, data = graph.tensors[node.inputs[1]], graph.tensors[node.inputs[0]]
    if node.inputs[1] not in stored or any(len(used[i]) > 1 for i in node.inputs[1:] if i >= 0):
        return False
    if node.op == "CONV_2D" and weights.shape[3] != data.shape[3]:
        return False
    if np.array_equal(stored[node.inputs[1]].real(), real(weights)):
        return False  # integers hold them exactly: weights of few values keep these
    return stored[node.inputs[1]].quant.scale.size == graph.tensors[node.outputs[0]].shape[-1]


def _has_bias(node: Node) -> bool:
    place = BIAS[node.op]
    return place < len(node.inputs) and node.inputs[place] >= 0


def _sampler(graph: Graph, batch: Sequence[Reader], runs: Runs) -> Sampler:
    """Returns: what takes as many samples at these operators as fit in memory."""
    columns = max(int(np.prod(graph.tensors[graph.nodes[r.position].inputs[1]].shape[1:])) for r in batch)
    per_feed = max(1, min(_ROWS, _VALUES // max(columns, 1)) // len(runs.feeds))
    return Sampler(runs.feeds, per_feed, runs.folder / "rounded.tflite", runs.threads)


def _round(
    original: Graph, node: Node, stored: Stored, before: Rows, now: Rows
) -> tuple[Stored, Matrix | None]:
    """Returns: an operator's integers, and its bias [O] where it has one.

    Raises:
        SampleError: squares of its operand are too large for float32.
    """
    groups = original.tensors[node.inputs[0]].shape[-1] if node.op == "DEPTHWISE_CONV_2D" else 1
    weights = _grouped(real(original.tensors[node.inputs[1]]), groups)
    q, outputs = _grouped(stored.values, groups), weights.shape[2]
    rows = _by_group(now.operand, groups)
    wanted = _by_group(before.operand, groups) @ weights.astype(np.float32)
    if _has_bias(node):
        bias = real(original.tensors[node.inputs[BIAS[node.op]]])
        wanted += bias.reshape(groups, 1, outputs)
    if before.beside is not None and now.beside is not None:
        wanted += (before.beside - now.beside).reshape(-1, groups, outputs).transpose(1, 0, 2)
    scale = np.broadcast_to(stored.quant.scale.astype(np.float64), groups * outputs).reshape(groups, outputs)
    steps, centre = limits(stored.dtype)[1], _has_bias(node)
    with np.errstate(over="ignore", invalid="ignore"):
        whole = moments(rows, wanted, centre=centre)
    if not (np.isfinite(whole.second).all() and np.isfinite(whole.cross).all()):
        raise SampleError(
            f"the values of tensor '{original.tensors[node.inputs[0]].name}' are too large to round by",
            where=original.name,
            hint="check that the samples are preprocessed as the model expects",
        )
    share = _trusted(rows, wanted, now.feeds, weights, q, scale, steps, centre)
    if share is not None:
        q, scale = descend(anchored(whole, weights, share), q, scale, steps, fixed=weights == 0)
    values = np.ascontiguousarray(_ungrouped(q, stored.values.shape)).astype(stored.values.dtype)
    quant = replace(stored.quant, scale=scale.astype(np.float32).ravel())
    mean = np.einsum("gd,gdo->go", whole.operand, q * scale[:, None])
    return Stored(values, quant, stored.dtype), (whole.wanted - mean).ravel() if centre else None


def _trusted(
    rows: Floats,
    wanted: Floats,
    feeds: npt.NDArray[np.int64],
    weights: Matrix,
    q: Matrix,
    scale: Matrix,
    steps: int,
    centre: bool,
) -> float | None:
    """Returns: the noise with which rounding does best on feeds that it has not seen; None where rounding to
    the nearest does."""
    held = held_out(feeds)
    if not held.any() or held.all():
        return _NOISE[-1]
    seen, unseen = (moments(rows[:, part], wanted[:, part], centre=centre) for part in (~held, held))
    power = float(np.sum(np.mean(np.square(wanted[:, held] - unseen.wanted[:, None] * centre), axis=1)))
    nearest = power + float(error_of(unseen, q, scale).sum())
    errors = []
    for share in _NOISE:
        anchors = anchored(seen, weights, share)
        tried = descend(anchors, q, scale, steps, sweeps=_TRIED_SWEEPS, fixed=weights == 0)
        errors.append(power + float(error_of(unseen, *tried).sum()))
    return _NOISE[int(np.argmin(errors))] if min(errors) < _WORTH * nearest else None


def _by_group(rows: Floats, groups: int) -> Floats:
    """Returns: samples [n, K · G] of G groups as [G, n, K]."""
    return np.ascontiguousarray(rows.reshape(len(rows), -1, groups).transpose(2, 0, 1))


def _grouped(weights: Array, groups: int) -> Matrix:
    """Returns: weights as matrices [groups, d, outputs of a group], a group for each depthwise channel."""
    if groups == 1:
        return weights.reshape(1, weights.shape[0], -1).transpose(0, 2, 1).astype(np.float64)
    taps = weights.shape[1] * weights.shape[2]
    return weights.reshape(taps, groups, -1).transpose(1, 0, 2).astype(np.float64)


def _ungrouped(matrices: Matrix, shape: tuple[int, ...]) -> Matrix:
    """Returns: matrices [groups, d, outputs of a group] as the operator stores them."""
    first, second = ((0, 2, 1), (1, 0, 2))
    return matrices.transpose(first if len(matrices) == 1 else second).reshape(shape)


def _with_bias(graph: Graph, node: Node, bias: Matrix | None) -> Graph:
    if bias is None:
        return graph
    index = node.inputs[BIAS[node.op]]
    tensors = list(graph.tensors)
    values = bias.reshape(tensors[index].shape).astype(np.float32)
    tensors[index] = replace(tensors[index], data=values, sparsity=None)
    return replace(graph, tensors=tuple(tensors))
