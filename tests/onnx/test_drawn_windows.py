"""Convolutions and pools with drawn windows: LiteRT's answer to what was imported is ONNX Runtime's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from tests.onnx.drawing import Numbers, ask, numbers, opsets

EXAMPLES = settings(max_examples=25)


def window(data: DataObject, spatial: int, sizes: tuple[int, ...], *, gaps: bool = True) -> dict[str, Any]:
    """Returns: attributes of a window that fits an image of these sizes."""
    kernel = [data.draw(st.integers(1, 3)) for _ in range(spatial)]
    found: dict[str, Any] = {"kernel_shape": kernel}
    if data.draw(st.booleans()):
        found["strides"] = [data.draw(st.integers(1, 3)) for _ in range(spatial)]
    if gaps and data.draw(st.booleans()):
        found["dilations"] = [data.draw(st.integers(1, 2)) for _ in range(spatial)]
    how = data.draw(st.sampled_from(["", "pads", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if how == "pads":
        found["pads"] = [data.draw(st.integers(0, k - 1)) for k in kernel * 2]
    elif how:
        found["auto_pad"] = how
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, found.get("dilations", [1] * spatial), strict=True)]
    assume(all(span <= size for span, size in zip(spans, sizes, strict=True)))
    return found


def image(data: DataObject, draw: Numbers, spatial: int, channels: int) -> np.ndarray:
    sizes = [data.draw(st.integers(3, 8)) for _ in range(spatial)]
    return draw.real(data.draw(st.integers(1, 2)), channels, *sizes)


@EXAMPLES
@given(st.data(), numbers, opsets(), st.sampled_from([1, 2, 2, 2, 3]))
def test_convolution(folder: Path, data: DataObject, draw: Numbers, opset: int, spatial: int) -> None:
    groups, depth = data.draw(st.sampled_from([(1, 3), (2, 2), (3, 1), (4, 1), (1, 1)]))
    x = image(data, draw, spatial, groups * depth)
    frame = window(data, spatial, x.shape[2:])
    filters = groups * data.draw(st.integers(1, 3))
    inputs = [x, draw.real(filters, depth, *frame["kernel_shape"])]
    if data.draw(st.booleans()):
        inputs.append(draw.real(filters))
    ask(data, folder, "Conv", inputs, opset, constants=(1, 2), group=groups, **frame)


@EXAMPLES
@given(st.data(), numbers, opsets(), st.sampled_from([1, 2, 2]))
def test_transposed_convolution(
    folder: Path, data: DataObject, draw: Numbers, opset: int, spatial: int
) -> None:
    groups = data.draw(st.sampled_from([1, 1, 2, 3]))
    x = image(data, draw, spatial, groups * 2)
    kernel = [data.draw(st.integers(1, 4)) for _ in range(spatial)]
    strides = [data.draw(st.integers(1, 3)) for _ in range(spatial)]
    attrs: dict[str, Any] = {"group": groups, "kernel_shape": kernel, "strides": strides}
    match data.draw(
        st.sampled_from(["", "pads", "output_padding", "both", "SAME_UPPER", "SAME_LOWER", "shape"])
    ):
        case "pads":
            attrs["pads"] = [data.draw(st.integers(0, k // 2)) for k in kernel * 2]
        case "output_padding":
            attrs["output_padding"] = [data.draw(st.integers(0, s - 1)) for s in strides]
        case "both":
            attrs["pads"] = [data.draw(st.integers(0, k // 2)) for k in kernel * 2]
            attrs["output_padding"] = [data.draw(st.integers(0, s - 1)) for s in strides]
        case "shape":
            full = [(n - 1) * s + k for n, s, k in zip(x.shape[2:], strides, kernel, strict=True)]
            attrs["output_shape"] = [max(1, size - data.draw(st.integers(0, 2))) for size in full]
        case auto if auto:
            attrs["auto_pad"] = auto
    if data.draw(st.booleans()):
        attrs["dilations"] = [data.draw(st.integers(1, 2)) for _ in range(spatial)]
    filters = data.draw(st.integers(1, 3))
    inputs = [x, draw.real(groups * 2, filters, *kernel)]
    if data.draw(st.booleans()):
        inputs.append(draw.real(groups * filters))
    ask(data, folder, "ConvTranspose", inputs, opset, constants=(1, 2), **attrs)


@EXAMPLES
@given(st.data(), numbers, opsets(10), st.sampled_from([1, 2, 2, 2, 3]))
def test_largest(folder: Path, data: DataObject, draw: Numbers, opset: int, spatial: int) -> None:
    x = image(data, draw, spatial, 3)
    frame = window(data, spatial, x.shape[2:], gaps=spatial < 3)
    if frame.get("auto_pad", "").startswith("SAME"):  # ONNX Runtime forgets the gaps here
        frame.pop("dilations", None)
    if "auto_pad" not in frame and data.draw(st.booleans()):
        frame["ceil_mode"] = 1
    ask(data, folder, "MaxPool", [x], opset, **frame)


@EXAMPLES
@given(st.data(), numbers, opsets(10), st.sampled_from([1, 2, 2, 2, 3]))
def test_average(folder: Path, data: DataObject, draw: Numbers, opset: int, spatial: int) -> None:
    x = image(data, draw, spatial, 3)
    frame = window(data, spatial, x.shape[2:], gaps=False)
    strides = frame.get("strides", [1] * spatial)
    # From opset 19 on ONNX Runtime starts inside of the image where SAME would have to pad less than nothing.
    assume(
        all(s <= k for s, k in zip(strides, frame["kernel_shape"], strict=True)) or "auto_pad" not in frame
    )
    if spatial == 3:  # of volumes, without padding
        frame.pop("auto_pad", None)
        frame.pop("pads", None)
    if "auto_pad" not in frame and data.draw(st.booleans()):
        frame["ceil_mode"] = 1
    if data.draw(st.booleans()):
        frame["count_include_pad"] = 1
    ask(data, folder, "AveragePool", [x], opset, **frame)


@EXAMPLES
@given(st.data(), numbers, opsets(), st.sampled_from([1, 2]), st.sampled_from([1, 2, 3]))
def test_pool_of_powers(
    folder: Path, data: DataObject, draw: Numbers, opset: int, spatial: int, power: int
) -> None:
    x = image(data, draw, spatial, 2)
    ask(data, folder, "LpPool", [x], opset, p=power, **window(data, spatial, x.shape[2:], gaps=False))


@EXAMPLES
@given(
    st.data(), numbers, opsets(), st.sampled_from(["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"]),
    st.sampled_from([1, 2, 3]),
)  # fmt: skip
def test_whole_image(
    folder: Path, data: DataObject, draw: Numbers, opset: int, op: str, spatial: int
) -> None:
    ask(data, folder, op, [image(data, draw, spatial, 3)], opset)
