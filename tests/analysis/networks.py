"""Networks built by hand, whose parameters and MACs are known from their papers."""

from __future__ import annotations

from typing import Any

import numpy as np

from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops.registry import find


class Network:
    """Writes a graph down operator by operator; shapes come from inference."""

    def __init__(self, *shape: int) -> None:
        self.tensors = [Tensor("input", TensorType(shape, DType.FLOAT32))]
        self.nodes: list[Node] = []
        self.last = 0

    def constant(self, array: Array) -> int:
        self.tensors.append(Tensor("", TensorType(array.shape, DType(str(array.dtype))), array))
        return len(self.tensors) - 1

    def weights(self, *shape: int) -> int:
        # A broadcast zero has the shape without the memory. Addresses differ, as in a file.
        return self.constant(np.broadcast_to(np.zeros(1, np.float32), shape))

    def call(self, name: str, *inputs: int, **attrs: Any) -> int:
        op = find(name)
        assert op is not None
        node = Node(name, inputs, (len(self.tensors),), attrs, op.options)
        operands = [self.tensors[i] if i >= 0 else None for i in inputs]
        (kind,) = op.infer(node, operands, [])
        self.tensors.append(Tensor(f"t{len(self.tensors)}", kind))
        self.nodes.append(node)
        self.last = node.outputs[0]
        return self.last

    def conv(self, x: int, out: int, kernel: int = 1, stride: int = 1) -> int:
        weights = self.weights(out, kernel, kernel, self.tensors[x].shape[3])
        attrs = {"padding": "SAME", "stride_h": stride, "stride_w": stride}
        return self.call("CONV_2D", x, weights, self.weights(out), **attrs)

    def depthwise(self, x: int, kernel: int, stride: int) -> int:
        channels = self.tensors[x].shape[3]
        weights = self.weights(1, kernel, kernel, channels)
        attrs = {"padding": "SAME", "stride_h": stride, "stride_w": stride}
        return self.call("DEPTHWISE_CONV_2D", x, weights, self.weights(channels), **attrs)

    def swish(self, x: int) -> int:
        return self.call("MUL", x, self.call("LOGISTIC", x))

    def mean(self, x: int, *, keep: bool) -> int:
        return self.call("MEAN", x, self.constant(np.array([1, 2], np.int32)), keep_dims=keep)

    def dense(self, x: int, units: int) -> int:
        weights = self.weights(units, self.tensors[x].shape[1])
        return self.call("FULLY_CONNECTED", x, weights, self.weights(units))

    def model(self) -> Model:
        return Model((Graph(tuple(self.tensors), tuple(self.nodes), (0,), (self.last,), "main"),))


def efficientnet_b0() -> Model:
    """Returns: EfficientNet-B0 at 224 × 224, batch normalisation folded.

    Source: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, table 1.
    """
    net = Network(1, 224, 224, 3)
    x = net.swish(net.conv(0, 32, 3, 2))
    blocks = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
              (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))  # fmt: skip
    for expand, out, repeats, first_stride, kernel in blocks:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            shortcut, channels = x, net.tensors[x].shape[3]
            if expand > 1:
                x = net.swish(net.conv(x, channels * expand))
            x = net.swish(net.depthwise(x, kernel, stride))
            squeezed = net.swish(net.conv(net.mean(x, keep=True), max(1, channels // 4)))
            gate = net.call("LOGISTIC", net.conv(squeezed, net.tensors[x].shape[3]))
            x = net.conv(net.call("MUL", x, gate), out)
            if stride == 1 and channels == out:
                x = net.call("ADD", x, shortcut)
    x = net.mean(net.swish(net.conv(x, 1280)), keep=False)
    net.dense(x, 1000)
    return net.model()
