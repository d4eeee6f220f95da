"""Operators that move elements, with drawn settings: slices, pads, pieces, blocks, permutations, choices."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from sanderling.ops.op import Case
from tests.webgpu.drawn_layers import CHANNELS, SIZE, Drawn, drawn_shape, ints, normal


def strided(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = drawn_shape(draw, 1, 5)
    begin, end, stride = [], [], []
    for size in shape:
        step = draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        first, last = sorted((draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))))
        begin.append(first if step > 0 else last)
        end.append(last + 1 if step > 0 else first - 1 - size)
        stride.append(step)
    masks = {name: draw(st.integers(0, 2 ** len(shape) - 1)) for name in ("begin_mask", "end_mask")}
    masks["shrink_axis_mask"] = 1 if len(shape) > 1 and stride[0] > 0 and draw(st.booleans()) else 0
    if masks["shrink_axis_mask"]:
        masks["begin_mask"] &= ~1
    arrays = [normal(rng, *shape), ints(*begin), ints(*end), ints(*stride)]
    return "STRIDED_SLICE", Case("drawn", arrays, dict(masks), constant=(1, 2, 3))


def sliced(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = drawn_shape(draw, 1, 5)
    begin = [draw(st.integers(0, size - 1)) for size in shape]
    size = [draw(st.sampled_from([-1, *range(1, n - b + 1)])) for n, b in zip(shape, begin, strict=True)]
    return "SLICE", Case("drawn", [normal(rng, *shape), ints(*begin), ints(*size)], {}, constant=(1, 2))


def gather(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = drawn_shape(draw, 1, 4)
    axis = draw(st.integers(0, len(shape) - 1))
    index = rng.integers(0, shape[axis], drawn_shape(draw, 0, 5 - len(shape)), dtype=np.int32)
    constant = (1,) if draw(st.booleans()) else ()
    return "GATHER", Case("drawn", [normal(rng, *shape), index], {"axis": axis}, constant=constant)


def gather_nd(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = drawn_shape(draw, 1, 4)
    depth, rows = draw(st.integers(1, len(shape))), drawn_shape(draw, 1, 2)
    index = np.stack([rng.integers(0, n, rows, dtype=np.int32) for n in shape[:depth]], axis=-1)
    return "GATHER_ND", Case("drawn", [normal(rng, *shape), index])


def padded(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    name = draw(st.sampled_from(["PAD", "PADV2", "MIRROR_PAD"]))
    shape = drawn_shape(draw, 1, 5 if name != "MIRROR_PAD" else 4)
    mode = draw(st.sampled_from(["REFLECT", "SYMMETRIC"]))
    most = [3] * len(shape) if name != "MIRROR_PAD" else [n - (mode == "REFLECT") for n in shape]
    around = np.array([[draw(st.integers(0, m)), draw(st.integers(0, m))] for m in most], np.int32)
    if name == "PADV2":
        value = np.array(draw(st.sampled_from([-1.5, 0.0, 2.0])), np.float32)
        return name, Case("drawn", [normal(rng, *shape), around, value], {}, constant=(1, 2))
    attrs = {"mode": mode} if name == "MIRROR_PAD" else {}
    return name, Case("drawn", [normal(rng, *shape), around], attrs, constant=(1,))


def permuted(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    x = normal(rng, *drawn_shape(draw, 2, 5))
    return "TRANSPOSE", Case("drawn", [x, ints(*draw(st.permutations(range(x.ndim))))], {}, constant=(1,))


def repeated(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """Reversed, tiled, broadcast."""
    shape = drawn_shape(draw, 1, 5)
    x, axis = normal(rng, *shape), draw(st.integers(0, len(shape) - 1))
    name = draw(st.sampled_from(["TILE", "REVERSE_V2", "BROADCAST_TO"]))
    if name == "REVERSE_V2":
        return name, Case("drawn", [x, ints(axis)], {}, constant=(1,))
    if name == "TILE":
        return name, Case("drawn", [x, ints(*(draw(st.integers(1, 3)) for _ in shape))], {}, constant=(1,))
    wanted = [draw(st.integers(1, 5)) if n == 1 else n for n in shape]
    wanted = [draw(st.integers(1, 3)) for _ in range(draw(st.integers(0, 5 - len(shape))))] + wanted
    return name, Case("drawn", [x, ints(*wanted)], {}, constant=(1,))


def joined(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = list(drawn_shape(draw, 1, 5))
    axis = draw(st.integers(0, len(shape) - 1))
    if draw(st.booleans()):
        parts = [normal(rng, *shape[:4]) for _ in range(draw(st.integers(1, 5)))]
        axis = min(axis, len(shape[:4]))
        return "PACK", Case("drawn", parts, {"axis": axis, "values_count": len(parts)})
    parts = []
    for _ in range(draw(st.integers(2, 5))):
        shape[axis] = draw(CHANNELS)
        parts.append(normal(rng, *shape))
    return "CONCATENATION", Case("drawn", parts, {"axis": axis})


def parted(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = list(drawn_shape(draw, 1, 5))
    axis = draw(st.integers(0, len(shape) - 1))
    told, count = np.array(axis, np.int32), draw(st.integers(1, 5))
    name = draw(st.sampled_from(["SPLIT", "SPLIT_V", "UNPACK"]))
    if name == "SPLIT":
        shape[axis] = count * draw(SIZE)
        return name, Case("drawn", [told, normal(rng, *shape)], {"num_splits": count}, constant=(0,))
    if name == "SPLIT_V":
        sizes = [draw(SIZE) for _ in range(count)]
        shape[axis] = sum(sizes)
        arrays = [normal(rng, *shape), ints(*sizes), told]
        return name, Case("drawn", arrays, {"num_splits": count}, constant=(1, 2))
    shape = [*shape, 2] if len(shape) == 1 else shape
    return name, Case("drawn", [normal(rng, *shape)], {"num": shape[axis], "axis": axis})


def blocks(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """Between space, depth and batch."""
    name = draw(
        st.sampled_from(["SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"])
    )
    n, channels, count = draw(st.integers(1, 3)), draw(CHANNELS), draw(st.integers(1, 2))
    block = [draw(st.integers(1, 3)) for _ in range(count)]
    grid = [draw(st.integers(1, 4)) for _ in range(2)]
    if name == "SPACE_TO_DEPTH":
        x = normal(rng, n, *(size * block[0] for size in grid), channels)
        return name, Case("drawn", [x], {"block_size": block[0]})
    if name == "DEPTH_TO_SPACE":
        return name, Case(
            "drawn", [normal(rng, n, *grid, channels * block[0] ** 2)], {"block_size": block[0]}
        )
    sizes = [size * b for size, b in zip(grid, block, strict=False)]
    if name == "SPACE_TO_BATCH_ND":
        before = [draw(st.integers(0, size - 1)) for size in sizes]
        inner = [draw(st.integers(1, s - b)) for s, b in zip(sizes, before, strict=True)]
        around = np.array([[b, s - b - i] for s, b, i in zip(sizes, before, inner, strict=True)], np.int32)
        return name, Case("drawn", [normal(rng, n, *inner, channels), ints(*block), around], {}, (1, 2))
    before = [draw(st.integers(0, size - 1)) for size in sizes]
    after = [draw(st.integers(0, size - 1 - b)) for size, b in zip(sizes, before, strict=True)]
    x = normal(rng, n * int(np.prod(block)), *grid[:count], channels)
    crops = np.array(list(zip(before, after, strict=True)), np.int32)
    return name, Case("drawn", [x, ints(*block), crops], {}, constant=(1, 2))


def resized(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    x = normal(rng, draw(st.integers(1, 2)), draw(SIZE), draw(SIZE), draw(CHANNELS))
    how = draw(st.sampled_from(["plain", "align_corners", "half_pixel_centers"]))
    attrs = {} if how == "plain" else {how: True}
    size = ints(draw(st.integers(1, 13)), draw(st.integers(1, 13)))
    name = draw(st.sampled_from(["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"]))
    return name, Case(how, [x, size], attrs, constant=(1,))


def chosen(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """One-hot rows, and choices by a condition."""
    shape = drawn_shape(draw, 0, 4)
    if draw(st.booleans()):
        depth = draw(SIZE)
        index = rng.integers(-1, depth + 1, shape, dtype=np.int32)
        values = [np.array(v, np.float32) for v in (3.5, -1)]
        arrays = [index, np.array(depth, np.int32), *values]
        axis = draw(st.integers(-1, len(shape)))
        return "ONE_HOT", Case("drawn", arrays, {"axis": axis}, constant=(1,))
    cut = [tuple(1 if draw(st.booleans()) else n for n in shape) for _ in range(3)]
    arrays = [rng.random(cut[0]) < 0.5, normal(rng, *cut[1]), normal(rng, *cut[2])]
    return "SELECT_V2", Case("drawn", [np.asarray(array) for array in arrays])


def shaped(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """The same elements in another shape."""
    x = normal(rng, *drawn_shape(draw, 1, 4))
    if draw(st.booleans()):
        at = draw(st.integers(0, x.ndim))
        return "EXPAND_DIMS", Case("drawn", [x, ints(at)], {}, constant=(1,))
    sizes = _factors(draw, x.size)
    return "RESHAPE", Case("drawn", [x, ints(*sizes)], {"new_shape": sizes}, constant=(1,))


def _factors(draw: st.DrawFn, size: int) -> tuple[int, ...]:
    found: list[int] = []
    while len(found) < 4 and draw(st.booleans()):
        found.append(draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0])))
        size //= found[-1]
    return (*found, size)
