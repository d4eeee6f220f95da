"""Layers with drawn settings: convolutions of all kinds, pools, dense layers, products of matrices."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from sanderling.graph.types import Array
from sanderling.ops.op import Case

Drawn = tuple[str, Case]
ACTIVATION = st.sampled_from(["NONE", "NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
SIZE = st.sampled_from([1, 1, 2, 3, 4, 5, 6, 7, 9])
CHANNELS = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 12, 17])


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int32)


def drawn_shape(draw: st.DrawFn, low: int = 1, high: int = 5) -> tuple[int, ...]:
    return tuple(draw(SIZE) for _ in range(draw(st.integers(low, high))))


def _slides(draw: st.DrawFn, dilated: bool = True) -> dict[str, object]:
    found: dict[str, object] = {
        "padding": draw(st.sampled_from(["SAME", "VALID"])),
        "stride_h": draw(st.integers(1, 3)), "stride_w": draw(st.integers(1, 3)),
        "fused_activation_function": draw(ACTIVATION),
    }  # fmt: skip
    if dilated:
        found |= {"dilation_h_factor": draw(st.integers(1, 3)), "dilation_w_factor": draw(st.integers(1, 3))}
    return found


def _image(
    draw: st.DrawFn, rng: np.random.Generator, size: tuple[int, int], channels: int, attrs: dict[str, object]
) -> Array:
    """An image [N, H, W, C] that the window fits into, and where it just fits."""
    steps = [int(str(attrs.get(f"dilation_{axis}_factor", 1))) for axis in "hw"]
    height, width = (
        (k - 1) * step + 1 + draw(st.integers(0, 7)) for k, step in zip(size, steps, strict=True)
    )
    return normal(rng, draw(st.integers(1, 3)), height, width, channels)


def convolution(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """One group."""
    depth, out = draw(CHANNELS), draw(CHANNELS)
    size, attrs = (draw(st.integers(1, 4)), draw(st.integers(1, 4))), _slides(draw)
    arrays = [_image(draw, rng, size, depth, attrs), normal(rng, out, *size, depth), normal(rng, out)]
    return "CONV_2D", Case("drawn", arrays, attrs, constant=(1, 2))


def grouped(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """Groups of 1, 2, 3, 5 and 6 channels among them, which other engines get wrong."""
    groups, depth = draw(st.integers(2, 5)), draw(st.sampled_from([1, 2, 3, 4, 5, 6, 8]))
    size, out = (draw(st.integers(1, 3)), draw(st.integers(1, 3))), groups * draw(st.integers(1, 9))
    attrs = _slides(draw)
    x = _image(draw, rng, size, groups * depth, attrs)
    arrays = [x, normal(rng, out, *size, depth), normal(rng, out)]
    return "CONV_2D", Case(f"{depth} channels a group", arrays, attrs, constant=(1, 2))


def depthwise(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    channels, multiplier = draw(CHANNELS), draw(st.sampled_from([1, 1, 2, 3]))
    size, out = (draw(st.integers(1, 5)), draw(st.integers(1, 5))), channels * multiplier
    attrs = _slides(draw) | {"depth_multiplier": multiplier}
    arrays = [_image(draw, rng, size, channels, attrs), normal(rng, 1, *size, out), normal(rng, out)]
    return "DEPTHWISE_CONV_2D", Case("drawn", arrays, attrs, constant=(1, 2))


def transposed(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    size, out, depth = (draw(st.integers(1, 4)), draw(st.integers(1, 4))), draw(CHANNELS), draw(CHANNELS)
    attrs = _slides(draw, dilated=False)
    x = normal(rng, draw(st.integers(1, 2)), draw(st.integers(1, 5)), draw(st.integers(1, 5)), depth)
    same = attrs["padding"] == "SAME"
    strides = int(str(attrs["stride_h"])), int(str(attrs["stride_w"]))
    height, width = (
        n * s if same else (n - 1) * s + k for n, s, k in zip(x.shape[1:3], strides, size, strict=True)
    )
    arrays = [ints(x.shape[0], height, width, out), normal(rng, out, *size, depth), x]
    if draw(st.booleans()):
        return "TRANSPOSE_CONV", Case("bias", [*arrays, normal(rng, out)], attrs, constant=(0, 1, 3))
    return "TRANSPOSE_CONV", Case("drawn", arrays, attrs, constant=(0, 1))


def pool(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    size = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    attrs = _slides(draw, dilated=False) | {"filter_height": size[0], "filter_width": size[1]}
    x = _image(draw, rng, size, draw(CHANNELS), attrs)
    return draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"])), Case("drawn", [x], attrs)


def dense(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    units, features = draw(CHANNELS), draw(CHANNELS)
    rows = drawn_shape(draw, 1, 3)
    keep = len(rows) > 1
    arrays: list[Array | None] = [normal(rng, *rows, features), normal(rng, units, features)]
    arrays.append(normal(rng, units) if draw(st.booleans()) else None)
    constant = (1, 2) if draw(st.booleans()) else (2,)
    attrs = {"fused_activation_function": draw(ACTIVATION), "keep_num_dims": keep}
    return "FULLY_CONNECTED", Case(
        "drawn", arrays, attrs, constant=constant if arrays[2] is not None else (1,)
    )


def product(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    rows, inner, columns = draw(SIZE), draw(CHANNELS), draw(CHANNELS)
    batch = drawn_shape(draw, 0, 3)
    other = tuple(1 if draw(st.booleans()) else n for n in batch)[draw(st.integers(0, len(batch))) :]
    adj = draw(st.booleans()), draw(st.booleans())
    x = normal(rng, *batch, *((inner, rows) if adj[0] else (rows, inner)))
    y = normal(rng, *other, *((columns, inner) if adj[1] else (inner, columns)))
    constant = (1,) if draw(st.booleans()) else ()
    return "BATCH_MATMUL", Case("drawn", [x, y], {"adj_x": adj[0], "adj_y": adj[1]}, constant=constant)


def volume(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """A convolution over three axes."""
    depth, out = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    size = [draw(st.integers(1, 3)) for _ in range(3)]
    x = normal(rng, draw(st.integers(1, 2)), *(k + draw(st.integers(0, 3)) for k in size), depth)
    attrs = {f"stride_{axis}": draw(st.integers(1, 2)) for axis in "dhw"}
    attrs |= {f"dilation_{axis}_factor": 1 for axis in "dhw"}
    settings = {"padding": draw(st.sampled_from(["SAME", "VALID"])), **attrs}
    arrays = [x, normal(rng, *size, depth, out), normal(rng, out)]
    return "CONV_3D", Case("drawn", arrays, settings, constant=(1, 2))
