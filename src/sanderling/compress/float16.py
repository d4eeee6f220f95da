"""Half-precision weights: half the file, the same arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sanderling.compress.applied import Applied
from sanderling.compress.eligible import WEIGHTS
from sanderling.compress.options import Options
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType
from sanderling.ops.registry import find

NAME = "float16"
LARGEST = float(np.finfo(np.float16).max)
# Below this, the DEQUANTIZE, its operands and a second tensor take more room than the halving saves.
MIN_ELEMENTS = 256
# Kernels that insist on weights that are constants, or that read them through a delegate of their own.
_CONSTANTS_ONLY = frozenset({
    "CUSTOM", "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "RNN",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_RNN", "SVDF", "PADV2", "CALL_ONCE", "IF", "WHILE",
    "CALL", "STABLEHLO_COMPOSITE",
})  # fmt: skip


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Stores float32 constants as float16 behind DEQUANTIZE, which LiteRT folds when it loads the model.

    Raises:
        RecipeError: there is nothing to convert: the weights are float16 or integers already.
    """
    Options(NAME, settings, ())
    graphs, notes, count = [], [], 0
    for graph in model.graphs:
        converted, names_too_large, here = _convert(graph)
        graphs.append(converted)
        count += here
        if names_too_large:
            notes.append(
                f"{len(names_too_large)} constants stay float32, they hold values beyond {LARGEST:g}: "
                + ", ".join(names_too_large[:4])
            )
    if not count:
        raise RecipeError(
            f"{NAME} finds no float32 weights of {MIN_ELEMENTS} elements or more",
            where=model.name,
            hint="they are float16 or integers already, or too few to matter",
        )
    return replace(model, graphs=tuple(graphs)), Applied("", (f"{count} constants became float16", *notes))


def _convert(graph: Graph) -> tuple[Graph, list[str], int]:
    """Returns: the graph, names of constants that do not fit float16, number of constants converted."""
    tensors, nodes = list(graph.tensors), []
    chosen, too_large = _weights(graph)
    for index in chosen:
        tensors.append(_half(graph.tensors[index]))
        tensors[index] = replace(graph.tensors[index], data=None)
        nodes.append(Node("DEQUANTIZE", (len(tensors) - 1,), (index,)))
    converted = replace(graph, tensors=tuple(tensors), nodes=(*nodes, *graph.nodes))
    return converted, too_large, len(nodes)


def _weights(graph: Graph) -> tuple[list[int], list[str]]:
    """Returns: indices of the float32 constants that a DEQUANTIZE will compute, and names of those that hold
    larger values than float16 can.

    Weights and biases of one operator are converted together or not at all: XNNPACK in LiteRT 1.1 to 1.3 does
    not load convolutions that read one of them from float16 and the other from float32, or gets them wrong.
    """
    banned = set(graph.inputs) | set(graph.outputs)
    read: set[int] = set()
    for node in graph.nodes:
        (banned if node.op in _CONSTANTS_ONLY else read).update(node.inputs)
        banned.update(node.outputs)
    plain = {i for i in read - banned if i >= 0 and _is_plain(graph.tensors[i])}
    too_large = {i for i in plain if not _fits(graph.tensors[i])}
    large = {i for i in plain if graph.tensors[i].type.size >= MIN_ELEMENTS}
    chosen: set[int] = set()
    for group in _together(graph, plain):
        if group & large and group <= plain - too_large:
            chosen |= group
    return sorted(chosen), [graph.tensors[i].name for i in sorted(too_large & large)]


def _together(graph: Graph, plain: set[int]) -> list[set[int]]:
    """Returns: the constants in groups: each alone, but weights with their biases, and with all that share
    one of them."""
    home = {index: {index} for index in plain}
    for weights, bias in _biased(graph):
        joined = home.setdefault(weights, {weights}) | home.setdefault(bias, {bias})
        home.update(dict.fromkeys(joined, joined))
    return list({id(group): group for group in home.values()}.values())


def _biased(graph: Graph) -> Iterator[tuple[int, int]]:
    """Yields: the indices of weights and bias of every operator that has both."""
    for node in graph.nodes:
        declared = find(node.op)
        bias = None if declared is None else declared.quant.bias
        place = WEIGHTS.get(node.op)
        if bias is None or place is None or len(node.inputs) <= max(bias, place):
            continue
        if node.inputs[bias] >= 0:
            yield node.inputs[place], node.inputs[bias]


def _is_plain(tensor: Tensor) -> bool:
    return (
        tensor.is_constant
        and tensor.dtype is DType.FLOAT32
        and tensor.sparsity is None
        and not tensor.is_variable
    )


def _fits(tensor: Tensor) -> bool:
    assert tensor.data is not None
    return bool(np.max(np.abs(tensor.data)) <= LARGEST)


def _half(tensor: Tensor) -> Tensor:
    assert tensor.data is not None
    return replace(
        tensor,
        name=f"{tensor.name}_float16",
        type=replace(tensor.type, dtype=DType.FLOAT16),
        data=tensor.data.astype(np.float16),
    )


TECHNIQUE = Technique(
    NAME, "float16 weights: half the file, the same speed and nearly the same answers", apply
)
