"""Small models whose right answers are known, and pictures for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from sanderling import tflite
from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import DType, TensorType
from tests.models import Net, save

RED = (230, 20, 30)


def pointwise(net: Net, weights: list[list[float]], bias: list[float]) -> Net:
    """A 1x1 convolution with these weights [out, in]."""
    n, h, w, _ = net.tensors[net.last].shape
    kernel = np.array(weights, np.float32)[:, None, None, :]
    operands = (
        net.constant(kernel, f"w{len(net.nodes)}"),
        net.constant(np.array(bias, np.float32), f"b{len(net.nodes)}"),
    )
    return net.op(
        "CONV_2D", (n, h, w, len(weights)), operands, "Conv2DOptions", padding="VALID", stride_w=1,
        stride_h=1, fused_activation_function="NONE", dilation_w_factor=1, dilation_h_factor=1,
    )  # fmt: skip


def red_mask(folder: Path, side: tuple[int, int] = (48, 64)) -> Path:
    """Gives the probability of red at each pixel of a picture from 0 to 1."""
    net = pointwise(Net((1, *side, 3)), [[20.0, -20.0, -20.0]], [-5.0])
    return save(net.op("LOGISTIC", (1, *side, 1)).model(), folder / "red_mask.tflite")


def red_or_not(folder: Path, side: int = 32) -> Path:
    """Two classes: red where a twentieth of the picture and more is red, else not."""
    net = pointwise(Net((1, side, side, 3)), [[20.0, -20.0, -20.0], [0.0, 0.0, 0.0]], [-5.0, 0.0])
    net = net.op("LOGISTIC", (1, side, side, 2))
    axes = net.constant(np.array([1, 2], np.int32), "axes")
    net = net.op("MEAN", (1, 2), (axes,), "ReducerOptions", keep_dims=False)
    shares = net.constant(np.array([[80.0, 0.0], [0.0, 8.0]], np.float32), "shares")
    operands = (shares, net.constant(np.zeros(2, np.float32), "zero"))
    net = net.op(
        "FULLY_CONNECTED", (1, 2), operands, "FullyConnectedOptions", fused_activation_function="NONE",
        weights_format="DEFAULT", keep_num_dims=False,
    )  # fmt: skip
    return save(net.softmax().model(), folder / "red_or_not.tflite")


def larger(folder: Path, side: int = 24) -> Path:
    """A picture of twice the size."""
    net = Net((1, side, side, 3))
    size = net.constant(np.array([2 * side, 2 * side], np.int32), "size")
    net.op(
        "RESIZE_BILINEAR", (1, 2 * side, 2 * side, 3), (size,), "ResizeBilinearOptions",
        align_corners=False, half_pixel_centers=True,
    )  # fmt: skip
    return save(net.model(), folder / "larger.tflite")


def weighed_sum(folder: Path) -> Path:
    """a + b of two vectors of three."""
    kind = TensorType((1, 3), DType.FLOAT32)
    tensors = tuple(Tensor(name, kind) for name in ("a", "b", "sum"))
    node = Node("ADD", (0, 1), (2,), {"fused_activation_function": "NONE"}, "AddOptions")
    signature = Signature("serving_default", (("a", 0), ("b", 1)), (("sum", 2),))
    model = Model(
        (Graph(tensors, (node,), (0, 1), (2,), "main"),), (signature,), description="made for a test"
    )
    return save(model, folder / "weighed_sum.tflite")


def disc(
    size: tuple[int, int] = (160, 120), box: tuple[int, int, int, int] = (60, 30, 110, 80)
) -> Image.Image:
    """A red disc on a bluish ground."""
    image = Image.new("RGB", size, (40, 90, 160))
    ImageDraw.Draw(image).ellipse(box, fill=RED)
    return image


def is_red(image: Image.Image) -> np.ndarray:
    """Returns: [H,W], true where the disc is."""
    return np.asarray(image.convert("RGB"))[:, :, 0] > 150


def boxes_of_nobodys_anchors(folder: Path) -> Path:
    """A picture's pixels as 150 boxes and 150 scores, which no known layout of anchors has."""
    net = Net((1, 20, 30, 1)).reshape(1, 150, 4)
    boxes = net.last
    net.last = 0
    net.op("LOGISTIC", (1, 20, 30, 1)).reshape(1, 150, 4)
    graph = Graph(tuple(net.tensors), tuple(net.nodes), (0,), (boxes, net.last), "main")
    return save(Model((graph,), (), description="made for a test"), folder / "boxes.tflite")


def any_size(folder: Path) -> Path:
    """``red_mask`` for pictures of any size."""
    path = red_mask(folder)
    model = tflite.read(path)
    graph = model.main
    free = [replace(t, shape_signature=(1, -1, -1, t.shape[3])) for t in (graph.tensors[i] for i in (0, -1))]
    tensors = (free[0], *graph.tensors[1:-1], free[1])
    return save(replace(model, graphs=(replace(graph, tensors=tensors),)), folder / "any_size.tflite")
