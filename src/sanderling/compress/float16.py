"""Half-precision weights: half the file, the same arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sanderling.compress.applied import Applied
from sanderling.compress.options import Options
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType

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
    tensors, nodes, too_large = list(graph.tensors), [], []
    for index in _weights(graph):
        tensor = graph.tensors[index]
        assert tensor.data is not None
        if not _fits(tensor):
            too_large.append(tensor.name)
            continue
        half = _half(tensor)
        tensors.append(half)
        tensors[index] = replace(tensor, data=None)
        nodes.append(Node("DEQUANTIZE", (len(tensors) - 1,), (index,)))
    converted = replace(graph, tensors=tuple(tensors), nodes=(*nodes, *graph.nodes))
    return converted, too_large, len(nodes)


def _weights(graph: Graph) -> list[int]:
    """Returns: indices of the float32 constants that may be computed by a DEQUANTIZE instead."""
    banned = set(graph.inputs) | set(graph.outputs)
    read: set[int] = set()
    for node in graph.nodes:
        (banned if node.op in _CONSTANTS_ONLY else read).update(node.inputs)
        banned.update(node.outputs)
    return [
        index
        for index in sorted(read - banned)
        if index >= 0 and _is_plain(graph.tensors[index]) and graph.tensors[index].type.size >= MIN_ELEMENTS
    ]


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
