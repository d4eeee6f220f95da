"""Nets whose channels are moved about: cut, folded into space, kept apart in groups, compared, remembered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Graph, Model, Tensor
from sanderling.graph.types import DType, TensorType
from tests.compress.slim_nets import binary
from tests.models import Net

_CONV = {
    "padding": "SAME", "stride_w": 1, "stride_h": 1, "dilation_w_factor": 1, "dilation_h_factor": 1,
    "fused_activation_function": "NONE",
}  # fmt: skip


def _weights(net: Net, shape: tuple[int, ...]) -> tuple[int, int]:
    values = (net.rng.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5).astype(np.float32)
    bias = (net.rng.standard_normal(shape[0]) * 0.1).astype(np.float32)
    return net.constant(values, f"w{len(net.nodes)}"), net.constant(bias, f"b{len(net.nodes)}")


def grouped(net: Net, filters: int, groups: int) -> Net:
    n, h, w, c = net.tensors[net.last].shape
    operands = _weights(net, (filters, 3, 3, c // groups))
    return net.op("CONV_2D", (n, h, w, filters), operands, "Conv2DOptions", **_CONV)


def multiplied(net: Net, times: int) -> Net:
    """A depthwise convolution that makes several channels of each."""
    n, h, w, c = net.tensors[net.last].shape
    weights = (net.rng.standard_normal((1, 3, 3, c * times)) / 3).astype(np.float32)
    bias = (net.rng.standard_normal(c * times) * 0.1).astype(np.float32)
    operands = (net.constant(weights, f"w{len(net.nodes)}"), net.constant(bias, f"b{len(net.nodes)}"))
    options, attrs = "DepthwiseConv2DOptions", {**_CONV, "depth_multiplier": times}
    return net.op("DEPTHWISE_CONV_2D", (n, h, w, c * times), operands, options, **attrs)


def in_groups(seed: int = 0) -> Model:
    """Grouped convolutions, one of them with as many groups as channels."""
    net = grouped(Net((1, 8, 8, 3), seed).conv(32), 48, 2)
    net.op("RELU", (1, 8, 8, 48))
    net = grouped(net.conv(24), 48, 24).op("RELU", (1, 8, 8, 48))
    return net.conv(4, activation="NONE").model()


def multipliers(seed: int = 0) -> Model:
    """A depthwise convolution with a multiplier, then a dense layer on all pixels."""
    net = multiplied(Net((1, 8, 8, 3), seed).conv(16), 2).op("RELU6", (1, 8, 8, 32)).pool()
    return net.reshape(1, 512).dense(5).model()


def through_space(seed: int = 0) -> Model:
    """Channels become pixels, and pixels channels."""
    net = Net((1, 8, 8, 3), seed).conv(64)
    net.op("DEPTH_TO_SPACE", (1, 16, 16, 16), (), "DepthToSpaceOptions", block_size=2).conv(16)
    net.op("SPACE_TO_DEPTH", (1, 8, 8, 64), (), "SpaceToDepthOptions", block_size=2)
    return net.conv(4, size=1, activation="NONE").model()


def split(net: Net, count: int) -> list[int]:
    """Cuts the channels into equal parts. Returns: their tensors."""
    x, (*outer, depth) = net.last, net.tensors[net.last].shape
    axis = net.constant(np.array(-1, np.int32), "axis")
    net.last = axis
    net.op("SPLIT", (*outer, depth // count), (x,), "SplitOptions", num_splits=count)
    for turn in range(1, count):
        net.tensors.append(Tensor(f"part{turn}", TensorType((*outer, depth // count), DType.FLOAT32)))
    parts = [net.last, *range(len(net.tensors) - count + 1, len(net.tensors))]
    net.nodes[-1] = replace(net.nodes[-1], outputs=tuple(parts))
    return parts


def gated(seed: int = 0) -> Model:
    """One half of the channels opens and closes the other; a third part passes by."""
    net = Net((1, 8, 8, 3), seed).conv(48)
    left, middle, right = split(net, 3)
    net.last = left
    net.op("LOGISTIC", (1, 8, 8, 16))
    binary(net, "MUL", middle).conv(16)
    net.op("CONCATENATION", (1, 8, 8, 32), (right,), "ConcatenationOptions", axis=3,
           fused_activation_function="NONE")  # fmt: skip
    return net.conv(4, activation="NONE").model()


def sliced(seed: int = 0) -> Model:
    """Parts of the channels by STRIDED_SLICE, SLICE and SPLIT_V, and rows that are packed again."""
    net = Net((1, 8, 8, 3), seed).conv(32)
    whole = net.last
    masks = {"begin_mask": 7, "end_mask": 7, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    bounds = [
        net.constant(np.array(v, np.int32), f"bound{v}") for v in ((0, 0, 0, 8), (0, 0, 0, 32), (1,) * 4)
    ]
    net.op("STRIDED_SLICE", (1, 8, 8, 24), tuple(bounds), "StridedSliceOptions", **masks).conv(16)
    left, net.last = net.last, whole
    bounds = [net.constant(np.array(v, np.int32), f"b{v}") for v in ((0, 0, 0, 0), (1, 8, 8, 16))]
    net.op("SLICE", (1, 8, 8, 16), tuple(bounds), "SliceOptions")
    binary(net, "ADD", left).conv(24)
    bounds = [net.constant(np.array(v, np.int32), f"c{v}") for v in ((8, 16), 3)]
    net.op("SPLIT_V", (1, 8, 8, 8), tuple(bounds), "SplitVOptions", num_splits=2)
    small, node = net.last, net.nodes[-1]
    net.tensors.append(Tensor("large", TensorType((1, 8, 8, 16), DType.FLOAT32)))
    large = len(net.tensors) - 1
    net.nodes[-1] = replace(node, outputs=(small, large))
    net = binary(net.conv(16), "ADD", large)
    return net.conv(4, activation="NONE").model()


def recurrent(seed: int = 0, hidden: int = 24) -> Model:
    """A dense layer, an LSTM over 6 steps, a dense layer on the last."""
    net = Net((6, 4), seed).dense(16, "RELU").reshape(1, 6, 16)
    tensors = [
        *[_weights(net, (hidden, 16))[0] for _ in range(4)],
        *[_weights(net, (hidden, hidden))[0] for _ in range(4)],
        *[-1] * 3,
        *[_weights(net, (hidden, 1))[1] for _ in range(4)],
        *[-1] * 2,
    ]  # fmt: skip
    for name in ("activation", "cell"):
        net.tensors.append(Tensor(name, TensorType((1, hidden), DType.FLOAT32), is_variable=True))
        tensors.append(len(net.tensors) - 1)
    net.op(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", (1, 6, hidden), (*tensors, *[-1] * 4),
        "UnidirectionalSequenceLSTMOptions", fused_activation_function="TANH", cell_clip=0.0, proj_clip=0.0,
        time_major=False, asymmetric_quantize_inputs=False, diagonal_recurrent_tensors=False,
    )  # fmt: skip
    return net.reshape(6, hidden).dense(5).model()


def shared(seed: int = 0) -> Model:
    """Two dense layers that share their bias, as converters make them."""
    net = Net((1, 12), seed).dense(24, "RELU").dense(24, "RELU")
    first, second = net.nodes[0], net.nodes[1]
    net.nodes[1] = replace(second, inputs=(*second.inputs[:2], first.inputs[2]))
    model = net.dense(4).model()
    graph: Graph = model.main
    assert graph.nodes[0].inputs[2] == graph.nodes[1].inputs[2]
    return model
