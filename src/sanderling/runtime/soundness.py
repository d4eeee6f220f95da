"""Whether a model may be handed to an engine in this process.

What is checked here LiteRT takes on trust: a file that breaks it ends the process, at loading or at the first
call. What LiteRT finds by itself is left to it, for inference here may be stricter than an engine.
"""

from __future__ import annotations

from collections.abc import Collection

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.verify import MAX_RANK, verify
from sanderling.ops import registry
from sanderling.ops.op import MissingOperand, Op
from sanderling.runtime.sparse_weights import fault_of_constant, fault_of_reader

# Operator → which operand is the shape of its result.
_SHAPE_OPERAND = {
    "BROADCAST_TO": 1, "FILL": 0, "RANDOM_STANDARD_NORMAL": 0, "RANDOM_UNIFORM": 0, "RESHAPE": 1,
    "SCATTER_ND": 2, "SPARSE_TO_DENSE": 1,
}  # fmt: skip
_UNPACKERS = {"DENSIFY", "DEQUANTIZE"}  # of stored weights: engines run them ahead of all calls
_PRODUCTS = {"BATCH_MATMUL", "MUL"}
_DAMAGED = "the file is damaged, or was written by a faulty converter"
# LiteRT aborts from 2^19 for ADD, from 2^31 for others. Either way the result has no values left to tell.
_COARSEST = 2.0**19
# LiteRT limits the factor of its operand: a mask that adds -1e38 leaves steps of 1e35, and 0 or 1 behind it.
_CLAMPED = {"SOFTMAX"}


def check(model: Model) -> None:
    """Verifies a model (``graph/verify.py``) and what LiteRT takes on trust of its operators.

    Raises:
        InvalidGraph: the first rule that is broken, naming the tensor or operator.
    """
    verify(model)
    where = str(model.source or model.name)
    for index, graph in enumerate(model.graphs):
        place = where if index == 0 else f"{where} (subgraph {index})"
        for number, tensor in enumerate(graph.tensors):
            if fault := fault_of_constant(tensor):
                raise InvalidGraph(f"tensor {number} {tensor.name!r}: {fault}", where=place, hint=_DAMAGED)
        stored = {i for i, tensor in enumerate(graph.tensors) if tensor.is_constant}
        kept = {i for node in graph.nodes if node.op == "ASSIGN_VARIABLE" for i in node.inputs[1:]}
        for position, node in enumerate(graph.nodes):
            if node.op in _UNPACKERS and stored.issuperset(node.inputs):
                stored.update(node.outputs)
            if fault := _fault(graph, node, stored, kept):
                raise InvalidGraph(
                    f"operator {position} ({node.kind}): {fault}",
                    where=place,
                    hint=_DAMAGED,
                )


def _fault(graph: Graph, node: Node, stored: Collection[int], kept: Collection[int]) -> str:
    """Returns: what is wrong with a node, "" when nothing is.

    Args:
        graph, node: the node and where it stands.
        stored: tensors whose values are known before any call.
        kept: tensors that are assigned to a variable.
    """
    rank = _asked_rank(graph, node)
    if rank > MAX_RANK:
        return f"it asks for rank {rank}, at most {MAX_RANK} is possible"
    for index in node.outputs:
        if graph.tensors[index].is_variable:
            return f"it writes tensor {index}, a variable, which only the operator that reads it may change"
    if node.op in _UNPACKERS and node.outputs and node.outputs[0] in stored and node.inputs:
        read, written = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
        if read.shape != written.shape:
            return f"it unpacks {read.type} into {written.type}"
    if fault := fault_of_reader(graph, node):
        return fault
    op = registry.find(node.op)
    return "" if op is None else _operands(op, graph, node, kept) or _scales(op, graph, node)


def _asked_rank(graph: Graph, node: Node) -> int:
    """Returns: the rank of the shape that an operator is told to give its result, 0 where it is told none."""
    position = _SHAPE_OPERAND.get(node.op, len(node.inputs))
    index = node.inputs[position] if position < len(node.inputs) else -1
    size = graph.tensors[index].type.size if index >= 0 and graph.tensors[index].is_constant else 0
    return max(size, len(node.attrs.get("new_shape") or ()))


def _operands(op: Op, graph: Graph, node: Node, kept: Collection[int]) -> str:
    """Operands that it cannot do without are there (LiteRT follows an index of −1 in ADD, and reads beyond
    those of SLICE); results have room for what is written (RESHAPE of int32 into int8 writes past it, and so
    does a state whose shape is not the variable's)."""
    results = graph.results(node)
    try:
        inferred = op.infer(node, graph.operands(node), results)
    except MissingOperand as error:
        return error.what
    except InvalidGraph:  # whoever runs it says what does not fit
        return ""
    for index, told, kind in zip(node.outputs, results, inferred, strict=False):
        if told.dtype.bits < kind.dtype.bits or (op.moves_data and told.dtype != kind.dtype):
            return f"it gives {kind.dtype.value}, its result is {told.dtype.value}"
        if index in kept and -1 not in kind.shape and told.shape != kind.shape:
            return f"it gives {kind}, which is kept between calls as {told.type}"
    return ""


def _scales(op: Op, graph: Graph, node: Node) -> str:
    """One step of an operand is not more than the whole range of the result."""
    result = _scale(graph.tensors[node.outputs[0]]) if node.outputs else 0.0
    given = [_scale(tensor) for tensor in graph.operands(node) if tensor is not None]
    known = [scale for scale in given if scale > 0]
    if not result > 0 or not known or node.op in _CLAMPED:
        return ""
    multiplied = op.name in _PRODUCTS or bool(op.quant.weights)
    step = known[0] * known[1] if multiplied and len(known) > 1 else max(known)
    if step / result >= _COARSEST:
        return f"its operands' scale is {step:.3g}, its result's {result:.3g}, which cannot be"
    return ""


def _scale(tensor: Tensor) -> float:
    """Returns: the largest scale of an integer tensor, 0 where it has none."""
    quant = tensor.quant
    if quant is None or not tensor.type.is_quantized or tensor.dtype.bits > 16:
        return 0.0
    return float(quant.scale.max())
