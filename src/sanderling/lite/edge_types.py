"""Inputs and outputs of an int8 model in other types: uint8, which cameras have, or float32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Model, Node, Tensor
from sanderling.graph.types import DType, Quant

_LEAVING = {
    DType.UINT8: ("QUANTIZE", "QuantizeOptions"),
    DType.FLOAT32: ("DEQUANTIZE", "DequantizeOptions"),
}
_SHIFT = 128  # uint8 u and int8 u − 128 are the same step


def with_edges(model: Model, inputs: DType, outputs: DType) -> Model:
    """Puts a conversion between every int8 edge and one of the wanted type, uint8 or float32."""
    graph = model.main
    tensors, before, after = list(graph.tensors), list[Node](), list[Node]()
    renamed: dict[int, int] = {}
    for wanted, ports in ((inputs, graph.inputs), (outputs, graph.outputs)):
        for index in ports:
            inner = tensors[index]
            same = wanted is inner.dtype or index in renamed
            if same or inner.dtype is not DType.INT8 or inner.quant is None:
                continue
            renamed[index] = len(tensors)
            tensors.append(_outer(inner, wanted))
            tensors[index] = replace(inner, name=f"{inner.name}/int8")
            if ports is graph.inputs:
                node = Node("QUANTIZE", (renamed[index],), (index,), options="QuantizeOptions")
                before.append(node)
            else:
                op, options = _LEAVING[wanted]
                after.append(Node(op, (index,), (renamed[index],), options=options))
    signatures = tuple(
        replace(
            each,
            inputs=tuple((name, renamed.get(index, index)) for name, index in each.inputs),
            outputs=tuple((name, renamed.get(index, index)) for name, index in each.outputs),
        )
        for each in model.signatures
    )
    changed = replace(
        graph,
        tensors=tuple(tensors),
        nodes=(*before, *graph.nodes, *after),
        inputs=tuple(renamed.get(index, index) for index in graph.inputs),
        outputs=tuple(renamed.get(index, index) for index in graph.outputs),
    )
    return replace(model.with_main(changed), signatures=signatures)


def _outer(inner: Tensor, wanted: DType) -> Tensor:
    assert inner.quant is not None
    if wanted is DType.FLOAT32:
        return replace(inner, type=replace(inner.type, dtype=wanted, quant=None))
    zero_points = np.asarray(inner.quant.zero_point + _SHIFT, np.int64)
    quant = Quant(inner.quant.scale, zero_points)
    return replace(inner, type=replace(inner.type, dtype=DType.UINT8, quant=quant))
