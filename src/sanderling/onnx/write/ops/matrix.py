"""Matrix products."""

from __future__ import annotations

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType
from sanderling.onnx.write.builder import Order, Value, plain_order
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.ops.conv import bias
from sanderling.onnx.write.ops.move import reshaped
from sanderling.onnx.write.registry import tflite_op


@tflite_op("FULLY_CONNECTED")
def fully_connected(call: Call) -> list[Value]:
    """X [.., I] as rows times the transposed weights [O, I]."""
    if str(call.attr("weights_format", "DEFAULT")) != "DEFAULT":
        raise UnsupportedOperator("its weights are shuffled")
    features = call.shape(1)[1]
    x = call.value()
    rows = call.read()
    if len(x.type.shape) != 2 or x.type.shape[1] != features:
        rows = call.builder.read(reshaped(call, x, (-1, features)), folded=not call.integers)
    result = call.op("Gemm", rows, call.read(1), *bias(call, 0, 1, 2), transB=1)
    result = call.activated(result)
    if len(call.outputs[0].shape) != 2:
        result = call.reshape(result, call.out_shape())
    return [call.give(result)]


@tflite_op("BATCH_MATMUL")
def batch_matmul(call: Call) -> list[Value]:
    operands = [call.read(i, _adjoint(call, i)) for i in range(2)]
    return [call.give(call.op("MatMul", *operands))]


def _adjoint(call: Call, position: int) -> Order:
    order = plain_order(call.rank(position))
    flip = call.attr("adj_x" if position == 0 else "adj_y", False)
    return (*order[:-2], order[-1], order[-2]) if flip else order


@tflite_op("EMBEDDING_LOOKUP")
def embedding_lookup(call: Call) -> list[Value]:
    """Rows of a table. Its integers are read as real numbers after they were looked up."""
    table, indices = call.value(1), call.builder.stored(call.value(0))
    return [call.give(call.op("Gather", call.builder.read(table), indices, axis=0))]


@tflite_op("MATRIX_DIAG", "MATRIX_SET_DIAG")
def matrix_diag(call: Call) -> list[Value]:
    setting = call.node.op == "MATRIX_SET_DIAG"
    rows, columns = call.out_shape()[-2:]
    diagonal = call.read(1 if setting else 0)
    spread = call.op("Unsqueeze", diagonal, call.ints(-1 if rows <= columns else -2))
    zeros = call.op("Expand", call.scalar(0), call.ints(rows, columns))
    place = call.cast(call.op("EyeLike", zeros), DType.BOOL)
    dtype = call.computed_dtype()
    rest = call.read(0) if setting else call.scalar(0, dtype)
    return [call.give(call.where(place, spread, rest, dtype))]
