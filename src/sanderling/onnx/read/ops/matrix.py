"""Products of matrices."""

from __future__ import annotations

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.registry import onnx_op
from sanderling.onnx.read.regroup import regrouped


@onnx_op("MatMul")
def matmul(call: Call) -> list[Value]:
    return [product(call, call.value(0), call.value(1))]


def product(call: Call, a: Value, b: Value) -> Value:
    """Returns: a · b as NumPy's matmul has it."""
    builder = call.builder
    left, right = builder.shape(a), builder.shape(b)
    if len(left) == 1:
        found = product(call, regrouped(call, a, (1, *left)), b)
        sizes = builder.shape(found)
        return regrouped(call, found, sizes[:-1] if len(right) == 1 else sizes[:-2] + sizes[-1:])
    if len(right) == 1:
        found = product(call, a, regrouped(call, b, (*right, 1)))
        return regrouped(call, found, builder.shape(found)[:-1])
    if left[-1] != right[-2]:
        raise UnsupportedOperator(f"a product of {list(left)} and {list(right)}")
    if len(right) == 2 and builder.known(b) is not None:
        return connected(call, a, Value(b.index, tuple(1 - axis for axis in b.order)), None)
    rank = max(len(left), len(right), 3)
    x, y = (call.raised(each, rank) for each in (a, b))
    # A matrix that lies transposed is taken as it lies.
    turned = plain_but_last(y)
    right_index = builder.stored(y, turned) if turned == y.order else builder.plain(y)
    index = call.emit("BATCH_MATMUL", (builder.plain(x), right_index), adj_x=False, adj_y=turned == y.order,
                      asymmetric_quantize_inputs=False)  # fmt: skip
    found = call.plain(index)
    shape = builder.shape(found)
    return regrouped(call, found, shape[len(shape) - max(len(left), len(right)) :])


def plain_but_last(value: Value) -> tuple[int, ...]:
    """Returns: the axes as ONNX has them, the last two exchanged."""
    rank = len(value.order)
    return (*range(rank - 2), rank - 1, rank - 2)


def connected(call: Call, x: Value, weights: Value, bias: Value | None) -> Value:
    """Returns: x · weightsᵀ + bias over the last axis of x.

    Args:
        weights: [outputs, inputs].
    """
    builder = call.builder
    shape = builder.shape(x)
    operands = [builder.plain(x), builder.plain(weights)]
    if bias is not None:
        operands.append(builder.plain(bias))
    else:
        operands.append(-1)
    index = call.emit("FULLY_CONNECTED", operands, fused_activation_function="NONE", weights_format="DEFAULT",
                      keep_num_dims=len(shape) != 2, asymmetric_quantize_inputs=False)  # fmt: skip
    return call.plain(index)


@onnx_op("Gemm")
def gemm(call: Call) -> list[Value]:
    builder = call.builder
    a, b = call.value(0), call.value(1)
    alpha, beta = float(call.attr("alpha", 1.0)), float(call.attr("beta", 1.0))
    if call.attr("transA", 0):
        a = Value(a.index, tuple(1 - axis for axis in a.order))
    if not call.attr("transB", 0):  # weights are [outputs, inputs]
        b = Value(b.index, tuple(1 - axis for axis in b.order))
    if alpha != 1.0:
        b = call.binary("MUL", b, call.constant(alpha))
    c = call.optional(2)
    if c is not None and beta != 1.0:
        c = call.binary("MUL", c, call.constant(beta))
    outputs = builder.shape(b)[0]
    known = builder.known(c)
    if known is not None and known.size in (1, outputs) and known.ndim in (0, 1, 2) and (
        known.ndim < 2 or known.shape[0] == 1
    ):  # fmt: skip
        row = np.broadcast_to(known.reshape(-1), (outputs,)).astype(np.float32)
        return [connected(call, a, b, builder.constant(row, f"{call.name}/bias"))]
    found = connected(call, a, b, None)
    return [found if c is None else call.binary("ADD", found, c)]


@onnx_op("com.microsoft:FusedMatMul")
def fused_matmul(call: Call) -> list[Value]:
    a, b = call.value(0), call.value(1)
    if call.attr("transBatchA", 0) or call.attr("transBatchB", 0):
        raise UnsupportedOperator("a product with turned batches")
    a = _turned(a) if call.attr("transA", 0) else a
    b = _turned(b) if call.attr("transB", 0) else b
    found = product(call, a, b)
    alpha = float(call.attr("alpha", 1.0))
    return [found if alpha == 1.0 else call.binary("MUL", found, call.constant(alpha, DType.FLOAT32))]


def _turned(value: Value) -> Value:
    """Returns: the value with its last two axes exchanged."""
    perm = plain_but_last(value)
    return Value(value.index, tuple(perm.index(axis) for axis in value.order))
