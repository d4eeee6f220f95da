"""Small transformers, normalized before or after each sum, with or without a mask from the side."""

from __future__ import annotations

import numpy as np

from sanderling.graph.graph import Graph, Model, Signature, Tensor
from sanderling.graph.types import DType, TensorType
from tests.compress.slim_nets import binary
from tests.models import Net


def dense(net: Net, units: int) -> Net:
    *outer, depth = net.tensors[net.last].shape
    weights = (net.rng.standard_normal((units, depth)) / depth**0.5).astype(np.float32)
    bias = (net.rng.standard_normal(units) * 0.1).astype(np.float32)
    operands = (net.constant(weights, f"w{len(net.nodes)}"), net.constant(bias, f"b{len(net.nodes)}"))
    return net.op(
        "FULLY_CONNECTED", (*outer, units), operands, "FullyConnectedOptions",
        fused_activation_function="NONE", weights_format="DEFAULT", keep_num_dims=True,
    )  # fmt: skip


def normalize(net: Net) -> Net:
    """Mean 0, variance 1 over the channels, then a gain and a shift."""
    x, shape = net.last, net.tensors[net.last].shape
    flat = (*shape[:-1], 1)
    axis = net.constant(np.array([-1], np.int32), "axis")
    mean = net.op("MEAN", flat, (axis,), "ReducerOptions", keep_dims=True).last
    net.last = x
    centred = net.op("SUB", shape, (mean,), "SubOptions", fused_activation_function="NONE").last
    binary(net, "MUL", centred).op("MEAN", flat, (axis,), "ReducerOptions", keep_dims=True)
    net.op("ADD", flat, (net.constant(np.array([1e-6], np.float32), "epsilon"),), "AddOptions",
           fused_activation_function="NONE").op("RSQRT", flat)  # fmt: skip
    scale, net.last = net.last, centred
    binary(net, "MUL", scale)
    binary(net, "MUL", net.constant(net.rng.uniform(0.5, 1.5, shape[-1]).astype(np.float32), "gain"))
    shift = (net.rng.standard_normal(shape[-1]) * 0.1).astype(np.float32)
    return binary(net, "ADD", net.constant(shift, "shift"))


def _heads(net: Net, heads: int) -> Net:
    n, tokens, width = net.tensors[net.last].shape
    net.reshape(n, tokens, heads, width // heads)
    order = net.constant(np.array([0, 2, 1, 3], np.int32), "order")
    return net.op("TRANSPOSE", (n, heads, tokens, width // heads), (order,), "TransposeOptions")


def attention(net: Net, heads: int, mask: int | None) -> Net:
    x, (n, tokens, width) = net.last, net.tensors[net.last].shape
    query = _heads(dense(net, width), heads).last
    net.last = x
    key = _heads(dense(net, width), heads).last
    net.last = x
    value = _heads(dense(net, width), heads).last
    net.last = query
    shape, matmul = (n, heads, tokens, tokens), "BatchMatMulOptions"
    net.op("BATCH_MATMUL", shape, (key,), matmul, adj_x=False, adj_y=True, asymmetric_quantize_inputs=False)
    if mask is not None:
        binary(net, "ADD", mask)
    net.softmax()
    net.op("BATCH_MATMUL", (n, heads, tokens, width // heads), (value,), matmul, adj_x=False, adj_y=False,
           asymmetric_quantize_inputs=False)  # fmt: skip
    order = net.constant(np.array([0, 2, 1, 3], np.int32), "order")
    net.op("TRANSPOSE", (n, tokens, heads, width // heads), (order,), "TransposeOptions")
    return dense(net.reshape(n, tokens, width), width)


def _feed_forward(net: Net, wide: int) -> Net:
    width = net.tensors[net.last].shape[-1]
    shape = (*net.tensors[net.last].shape[:-1], wide)
    return dense(dense(net, wide).op("GELU", shape, (), "GeluOptions", approximate=False), width)


def _layers(net: Net, layers: int, mask: int | None, *, before: bool) -> None:
    for _ in range(layers):
        for branch in (lambda: attention(net, 2, mask), lambda: _feed_forward(net, 32)):
            stream = net.last
            if before:
                normalize(net)
            branch()
            binary(net, "ADD", stream)
            if not before:
                normalize(net)


def sentences(layers: int = 2, places: int = 24, seed: int = 0) -> Model:
    """An encoder of sequences [1, places] with a mask of ones and zeros, a table of positions, and the mean
    over the places that hold something."""
    net = Net((1, places), seed)
    net.tensors.append(Tensor("mask", TensorType((1, places), DType.FLOAT32)))
    given = net.last = len(net.tensors) - 1
    counts = net.reshape(1, places, 1).last
    binary(net.reshape(1, 1, 1, places), "SUB", net.constant(np.ones(1, np.float32), "one"))
    mask = binary(net, "MUL", net.constant(np.array([1e4], np.float32), "far")).last
    net.last = 0
    dense(net.reshape(1, places, 1), 16)
    table = net.rng.standard_normal((1, places, 16)).astype(np.float32)
    binary(net, "ADD", net.constant(table, "places"))
    _layers(net, layers, mask, before=True)
    axis = net.constant(np.array([1], np.int32), "axis")
    binary(net, "MUL", counts).op("SUM", (1, 16), (axis,), "ReducerOptions", keep_dims=False)
    total, net.last = net.last, given
    net.op("SUM", (1, 1), (axis,), "ReducerOptions", keep_dims=True)
    count, net.last = net.last, total
    net.op("DIV", (1, 16), (count,), "DivOptions", fused_activation_function="NONE")
    graph = Graph(tuple(net.tensors), tuple(net.nodes), (0, given), (net.last,), "main")
    return Model((graph,), (Signature("serving_default", (("x", 0), ("mask", given)), (("y", net.last),)),))


def transformer(
    layers: int = 4, *, before: bool = True, masked: bool = False, tokens: int = 6, seed: int = 0
) -> Model:
    """Encoder layers between a dense layer and a mean over the tokens.

    Args:
        before: normalize what goes into a branch; else the sum that comes out.
        masked: a second input is added to the attention's scores of every layer.
    """
    net = Net((1, tokens, 8), seed)
    inputs, mask = [0], None
    if masked:
        net.tensors.append(Tensor("mask", TensorType((1, 1, 1, tokens), DType.FLOAT32)))
        inputs.append(len(net.tensors) - 1)
        net.last = inputs[1]
        mask = net.op("NEG", (1, 1, 1, tokens), (), "NegOptions").last
        net.last = 0
    dense(net, 16)
    if not before:
        normalize(net)
    _layers(net, layers, mask, before=before)
    axis = net.constant(np.array([1], np.int32), "axis")
    net.op("MEAN", (1, 16), (axis,), "ReducerOptions", keep_dims=False).dense(5)
    graph = Graph(tuple(net.tensors), tuple(net.nodes), tuple(inputs), (net.last,), "main")
    names = tuple(zip(("x", "mask"), inputs, strict=False))
    return Model((graph,), (Signature("serving_default", names, (("y", net.last),)),))
