"""Fits the operators of a cut model, one after the other, to what they gave in the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sanderling.compress.fitting.readers import (
    Floats,
    Reader,
    bias_position,
    weights_array,
    weights_matrix,
)
from sanderling.compress.fitting.reconstruct import refit
from sanderling.compress.fitting.sampling import Rows, Sampler
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType

_MACS = 1e11  # spent on running the model while it is fitted, unless
_FEWEST = 16  # feeds take more
_SCARCE = 8  # rows a feed: operators that get fewer are always fitted on all feeds

Outputs = npt.NDArray[np.bool_]


def fit(
    model: Model,
    before: Mapping[int, Rows],
    rounds: Sequence[Sequence[tuple[Reader, Outputs]]],
    sampler: Sampler,
    macs: float,
) -> Model:
    """Fits operators in the order of execution, each on what those before it now give.

    Args:
        model: the cut model.
        before: samples of the original, by the operator's position.
        rounds: operators as they were, with the outputs that each still has; none depends on another of its
            round.
        sampler: took those samples.
        macs: multiply-accumulates of a call.
    """
    for batch in rounds:
        readers = [reader for reader, _ in batch]
        sampled = sampler.rows(model, readers, affordable(sampler, before, readers, len(rounds), macs))
        graph = model.main
        for reader, outputs in batch:
            now = sampled[reader.position]
            targets = targets_of(reader, before[reader.position].of(now.feeds), now, outputs)
            start = weights_matrix(graph, graph.nodes[reader.position]).astype(np.float64)
            matrix, bias = refit(now.operand, targets, start, now.feeds, centre=reader.centred)
            graph = with_weights(graph, reader, matrix, bias if reader.centred else None)
        model = model.with_main(graph)
    return model


def affordable(
    sampler: Sampler, before: Mapping[int, Rows], readers: Sequence[Reader], rounds: int, macs: float
) -> range | None:
    """Returns: the numbers of the feeds to fit some operators on, None for all.

    Args:
        sampler, before: as for ``fit``.
        readers: the operators.
        rounds: how often the model is run.
        macs: multiply-accumulates of a call.
    """
    if any(len(before[r.position].feeds) < _SCARCE * len(sampler.feeds) for r in readers):
        return None
    enough = int(2 * _MACS / (max(rounds, 1) * max(macs, 1.0)))
    return range(len(sampler.feeds))[: max(_FEWEST, enough)]


def in_rounds(graph: Graph, readers: Sequence[Reader]) -> list[list[Reader]]:
    """Returns: operators in order of execution, in batches of which none depends on another of its batch."""
    by_position = {reader.position: reader for reader in readers}
    depth: dict[int, int] = {}
    levels: dict[int, list[Reader]] = {}
    for position, node in enumerate(graph.nodes):
        level = max((depth.get(index, 0) for index in node.inputs), default=0)
        reader = by_position.get(position)
        if reader is not None:  # what it is added to comes first, so that it can make up for that too
            level = max(level, depth.get(reader.beside, 0))
            levels.setdefault(level, []).append(reader)
            level += 1
        for index in node.outputs:
            depth[index] = level
    return [levels[level] for level in sorted(levels)]


def targets_of(reader: Reader, before: Rows, now: Rows, outputs: Outputs) -> Floats:
    """Returns: [n, O] what an operator should give, bias included, so that it (or the sum that it goes into)
    is what it was."""
    targets = before.operand @ reader.matrix[:, outputs]
    if reader.bias is not None:
        targets += reader.bias[outputs]
    if before.beside is not None and now.beside is not None:
        targets += before.beside[:, outputs] - now.beside
    return targets


def with_weights(
    graph: Graph,
    reader: Reader,
    matrix: npt.NDArray[np.float64],
    bias: npt.NDArray[np.float64] | None,
) -> Graph:
    """Returns: the graph with other weights for an operator, and a bias where one is given."""
    node = graph.nodes[reader.position]
    tensors = list(graph.tensors)
    weights = tensors[node.inputs[1]]
    tensors[node.inputs[1]] = replace(weights, data=weights_array(graph, node, matrix))
    if bias is not None:
        node = _with_bias(tensors, node, f"{weights.name}_bias", bias.astype(np.float32))
    nodes = (*graph.nodes[: reader.position], node, *graph.nodes[reader.position + 1 :])
    return replace(graph, tensors=tuple(tensors), nodes=nodes)


def _with_bias(tensors: list[Tensor], node: Node, name: str, values: Floats) -> Node:
    place = bias_position(node)
    operands = [*node.inputs, *[-1] * (place + 1 - len(node.inputs))]
    if operands[place] >= 0:
        old = tensors[operands[place]]
        tensors[operands[place]] = replace(old, data=values.reshape(old.shape))
        return node
    operands[place] = len(tensors)
    tensors.append(Tensor(name, TensorType(values.shape, DType.FLOAT32), values))
    return replace(node, inputs=tuple(operands))
