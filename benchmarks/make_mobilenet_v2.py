"""Writes a float MobileNetV2 with drawn weights, to time what depends on the graph and not on what it knows.

    python benchmarks/make_mobilenet_v2.py OUT.tflite [--size 224] [--width 1.0] [--classes 1000]

The graph is the paper's (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2)
as TFLite's converter writes it: batch normalisation folded, RELU6 fused, the mean over rows and columns, a
dense layer and SOFTMAX. The weights are drawn with He's scale, so that values neither vanish nor grow.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from sanderling.graph.graph import Model
from tests.models import Net, save

# Expansion, channels, repetitions, stride of the first.
BLOCKS = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
LAST = 1280


class MobileNet(Net):
    """A ``Net`` with the layers of MobileNetV2."""

    def drawn(self, shape: tuple[int, ...], taps: int) -> tuple[int, int]:
        """Returns: a weight and a bias, one per entry of the axis with output channels."""
        number = len(self.nodes)
        weights = (self.rng.standard_normal(shape) * (2 / taps) ** 0.5).astype(np.float32)
        bias = (self.rng.standard_normal(max(shape[0], shape[-1] * (shape[0] == 1))) * 0.1).astype(np.float32)
        return self.constant(weights, f"w{number}"), self.constant(bias, f"b{number}")

    def pointwise(self, filters: int, *, activation: str) -> MobileNet:
        """A convolution of 1 × 1."""
        n, h, w, c = self.tensors[self.last].shape
        self.op(
            "CONV_2D", (n, h, w, filters), self.drawn((filters, 1, 1, c), c),
            "Conv2DOptions", padding="SAME", stride_w=1, stride_h=1, fused_activation_function=activation,
            dilation_w_factor=1, dilation_h_factor=1,
        )  # fmt: skip
        return self

    def first(self, filters: int) -> MobileNet:
        """A convolution of 3 × 3, two steps at a time."""
        n, h, w, c = self.tensors[self.last].shape
        self.op(
            "CONV_2D", (n, -(-h // 2), -(-w // 2), filters), self.drawn((filters, 3, 3, c), 9 * c),
            "Conv2DOptions", padding="SAME", stride_w=2, stride_h=2, fused_activation_function="RELU6",
            dilation_w_factor=1, dilation_h_factor=1,
        )  # fmt: skip
        return self

    def depthwise(self, stride: int) -> MobileNet:
        """A convolution of 3 × 3, each channel for itself."""
        n, h, w, c = self.tensors[self.last].shape
        self.op(
            "DEPTHWISE_CONV_2D", (n, -(-h // stride), -(-w // stride), c), self.drawn((1, 3, 3, c), 9),
            "DepthwiseConv2DOptions", padding="SAME", stride_w=stride, stride_h=stride, depth_multiplier=1,
            fused_activation_function="RELU6", dilation_w_factor=1, dilation_h_factor=1,
        )  # fmt: skip
        return self

    def block(self, expansion: int, filters: int, stride: int) -> MobileNet:
        """An inverted residual."""
        entered, channels = self.last, self.tensors[self.last].shape[-1]
        if expansion > 1:
            self.pointwise(expansion * channels, activation="RELU6")
        self.depthwise(stride).pointwise(filters, activation="NONE")
        if stride == 1 and filters == channels:
            shape = self.tensors[self.last].shape
            self.op("ADD", shape, (entered,), "AddOptions", fused_activation_function="NONE")
        return self

    def mean(self) -> MobileNet:
        """The mean over rows and columns."""
        n, _, _, c = self.tensors[self.last].shape
        axes = self.constant(np.array([1, 2], np.int32), "axes")
        self.op("MEAN", (n, c), (axes,), "ReducerOptions", keep_dims=False)
        return self


def rounded(channels: float) -> int:
    """Returns: the multiple of 8 next to it, never less than 9 tenths of it (the paper's code)."""
    found = max(8, int(channels + 4) // 8 * 8)
    return found + 8 if found < 0.9 * channels else found


def mobilenet_v2(*, size: int = 224, width: float = 1.0, classes: int = 1000, seed: int = 0) -> Model:
    """Returns: the model for pictures [1, size, size, 3]."""
    net = MobileNet((1, size, size, 3), seed)
    net.first(rounded(32 * width))
    for expansion, filters, count, stride in BLOCKS:
        for number in range(count):
            net.block(expansion, rounded(filters * width), stride if number == 0 else 1)
    net.pointwise(rounded(LAST * max(width, 1.0)), activation="RELU6").mean()
    return net.dense(classes).softmax().model()


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--classes", type=int, default=1000)
    given = parser.parse_args()
    save(mobilenet_v2(size=given.size, width=given.width, classes=given.classes), given.out)
    print(f"{given.out}: {given.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
