"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, with ReLU6 in place of swish.

Source: R. Liu, Higher accuracy on vision models with EfficientNet-Lite (TensorFlow blog, 2020); M. Tan and
Q. Le, EfficientNet, ICML 2019, table 1.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sanderling.graph.graph import Model
from sanderling.graph.types import DType
from sanderling.zoo.builders._net import Net
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
        FormatError: the file is damaged.
        KeyError, ValueError: it holds weights of another net.
    """
    return _Lite0(read_state_dict(weights)).whole()


class _Lite0(Net):
    """The net; every method takes the index of what goes in and returns that of what comes out."""

    def whole(self) -> Model:
        """Returns: the model."""
        image = self.input("image", (1, _SIDE, _SIDE, 3), DType.FLOAT32)
        x = self.convolve(image, "_conv_stem", "_bn0", _STEM, 3, stride=2)
        number = 0
        for blocks, kernel, stride, expansion, channels in _STAGES:
            for position in range(blocks):
                x = self.block(x, f"_blocks.{number}", kernel, 1 if position else stride, expansion, channels)
                number += 1
        x = self.convolve(x, "_conv_head", "_bn1", _HEAD, 1)
        x = self.add("MEAN", (x, self.integers(1, 2)), (1, _HEAD), "ReducerOptions", keep_dims=False)
        matrix, bias = self.weights("_fc.weight", _CLASSES, _HEAD), self.weights("_fc.bias", _CLASSES)
        x = self.dense(x, matrix, bias, "_fc")
        x = self.add("SOFTMAX", (x,), (1, _CLASSES), "SoftmaxOptions", beta=1.0)
        return self.model({"image": image}, {"probabilities": x}, "EfficientNet-Lite0")

    def block(self, start: int, name: str, kernel: int, stride: int, expansion: int, channels: int) -> int:
        """Adds an inverted residual: expand, filter each channel, project; and the input, where it fits."""
        x, inside = start, self.tensors[start].shape[-1] * expansion
        if expansion > 1:
            x = self.convolve(x, f"{name}._expand_conv", f"{name}._bn0", inside, 1)
        depthwise = f"{name}._depthwise_conv"
        x = self.convolve(x, depthwise, f"{name}._bn1", inside, kernel, stride=stride, depthwise=True)
        x = self.convolve(x, f"{name}._project_conv", f"{name}._bn2", channels, 1, activation="NONE")
        shape = self.tensors[x].shape
        if self.tensors[start].shape != shape:
            return x
        return self.add("ADD", (x, start), shape, "AddOptions", fused_activation_function="NONE")

    def convolve(
        self, x: int, name: str, norm: str, channels: int, kernel: int, *, stride: int = 1,
        depthwise: bool = False, activation: str = "RELU6",
    ) -> int:  # fmt: skip
        """Adds a convolution that takes the batch normalization behind it in."""
        _, before, _, taken = self.tensors[x].shape
        stored = self.weights(f"{name}.weight", channels, 1 if depthwise else taken, kernel, kernel)
        scale, shift, mean, variance = (
            self.weights(f"{norm}.{part}", channels).astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = scale / np.sqrt(variance + _EPSILON)
        weights = stored.astype(np.float64) * gain[:, None, None, None]
        weights = weights.transpose(1, 2, 3, 0) if depthwise else weights.transpose(0, 2, 3, 1)
        operands = (
            x,
            self.constant(f"{name}.weight", np.ascontiguousarray(weights, np.float32)),
            self.constant(f"{name}.bias", (shift - mean * gain).astype(np.float32)),
        )
        side = -(-before // stride)
        own = {"depth_multiplier": 1} if depthwise else {}
        return self.add(
            "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", operands, (1, side, side, channels),
            "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions", padding="SAME", stride_w=stride,
            stride_h=stride, dilation_w_factor=1, dilation_h_factor=1,
            fused_activation_function=activation, **own,
        )  # fmt: skip
