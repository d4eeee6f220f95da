"""The rules that every graph keeps. Nothing reaches an engine in this process before it has passed here.

LiteRT itself can crash on a file that breaks them.
"""

from __future__ import annotations

from sanderling.errors import InvalidGraph
from sanderling.graph.calls import check_calls
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType

MAX_RANK = 8
MAX_TENSOR_BYTES = 2**31


def verify(model: Model) -> None:
    """Checks a model's structure: indices, order of execution, constants' sizes, quantization.

    Raises:
        InvalidGraph: the first rule that is broken, naming the tensor or operator.
    """
    where = str(model.source or model.name)
    for index, graph in enumerate(model.graphs):
        place = where if index == 0 else f"{where} (subgraph {index})"
        _tensors(graph, place)
        _order(graph, place, controlled=index > 0)
    check_calls(model, where)
    _signatures(model, where)


def _fail(where: str, what: str) -> InvalidGraph:
    return InvalidGraph(what, where=where, hint="the file is damaged, or was written by a faulty converter")


def _tensors(graph: Graph, where: str) -> None:
    for index, tensor in enumerate(graph.tensors):
        label = f"tensor {index} {tensor.name!r}"
        if len(tensor.shape) > MAX_RANK:
            raise _fail(where, f"{label} has rank {len(tensor.shape)}, at most {MAX_RANK} is possible")
        if tensor.type.nbytes > MAX_TENSOR_BYTES:
            raise _fail(where, f"{label} of shape {tensor.shape} takes {tensor.type.nbytes} bytes")
        if tensor.shape_signature and len(tensor.shape_signature) != len(tensor.shape):
            raise _fail(where, f"{label} has shape {tensor.shape} but signature {tensor.shape_signature}")
        _constant(tensor, label, where)
        _quantization(graph, tensor, label, where)


def _constant(tensor: Tensor, label: str, where: str) -> None:
    if tensor.data is None or tensor.sparsity is not None or tensor.dtype is DType.STRING:
        return
    if tensor.dtype in {DType.RESOURCE, DType.VARIANT}:
        raise _fail(where, f"{label} is a {tensor.dtype.value} and cannot be a constant")
    if tensor.data.nbytes != tensor.type.nbytes:
        raise _fail(
            where, f"{label} holds {tensor.data.nbytes} bytes, {tensor.type} takes {tensor.type.nbytes}"
        )


def _quantization(graph: Graph, tensor: Tensor, label: str, where: str) -> None:
    quant = tensor.quant
    if quant is None:
        return
    if quant.block is not None:
        if not all(0 <= index < len(graph.tensors) for index in quant.block[:1]):
            raise _fail(where, f"{label} takes its block scales from a tensor that is not there")
        return
    if quant.axis is None:
        return
    if not 0 <= quant.axis < len(tensor.shape):
        raise _fail(where, f"{label} of rank {len(tensor.shape)} is quantized along dimension {quant.axis}")
    if quant.scale.size != tensor.shape[quant.axis]:
        channels = tensor.shape[quant.axis]
        raise _fail(where, f"{label} has {quant.scale.size} scales for {channels} channels")


def _order(graph: Graph, where: str, *, controlled: bool) -> None:
    """Every operand exists and is computed before it is used; every result is written once."""
    count = len(graph.tensors)
    for name, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for index in indices:
            if not 0 <= index < count:
                raise _fail(where, f"the graph's {name} is tensor {index}, there are {count}")
    if not controlled and not graph.outputs:
        raise _fail(where, "the graph has no output")
    constants = {i for i, tensor in enumerate(graph.tensors) if tensor.is_constant}
    if clash := constants & set(graph.inputs):
        raise _fail(where, f"the graph's input, tensor {min(clash)}, is a constant")
    ready = set(graph.inputs) | constants
    ready |= {i for i, tensor in enumerate(graph.tensors) if tensor.is_variable}
    for position, node in enumerate(graph.nodes):
        _node(graph, node, f"operator {position} ({node.kind})", ready, where)
        ready.update(i for i in node.outputs if i >= 0)
    for index in graph.outputs:
        if index not in ready:
            raise _fail(where, f"the graph's output, tensor {index}, is never computed")


def _node(graph: Graph, node: Node, label: str, ready: set[int], where: str) -> None:
    count = len(graph.tensors)
    for index in (*node.inputs, *node.intermediates):
        if not -1 <= index < count:
            raise _fail(where, f"{label} reads tensor {index}, there are {count}")
    for index in node.inputs:
        if index >= 0 and index not in ready:
            raise _fail(where, f"{label} reads tensor {index} before it is computed")
    for index in node.outputs:
        if not 0 <= index < count:
            raise _fail(where, f"{label} writes tensor {index}, there are {count}")
        if graph.tensors[index].is_constant:
            raise _fail(where, f"{label} writes tensor {index}, which is a constant")
        if index in ready and not graph.tensors[index].is_variable:
            raise _fail(where, f"{label} writes tensor {index}, which is an input or already written")


def _signatures(model: Model, where: str) -> None:
    for signature in model.signatures:
        if not 0 <= signature.graph < len(model.graphs):
            raise _fail(where, f"signature {signature.key!r} names subgraph {signature.graph}")
        graph = model.graphs[signature.graph]
        for pairs, allowed, what in (
            (signature.inputs, graph.inputs, "input"),
            (signature.outputs, graph.outputs, "output"),
        ):
            for name, index in pairs:
                if index not in allowed:
                    raise _fail(
                        where, f"signature {signature.key!r} names {name!r}, which is no {what} of its graph"
                    )
