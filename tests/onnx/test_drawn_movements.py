"""Operators that move, cut, join, pick and resize, drawn in every order of axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from tests.onnx.drawing import Numbers, ask, numbers, opsets, shapes
from tests.onnx.test_drawn_elements import part_of

EXAMPLES = settings(max_examples=25)
Shape = tuple[int, ...]


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@EXAMPLES
@given(st.data(), numbers, opsets(), shapes(1, 5))
def test_reshape(folder: Path, data: DataObject, draw: Numbers, opset: int, shape: Shape) -> None:
    left, wanted = int(np.prod(shape)), []
    while left > 1 and len(wanted) < 4:
        wanted.append(data.draw(st.sampled_from([d for d in range(1, left + 1) if left % d == 0])))
        left //= wanted[-1]
    wanted = [*wanted, left] if left > 1 or not wanted else wanted
    if data.draw(st.booleans()):
        wanted[data.draw(st.integers(0, len(wanted) - 1))] = -1
    ask(data, folder, "Reshape", [draw.real(*shape), ints(*wanted)], opset, constants=(1,))


@EXAMPLES
@given(
    st.data(),
    numbers,
    opsets(),
    shapes(1, 5),
    st.sampled_from(["Flatten", "Transpose", "Squeeze", "Unsqueeze"]),
)
def test_axes(folder: Path, data: DataObject, draw: Numbers, opset: int, shape: Shape, op: str) -> None:
    rank = len(shape)
    least = 0 if opset < 11 else -rank
    if op == "Flatten":
        ask(data, folder, op, [draw.real(*shape)], opset, axis=data.draw(st.integers(least, rank)))
    elif op == "Transpose":
        ask(data, folder, op, [draw.real(*shape)], opset, perm=data.draw(st.permutations(range(rank))))
    elif op == "Unsqueeze":
        axes = sorted(data.draw(st.sets(st.integers(0, rank), min_size=1, max_size=2)))
        _with_axes(data, folder, op, draw.real(*shape), axes, opset)
    else:
        shape = tuple(1 if data.draw(st.booleans()) else size for size in shape)
        axes = [axis for axis, size in enumerate(shape) if size == 1 and data.draw(st.booleans())]
        assume(axes)
        axes = [axis + least if least and data.draw(st.booleans()) else axis for axis in axes]
        _with_axes(data, folder, op, draw.real(*shape), axes, opset)


def _with_axes(data: DataObject, folder: Path, op: str, x: np.ndarray, axes: list[int], opset: int) -> None:
    if opset < 13:
        ask(data, folder, op, [x], opset, axes=axes)
    else:
        ask(data, folder, op, [x, ints(*axes)], opset, constants=(1,))


@EXAMPLES
@given(
    st.data(), numbers, opsets(), shapes(1), st.integers(1, 4), st.sampled_from(["float32", "int64", "bool"])
)
def test_concat(
    folder: Path, data: DataObject, draw: Numbers, opset: int, shape: Shape, count: int, dtype: str
) -> None:
    axis = data.draw(st.integers(-len(shape), -1)) + (len(shape) if opset < 11 else 0)
    parts = []
    for _ in range(count):
        sizes = list(shape)
        sizes[axis] = data.draw(st.integers(1, 4))
        parts.append(draw.real(*sizes).astype(dtype))
    constants = (data.draw(st.integers(1, count - 1)),) if count > 1 and data.draw(st.booleans()) else ()
    ask(data, folder, "Concat", parts, opset, constants=constants, axis=axis)


@EXAMPLES
@given(st.data(), numbers, opsets(), shapes(1), st.booleans())
def test_split(folder: Path, data: DataObject, draw: Numbers, opset: int, shape: Shape, stated: bool) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    if not stated:
        sizes = [sizes[0]] * len(sizes)
    x = draw.real(*shape[:axis], sum(sizes), *shape[axis + 1 :])
    inputs, attrs = [x], {"axis": axis}
    if stated and opset >= 13:
        inputs.append(ints(*sizes))
    elif stated:
        attrs["split"] = sizes  # type: ignore[assignment]
    elif opset >= 18:
        attrs["num_outputs"] = len(sizes)
    ask(data, folder, "Split", inputs, opset, constants=(1,), outputs=len(sizes), **attrs)


@EXAMPLES
@given(st.data(), numbers, opsets(), shapes(1))
def test_slice(folder: Path, data: DataObject, draw: Numbers, opset: int, shape: Shape) -> None:
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1))
    steps = [data.draw(st.sampled_from([1, 1, 2, 3, -1, -2])) if opset >= 10 else 1 for _ in axes]
    starts, ends = ([data.draw(st.integers(-8, 8)) for _ in axes] for _ in range(2))
    if data.draw(st.booleans()):
        ends = [2**62 if step > 0 else -(2**62) for step in steps]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        assume(len(range(*_as_onnx(start, end, step, shape[axis]))) > 0)
    if opset < 10:
        ask(data, folder, "Slice", [draw.real(*shape)], opset, starts=starts, ends=ends, axes=axes)
        return
    inputs = [draw.real(*shape), ints(*starts), ints(*ends), ints(*axes), ints(*steps)]
    ask(data, folder, "Slice", inputs, opset, constants=(1, 2, 3, 4))


def _as_onnx(start: int, end: int, step: int, size: int) -> tuple[int, int, int]:
    """Returns: what is taken, by ONNX's own words: counted from the end if negative, then clamped."""
    start, end = (each + size if each < 0 else each for each in (start, end))
    if step > 0:
        return min(max(start, 0), size), min(max(end, 0), size), step
    return min(max(start, 0), size - 1), min(max(end, -1), size - 1), step


@EXAMPLES
@given(st.data(), numbers, opsets(), shapes(1), st.sampled_from(["Expand", "Tile"]))
def test_repeat(folder: Path, data: DataObject, draw: Numbers, opset: int, shape: Shape, op: str) -> None:
    if op == "Tile":
        operand = ints(*(data.draw(st.integers(1, 3)) for _ in shape))
        ask(data, folder, op, [draw.real(*shape), operand], opset, constants=(1,))
        return
    less = part_of(data, shape)
    ask(data, folder, op, [draw.real(*less), ints(*shape)], opset, constants=(1,))


@EXAMPLES
@given(st.data(), numbers, opsets(), shapes(1), st.sampled_from(["constant", "reflect", "edge", "wrap"]))
def test_pad(folder: Path, data: DataObject, draw: Numbers, opset: int, shape: Shape, mode: str) -> None:
    assume(mode != "wrap" or opset >= 19)
    low = -1 if mode == "constant" else 0
    amounts = [
        data.draw(st.integers(low if shape[i % len(shape)] > 2 else 0, 3)) for i in range(2 * len(shape))
    ]
    if mode == "reflect":
        amounts = [min(a, shape[i % len(shape)] - 1) for i, a in enumerate(amounts)]
    fill = data.draw(st.sampled_from([0.0, -1.5])) if mode == "constant" else 0.0
    if opset < 11:
        ask(data, folder, "Pad", [draw.real(*shape)], opset, mode=mode, pads=amounts, value=fill)
        return
    inputs = [draw.real(*shape), ints(*amounts)]
    if mode == "constant" and data.draw(st.booleans()):
        inputs.append(np.array(fill, np.float32))
    if opset >= 18 and data.draw(st.booleans()):
        kept = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1))
        inputs[1] = ints(*(amounts[a] for a in kept), *(amounts[a + len(shape)] for a in kept))
        inputs += [None] * (3 - len(inputs)) + [ints(*kept)]  # type: ignore[list-item]
    ask(data, folder, "Pad", inputs, opset, constants=(1, 2, 3), mode=mode)


@EXAMPLES
@given(st.data(), numbers, opsets(), st.sampled_from(["DCR", "CRD", "space"]))
def test_depth_and_space(folder: Path, data: DataObject, draw: Numbers, opset: int, mode: str) -> None:
    block, c, h, w = (data.draw(st.integers(1, 3)) for _ in range(4))
    if mode == "space":
        x = draw.real(2, c, h * block, w * block)
        ask(data, folder, "SpaceToDepth", [x], opset, blocksize=block)
        return
    attrs: dict[str, Any] = {"mode": mode} if opset >= 11 else {}
    ask(
        data, folder, "DepthToSpace", [draw.real(2, c * block * block, h, w)], opset, blocksize=block, **attrs
    )


@EXAMPLES
@given(st.data(), numbers, opsets(11), shapes(1), st.sampled_from(["known", "run"]))
def test_gather(folder: Path, data: DataObject, draw: Numbers, opset: int, shape: Shape, how: str) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    size, constants = shape[axis], (1,) if how == "known" else ()
    if data.draw(st.booleans()):
        places = draw.whole(*data.draw(shapes(0, 2, 3)), low=-size, high=size)
        ask(data, folder, "Gather", [draw.real(*shape), places], opset, constants=constants, axis=axis)
        return
    sizes = list(shape)
    sizes[axis] = data.draw(st.integers(1, 5))
    places = draw.whole(*sizes, low=-size, high=size)
    ask(data, folder, "GatherElements", [draw.real(*shape), places], opset, constants=constants, axis=axis)


@EXAMPLES
@given(
    st.data(),
    numbers,
    opsets(13),
    shapes(1),
    st.sampled_from(["GatherND", "ScatterND", "ScatterElements"]),
    st.booleans(),
)
def test_places(
    folder: Path, data: DataObject, draw: Numbers, opset: int, shape: Shape, op: str, known: bool
) -> None:
    x, constants = draw.real(*shape), (1,) if known else ()
    if op == "ScatterElements":
        axis = data.draw(st.integers(0, len(shape) - 1))
        count = data.draw(st.integers(1, shape[axis]))
        places = np.argsort(draw.real(*shape), axis=axis).take(range(count), axis=axis)  # none twice
        updates = draw.real(*places.shape)
        ask(data, folder, op, [x, places, updates], opset, constants=constants, axis=axis)
        return
    depth = data.draw(st.integers(1, len(shape)))
    every = np.indices(shape[:depth]).reshape(depth, -1).T
    count = data.draw(st.integers(1, len(every)))
    places = every[draw.rng.permutation(len(every))[:count]]
    if data.draw(st.booleans()):
        places = places - np.array(shape[:depth])  # the same, counted from the end
    if op == "GatherND":
        ask(data, folder, op, [x, places], opset, constants=constants)
    else:
        updates = draw.real(count, *shape[depth:])
        ask(data, folder, op, [x, places, updates], opset, constants=constants)


@EXAMPLES
@given(
    st.data(),
    numbers,
    opsets(12),
    shapes(1),
    st.sampled_from(["ArgMax", "ArgMin", "TopK", "CumSum", "OneHot"]),
)
def test_order(folder: Path, data: DataObject, draw: Numbers, opset: int, shape: Shape, op: str) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = draw.rng.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)  # no two alike
    flag = data.draw(st.integers(0, 1))
    if op in ("ArgMax", "ArgMin"):
        ask(data, folder, op, [x], opset, axis=axis, keepdims=flag)
    elif op == "TopK":
        count = data.draw(st.integers(1, shape[axis]))
        ask(data, folder, op, [x, ints(count)], opset, constants=(1,), outputs=2, axis=axis, largest=flag)
    elif op == "CumSum":
        attrs = {"exclusive": data.draw(st.integers(0, 1)), "reverse": flag}
        ask(data, folder, op, [x, np.array(axis, np.int64)], opset, constants=(1,), **attrs)
    else:
        depth = data.draw(st.integers(1, 4))
        x = draw.whole(*shape, low=-depth, high=depth + 1)
        inputs = [x, np.array(depth, np.int64), np.array([0.5, 3.0], np.float32)]
        ask(data, folder, op, inputs, opset, constants=(1, 2), axis=data.draw(st.integers(-1, len(shape))))


@EXAMPLES
@given(st.data(), numbers, opsets(14), st.integers(-3, 3), st.integers(0, 1), shapes(2))
def test_triangle(
    folder: Path, data: DataObject, draw: Numbers, opset: int, k: int, upper: int, shape: Shape
) -> None:
    ask(data, folder, "Trilu", [draw.real(*shape), np.array(k, np.int64)], opset, constants=(1,), upper=upper)


RULES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@settings(max_examples=60)
@given(st.data(), numbers, opsets(), st.sampled_from(["nearest", "linear", "cubic"]), st.booleans())
def test_resize(folder: Path, data: DataObject, draw: Numbers, opset: int, mode: str, by_size: bool) -> None:
    h, w = (data.draw(st.integers(2, 7)) for _ in range(2))
    x = draw.real(data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3)), h, w)
    scales = np.array(
        [1, 1, *(data.draw(st.sampled_from([0.5, 1, 1.5, 2, 3])) for _ in range(2))], np.float32
    )
    assume(min(h * scales[2], w * scales[3]) >= 1)
    if opset < 11:
        assume(mode != "cubic")
        ask(
            data,
            folder,
            "Upsample" if opset == 9 else "Resize",
            [x, scales],
            opset,
            constants=(1,),
            mode=mode,
        )
        return
    attrs: dict[str, Any] = {
        "mode": mode,
        "coordinate_transformation_mode": data.draw(st.sampled_from(RULES)),
    }
    if mode == "nearest":
        attrs["nearest_mode"] = data.draw(st.sampled_from(ROUNDINGS))
    if mode == "cubic" and data.draw(st.booleans()):
        attrs["cubic_coeff_a"] = -0.5
    if mode == "cubic" and data.draw(st.booleans()):
        attrs["exclude_outside"] = 1
    inputs = [x, None, scales]
    if by_size:
        sizes = [data.draw(st.integers(1, 12)) for _ in range(2)]
        inputs = [x, None, None, ints(*x.shape[:2], *sizes)]
    if opset < 13:  # the region was no optional operand yet
        inputs[1] = np.zeros(0, np.float32)
        inputs[2] = np.zeros(0, np.float32) if inputs[2] is None else inputs[2]
    ask(data, folder, "Resize", inputs, opset, constants=(1, 2, 3), tolerance=3e-5, least=1.0, **attrs)
