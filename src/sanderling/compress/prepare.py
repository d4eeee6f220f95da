"""Makes a model palatable to the quantizer, and turns what comes back into the user's model again.

The quantizer wants unique, non-empty tensor names (old files have neither), opcodes in the new field (our
writer fills in both) and constants that are plain constants. It drops signatures it does not understand,
metadata and the appended zip, and renames outputs. So tensors get names of our own on the way in, which
also carry the decision whether an operator stays float, and everything is put back on the way out.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from sanderling.compress.eligible import WEIGHTS
from sanderling.errors import RecipeError
from sanderling.graph.constant import real
from sanderling.graph.graph import Graph, Model, Signature
from sanderling.graph.types import DType, TensorType
from sanderling.passes import PLAIN_WEIGHTS, run

# Operators whose first output has this name stay float; so do whole graphs under FLOAT_GRAPH.
FLOAT_OPERATOR, FLOAT_GRAPH, INTEGER_OPERATOR = "f", "g", "q"
_NAME = re.compile(r"^([fgq])(\d+)_(\d+)(.*)$", re.DOTALL)


def fold(model: Model) -> Model:
    """Returns: the model whose float16, sparse and derivable weights are plain float32."""
    folded, _ = run(model, PLAIN_WEIGHTS)
    return folded.with_main(_unpacked(folded.main))


def _unpacked(graph: Graph) -> Graph:
    """Turns integer weights of operators that work on floats (dynamic quantization) into float32."""
    tensors = list(graph.tensors)
    for node in graph.nodes:
        position = WEIGHTS.get(node.op)
        if position is None or position >= len(node.inputs) or node.inputs[position] < 0:
            continue
        weights = tensors[node.inputs[position]]
        floats = graph.tensors[node.outputs[0]].dtype is DType.FLOAT32
        if floats and weights.is_constant and weights.type.is_quantized:
            values = np.ascontiguousarray(real(weights)).reshape(weights.shape)
            kind = TensorType(weights.shape, DType.FLOAT32)
            tensors[node.inputs[position]] = replace(weights, type=kind, data=values, sparsity=None)
    return replace(graph, tensors=tuple(tensors))


def given_names(model: Model, float_nodes: Collection[int] = ()) -> Model:
    """Returns: a copy with names of our own, one signature, and nothing else but the graphs.

    Args:
        model: the folded model.
        float_nodes: positions of the main graph's nodes that are to stay float.
    """
    graphs = tuple(_renamed(graph, index, float_nodes) for index, graph in enumerate(model.graphs))
    # Without any signature the quantizer trips over its own bookkeeping of renamed outputs.
    inputs = tuple((f"input_{p}", i) for p, i in enumerate(graphs[0].inputs))
    outputs = tuple((f"output_{p}", i) for p, i in enumerate(graphs[0].outputs))
    return Model(graphs, (Signature("main", inputs, outputs),))


def quantizer_name(graph: int, tensor: int, *, stays_float: bool) -> str:
    """Returns: the name a tensor has on its way through the quantizer."""
    mark = FLOAT_GRAPH if graph else FLOAT_OPERATOR if stays_float else INTEGER_OPERATOR
    return f"{mark}{graph}_{tensor}"


def restore(quantized: Model, original: Model) -> Model:
    """Gives a quantized model its original's names, signatures, metadata, description and appended zip.

    Args:
        quantized: what the quantizer made of ``given_names(original, …)``.
        original: the folded model.

    Raises:
        RecipeError: the quantizer changed the number of graphs, inputs or outputs.
    """
    if len(quantized.graphs) != len(original.graphs):
        raise RecipeError(f"quantizing gave {len(quantized.graphs)} graphs, expected {len(original.graphs)}")
    graphs = tuple(_restored(q, o) for q, o in zip(quantized.graphs, original.graphs, strict=True))
    restored = replace(original, graphs=graphs, source=original.source)
    return replace(restored, signatures=tuple(_signature(s, original, restored) for s in original.signatures))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a tensor of a quantized model comes from: the original's tensor index, and what was appended."""

    tensor: int
    suffix: str


def origin(name: str) -> Origin | None:
    """Returns: what the quantizer's name says; None for a tensor that the quantizer made up."""
    match = _NAME.match(name)
    return Origin(int(match[3]), match[4]) if match else None


def _renamed(graph: Graph, index: int, float_nodes: Collection[int]) -> Graph:
    stays = {t for p in float_nodes for t in graph.nodes[p].outputs} if index == 0 else set()
    tensors = tuple(
        replace(t, name=quantizer_name(index, i, stays_float=i in stays)) for i, t in enumerate(graph.tensors)
    )
    return replace(graph, tensors=tensors, name=f"graph_{index}")


def _restored(quantized: Graph, original: Graph) -> Graph:
    _same_number("inputs", quantized.inputs, original.inputs)
    _same_number("outputs", quantized.outputs, original.outputs)
    origins = [origin(t.name) for t in quantized.tensors]
    names = [
        t.name if came is None else original.tensors[came.tensor].name + came.suffix
        for t, came in zip(quantized.tensors, origins, strict=True)
    ]
    # The caller's side of an inserted QUANTIZE or DEQUANTIZE takes over the name the caller knows.
    ours = (*quantized.inputs, *quantized.outputs)
    for place, known in zip(ours, (*original.inputs, *original.outputs), strict=True):
        for other, came in enumerate(origins):
            if came == Origin(known, "") and other != place:
                names[other] = f"{original.tensors[known].name}_int8"
    for place, known in zip(ours, (*original.inputs, *original.outputs), strict=True):
        names[place] = original.tensors[known].name
    tensors = tuple(replace(t, name=n) for t, n in zip(quantized.tensors, names, strict=True))
    return replace(quantized, tensors=tensors, name=original.name)


def _same_number(kind: str, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if len(got) != len(expected):
        raise RecipeError(f"quantizing gave {len(got)} {kind}, expected {len(expected)}")


def _signature(signature: Signature, original: Model, restored: Model) -> Signature:
    old, new = original.graphs[signature.graph], restored.graphs[signature.graph]
    inputs = dict(zip(old.inputs, new.inputs, strict=True))
    outputs = dict(zip(old.outputs, new.outputs, strict=True))

    def moved(pairs: tuple[tuple[str, int], ...], where: dict[int, int]) -> tuple[tuple[str, int], ...]:
        for name, index in pairs:
            if index not in where:
                raise RecipeError(
                    f"signature '{signature.key}' exposes '{name}', which is neither an input nor an output"
                )
        return tuple((name, where[index]) for name, index in pairs)

    return replace(
        signature, inputs=moved(signature.inputs, inputs), outputs=moved(signature.outputs, outputs)
    )
