"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, with ReLU6 in place of swish.

Source: R. Liu, Higher accuracy on vision models with EfficientNet-Lite (TensorFlow blog, 2020); M. Tan and
Q. Le, EfficientNet, ICML 2019, table 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sanderling.errors import FormatError
from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.zoo.builders._state_dict import read_state_dict

_SIDE, _CLASSES, _EPSILON = 224, 1000, 1e-3
# Of every stage: blocks, kernel, stride of the first block, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
_STEM, _HEAD = 32, 1280


def build(weights: Path) -> Model:
    """Makes the model of its PyTorch weights, with the batch normalizations folded into the convolutions.

    Args:
        weights: the file of a state dictionary.

    Returns: image [1,224,224,3] float32, (byte − 127) / 128 → probabilities [1,1000].

    Raises:
        FormatError: it holds something else.
    """
    stored = read_state_dict(weights)
    try:
        return _Net(stored).model()
    except KeyError as error:
        raise FormatError(f"has no weights {error.args[0]!r}", where=str(weights)) from None
    except ValueError as error:
        raise FormatError(f"holds weights of another net ({error})", where=str(weights)) from None


class _Net:
    """A graph in the making: every method adds operators to the last result."""

    def __init__(self, stored: Mapping[str, Array]) -> None:
        self.stored = stored
        self.tensors = [Tensor("image", TensorType((1, _SIDE, _SIDE, 3), DType.FLOAT32))]
        self.nodes: list[Node] = []
        self.last = 0

    @property
    def channels(self) -> int:
        return self.tensors[self.last].shape[-1]

    def model(self) -> Model:
        """Returns: the whole net."""
        self.convolve("_conv_stem", "_bn0", _STEM, 3, stride=2)
        number = 0
        for blocks, kernel, stride, expansion, channels in _STAGES:
            for position in range(blocks):
                self.block(f"_blocks.{number}", kernel, 1 if position else stride, expansion, channels)
                number += 1
        self.convolve("_conv_head", "_bn1", _HEAD, 1)
        axes = self.constant("axes", np.array([1, 2], np.int32))
        self.add("MEAN", (1, _HEAD), (axes,), "ReducerOptions", keep_dims=False)
        matrix = self.constant("_fc.weight", self.weights("_fc.weight", (_CLASSES, _HEAD)))
        bias = self.constant("_fc.bias", self.weights("_fc.bias", (_CLASSES,)))
        self.add(
            "FULLY_CONNECTED", (1, _CLASSES), (matrix, bias), "FullyConnectedOptions",
            fused_activation_function="NONE", weights_format="DEFAULT", keep_num_dims=False,
        )  # fmt: skip
        self.add("SOFTMAX", (1, _CLASSES), (), "SoftmaxOptions", beta=1.0)
        graph = Graph(tuple(self.tensors), tuple(self.nodes), (0,), (self.last,), "main")
        signature = Signature("serving_default", (("image", 0),), (("probabilities", self.last),))
        return Model((graph,), (signature,), description="EfficientNet-Lite0")

    def block(self, name: str, kernel: int, stride: int, expansion: int, channels: int) -> None:
        """Adds an inverted residual: expand, filter each channel, project; and the input, where it fits."""
        start, inside = self.last, self.channels * expansion
        if expansion > 1:
            self.convolve(f"{name}._expand_conv", f"{name}._bn0", inside, 1)
        self.convolve(
            f"{name}._depthwise_conv", f"{name}._bn1", inside, kernel, stride=stride, depthwise=True
        )
        self.convolve(f"{name}._project_conv", f"{name}._bn2", channels, 1, activation="NONE")
        if self.tensors[start].shape == self.tensors[self.last].shape:
            shape = self.tensors[start].shape
            self.add("ADD", shape, (start,), "AddOptions", fused_activation_function="NONE")

    def convolve(
        self, name: str, norm: str, channels: int, kernel: int, *, stride: int = 1, depthwise: bool = False,
        activation: str = "RELU6",
    ) -> None:  # fmt: skip
        """Adds a convolution that takes the batch normalization behind it in."""
        taken = 1 if depthwise else self.channels
        weights = self.weights(f"{name}.weight", (channels, taken, kernel, kernel)).astype(np.float64)
        scale, shift, mean, variance = (
            self.weights(f"{norm}.{part}", (channels,)).astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = scale / np.sqrt(variance + _EPSILON)
        weights = weights * gain[:, None, None, None]
        weights = weights.transpose(1, 2, 3, 0) if depthwise else weights.transpose(0, 2, 3, 1)
        operands = (
            self.constant(f"{name}.weight", np.ascontiguousarray(weights, np.float32)),
            self.constant(f"{name}.bias", (shift - mean * gain).astype(np.float32)),
        )
        side = -(-self.tensors[self.last].shape[1] // stride)
        common = {
            "padding": "SAME", "stride_w": stride, "stride_h": stride, "dilation_w_factor": 1,
            "dilation_h_factor": 1, "fused_activation_function": activation,
        }  # fmt: skip
        shape = (1, side, side, channels)
        if depthwise:
            common["depth_multiplier"] = 1
            self.add("DEPTHWISE_CONV_2D", shape, operands, "DepthwiseConv2DOptions", **common)
        else:
            self.add("CONV_2D", shape, operands, "Conv2DOptions", **common)

    def weights(self, name: str, shape: tuple[int, ...]) -> Array:
        """Returns: stored weights, which must have this shape."""
        found = self.stored[name]
        if found.shape != shape or found.dtype != np.float32:
            raise ValueError(f"{name} is {list(found.shape)}, expected {list(shape)}")
        return found

    def constant(self, name: str, values: Array) -> int:
        """Adds a constant. Returns: its index."""
        kind = TensorType(values.shape, DType(values.dtype.name))
        self.tensors.append(Tensor(name, kind, values))
        return len(self.tensors) - 1

    def add(
        self, kind: str, shape: tuple[int, ...], operands: tuple[int, ...], options: str, **attrs: object
    ) -> None:
        """Adds an operator on the last result, whose own becomes the last."""
        self.tensors.append(Tensor(f"{kind.lower()}_{len(self.nodes)}", TensorType(shape, DType.FLOAT32)))
        result = len(self.tensors) - 1
        self.nodes.append(Node(kind, (self.last, *operands), (result,), attrs, options))
        self.last = result
