"""Nets with every way in which channels hang together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.compress.slimming.channels import trace
from sanderling.graph.graph import Model
from tests.models import Net

_CONV = {
    "padding": "SAME",
    "dilation_w_factor": 1,
    "dilation_h_factor": 1,
    "fused_activation_function": "NONE",
}
# Where the operands stand that a result's channels have for themselves.
_WEIGHTED = {
    "CONV_2D": slice(1, 3),
    "FULLY_CONNECTED": slice(1, 3),
    "DEPTHWISE_CONV_2D": slice(1, 3),
    "TRANSPOSE_CONV": slice(1, 4, 2),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": slice(1, 16),
}


def depthwise(net: Net, stride: int = 1) -> Net:
    n, h, w, c = net.tensors[net.last].shape
    weights = (net.rng.standard_normal((1, 3, 3, c)) / 3).astype(np.float32)
    bias = (net.rng.standard_normal(c) * 0.1).astype(np.float32)
    operands = (net.constant(weights, f"w{len(net.nodes)}"), net.constant(bias, f"b{len(net.nodes)}"))
    attrs = {**_CONV, "stride_w": stride, "stride_h": stride, "depth_multiplier": 1}
    return net.op(
        "DEPTHWISE_CONV_2D", (n, h // stride, w // stride, c), operands, "DepthwiseConv2DOptions", **attrs
    )


def binary(net: Net, kind: str, other: int) -> Net:
    options = f"{kind.title()}Options"
    return net.op(kind, net.tensors[net.last].shape, (other,), options, fused_activation_function="NONE")


def transpose_conv(net: Net, filters: int) -> Net:
    """Doubles height and width."""
    n, h, w, c = net.tensors[net.last].shape
    weights = (net.rng.standard_normal((filters, 3, 3, c)) / (3 * c**0.5)).astype(np.float32)
    shape = net.constant(np.array((n, 2 * h, 2 * w, filters), np.int32), f"shape{len(net.nodes)}")
    kernel, x = net.constant(weights, f"w{len(net.nodes)}"), net.last
    net.last = shape  # the operand that comes first
    return net.op(
        "TRANSPOSE_CONV", (n, 2 * h, 2 * w, filters), (kernel, x), "TransposeConvOptions", padding="SAME",
        stride_w=2, stride_h=2, fused_activation_function="NONE",
    )  # fmt: skip


def chain(seed: int = 0) -> Model:
    """Convolutions, pools, flattening, dense layers, softmax."""
    net = Net((1, 12, 12, 2), seed).conv(16).pool().conv(24).pool()
    return net.reshape(1, 216).dense(32, "RELU").dense(5).softmax().model()


def convolutional(seed: int = 0) -> Model:
    """Convolutions only, so that a few samples hold many rows."""
    return (
        Net((1, 12, 12, 2), seed).conv(16).pool().conv(24).conv(16, size=1).conv(3, activation="NONE").model()
    )


def residual(seed: int = 0) -> Model:
    """A block whose result is added to its operand, with PRELU and a broadcast constant."""
    net = Net((1, 8, 8, 3), seed).conv(16)
    trunk = net.last
    net.conv(16).conv(16, activation="NONE")
    binary(net, "ADD", trunk)
    alpha = net.constant(net.rng.random((1, 1, 16)).astype(np.float32), "alpha")
    net.op("PRELU", (1, 8, 8, 16), (alpha,))
    binary(net, "MUL", net.constant(net.rng.random(16).astype(np.float32), "gain"))
    return net.pool().reshape(1, 256).dense(4).model()


def mobile(seed: int = 0) -> Model:
    """An inverted residual with a squeeze-excite gate."""
    net = Net((1, 8, 8, 3), seed).conv(16, activation="NONE")
    trunk = net.last
    depthwise(net.conv(32, size=1)).op("HARD_SWISH", (1, 8, 8, 32), (), "HardSwishOptions")
    wide = net.last
    axes = net.constant(np.array((1, 2), np.int32), "axes")
    net.op("MEAN", (1, 1, 1, 32), (axes,), "ReducerOptions", keep_dims=True)
    net.conv(8, size=1).conv(32, size=1, activation="NONE").op("LOGISTIC", (1, 1, 1, 32))
    gate, net.last = net.last, wide
    binary(net, "MUL", gate).conv(16, size=1, activation="NONE")
    binary(net, "ADD", trunk)
    return net.pool().reshape(1, 256).dense(6).model()


def branches(seed: int = 0) -> Model:
    """Two branches joined, one of them zero-padded over channels, then resized."""
    net = Net((1, 8, 8, 3), seed).conv(16)
    stem = net.last
    left = net.conv(12, size=1).last
    net.last = stem
    net.conv(8)
    amount = net.constant(np.array(((0, 0), (0, 0), (0, 0), (0, 8)), np.int32), "amount")
    right = net.op("PAD", (1, 8, 8, 16), (amount,), "PadOptions").last
    net.last = left
    net.op(
        "CONCATENATION", (1, 8, 8, 28), (right,), "ConcatenationOptions", axis=-1,
        fused_activation_function="NONE",
    )  # fmt: skip
    size = net.constant(np.array((4, 4), np.int32), "size")
    net.op(
        "RESIZE_BILINEAR", (1, 4, 4, 28), (size,), "ResizeBilinearOptions", align_corners=False,
        half_pixel_centers=True,
    )  # fmt: skip
    return net.conv(3).model()


def decoder(seed: int = 0) -> Model:
    """A dense layer spread over space, then a transposed convolution."""
    net = Net((1, 10), seed).dense(128, "RELU").reshape(1, 4, 4, 8)
    return transpose_conv(net, 8).conv(2, activation="NONE").model()


def dead_channels(model: Model) -> tuple[Model, list[int]]:
    """Makes every third channel of every group zero for any input.

    Returns: the model, and the channels.
    """
    graph = model.main
    found = trace(graph)
    gone = {channel for group in found.groups for channel in group.channels[::3]}
    tensors = list(graph.tensors)
    for node in graph.nodes:
        if node.op not in _WEIGHTED:
            continue
        dead = np.isin(found.slots[node.outputs[0]], sorted(gone))
        for index in (i for i in node.inputs[_WEIGHTED[node.op]] if i >= 0 and tensors[i].is_constant):
            values = tensors[index].data
            assert values is not None
            axis = 3 if node.op == "DEPTHWISE_CONV_2D" and values.ndim == 4 else 0
            alive = np.moveaxis(values.copy(), axis, 0)
            alive[dead] = 0
            zeroed = np.ascontiguousarray(np.moveaxis(alive, 0, axis))
            tensors[index] = replace(tensors[index], data=zeroed)
    return model.with_main(replace(graph, tensors=tuple(tensors))), sorted(gone)
