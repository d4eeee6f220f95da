"""Operators with drawn settings: shapes, strides, paddings, axes, broadcasts, masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from sanderling.graph.types import Array
from sanderling.ops._lstm_cases import Parts
from sanderling.ops.op import Case

Drawn = tuple[str, Case]
Draw = Callable[[st.SearchStrategy[int]], int]


def _normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def _ints(*values: int) -> Array:
    return np.array(values, np.int32)


def _shape(draw: st.DrawFn, low: int = 1, high: int = 5) -> tuple[int, ...]:
    return tuple(draw(st.integers(1, 7)) for _ in range(draw(st.integers(low, high))))


def _slides(draw: st.DrawFn, dilated: bool = True) -> dict[str, object]:
    found: dict[str, object] = {
        "padding": draw(st.sampled_from(["SAME", "VALID"])),
        "stride_h": draw(st.integers(1, 3)), "stride_w": draw(st.integers(1, 3)),
    }  # fmt: skip
    if dilated:
        found |= {"dilation_h_factor": draw(st.integers(1, 2)), "dilation_w_factor": draw(st.integers(1, 2))}
    return found


def _image(draw: st.DrawFn, rng: np.random.Generator, size: tuple[int, int], channels: int) -> Array:
    height, width = (draw(st.integers(2 * k, 2 * k + 6)) for k in size)
    return _normal(rng, draw(st.integers(1, 2)), height, width, channels)


def convolution(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """Groups of 1, 2, 3, 5 and 6 channels among them, which other engines get wrong."""
    groups, depth = draw(st.integers(1, 4)), draw(st.sampled_from([1, 2, 3, 4, 5, 6, 8]))
    size, out = (draw(st.integers(1, 3)), draw(st.integers(1, 3))), groups * draw(st.integers(1, 9))
    arrays = [_image(draw, rng, size, groups * depth), _normal(rng, out, *size, depth), _normal(rng, out)]
    attrs = _slides(draw) | {"fused_activation_function": draw(st.sampled_from(["NONE", "RELU", "RELU6"]))}
    return "CONV_2D", Case("drawn", arrays, attrs, constant=(1, 2))


def depthwise(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    channels, multiplier = draw(st.integers(1, 9)), draw(st.sampled_from([1, 1, 2, 3]))
    size, out = (draw(st.integers(1, 3)), draw(st.integers(1, 3))), channels * multiplier
    arrays = [_image(draw, rng, size, channels), _normal(rng, 1, *size, out), _normal(rng, out)]
    attrs = _slides(draw) | {"depth_multiplier": multiplier}
    return "DEPTHWISE_CONV_2D", Case("drawn", arrays, attrs, constant=(1, 2))


def transposed(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    size, out, depth = (
        (draw(st.integers(1, 4)), draw(st.integers(1, 4))),
        draw(st.integers(1, 9)),
        draw(st.integers(1, 6)),
    )
    attrs = _slides(draw, dilated=False)
    x = _normal(rng, draw(st.integers(1, 2)), draw(st.integers(1, 5)), draw(st.integers(1, 5)), depth)
    same = attrs["padding"] == "SAME"
    strides = int(str(attrs["stride_h"])), int(str(attrs["stride_w"]))
    height, width = (
        n * s if same else (n - 1) * s + k for n, s, k in zip(x.shape[1:3], strides, size, strict=True)
    )
    arrays = [_ints(x.shape[0], height, width, out), _normal(rng, out, *size, depth), x]
    return "TRANSPOSE_CONV", Case("drawn", arrays, attrs, constant=(0, 1))


def pool(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    size = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    attrs = _slides(draw, dilated=False) | {"filter_height": size[0], "filter_width": size[1]}
    x = _image(draw, rng, size, draw(st.integers(1, 9)))
    return draw(st.sampled_from(["AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"])), Case("drawn", [x], attrs)


def dense(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    rows, units, features = (draw(st.integers(1, 9)) for _ in range(3))
    arrays = [_normal(rng, rows, features), _normal(rng, units, features), _normal(rng, units)]
    constant = (1, 2) if draw(st.booleans()) else (2,)
    return "FULLY_CONNECTED", Case("drawn", arrays, {}, constant=constant)


def product(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    rows, inner, columns = (draw(st.integers(1, 9)) for _ in range(3))
    batch = _shape(draw, 0, 2)
    other = tuple(1 if draw(st.booleans()) else n for n in batch)[draw(st.integers(0, len(batch))) :]
    adj = draw(st.booleans()), draw(st.booleans())
    x = _normal(rng, *batch, *((inner, rows) if adj[0] else (rows, inner)))
    y = _normal(rng, *other, *((columns, inner) if adj[1] else (inner, columns)))
    return "BATCH_MATMUL", Case("drawn", [x, y], {"adj_x": adj[0], "adj_y": adj[1]})


def binary(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = _shape(draw, 1, 4)
    cut = tuple(1 if draw(st.booleans()) else n for n in shape)[draw(st.integers(0, len(shape))) :]
    name = draw(
        st.sampled_from(
            ["ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "GREATER", "LESS_EQUAL"]
        )
    )
    pair = [_normal(rng, *shape), _normal(rng, *cut)]
    return name, Case("drawn", pair if draw(st.booleans()) else pair[::-1], {})


def strided(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = _shape(draw, 1, 4)
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
    arrays = [_normal(rng, *shape), _ints(*begin), _ints(*end), _ints(*stride)]
    return "STRIDED_SLICE", Case("drawn", arrays, dict(masks), constant=(1, 2, 3))


def gather(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = _shape(draw, 1, 4)
    axis = draw(st.integers(0, len(shape) - 1))
    index = rng.integers(0, shape[axis], _shape(draw, 0, 5 - len(shape)), dtype=np.int32)
    constant = (1,) if draw(st.booleans()) else ()
    return "GATHER", Case("drawn", [_normal(rng, *shape), index], {"axis": axis}, constant=constant)


def reduction(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = _shape(draw, 1, 4)
    axes = [axis for axis in range(len(shape)) if draw(st.booleans())] or [0]
    name = draw(st.sampled_from(["SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN"]))
    keep = {"keep_dims": draw(st.booleans())}
    return name, Case("drawn", [_normal(rng, *shape), _ints(*axes)], keep, constant=(1,))


def moved(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = _shape(draw, 2, 4)
    x, rank = _normal(rng, *shape), len(shape)
    around = np.array([[draw(st.integers(0, 3)), draw(st.integers(0, 3))] for _ in shape], np.int32)
    middle = _ints(*(n // 2 for n in shape))
    few = np.minimum(around, (np.array(shape, np.int32) - 1)[:, None])
    return draw(st.sampled_from([
        ("TRANSPOSE", Case("drawn", [x, _ints(*rng.permutation(rank))], {}, constant=(1,))),
        ("PAD", Case("drawn", [x, around], {}, constant=(1,))),
        ("MIRROR_PAD", Case("drawn", [x, few], {"mode": "REFLECT"}, constant=(1,))),
        ("TILE", Case("drawn", [x, _ints(*rng.integers(1, 4, rank))], {}, constant=(1,))),
        ("REVERSE_V2", Case("drawn", [x, _ints(int(rng.integers(rank)))], {}, constant=(1,))),
        ("SLICE", Case("drawn", [x, middle, _ints(*[-1] * rank)], {}, constant=(1, 2))),
    ]))  # fmt: skip


def joined(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    shape = list(_shape(draw, 1, 4))
    axis = draw(st.integers(0, len(shape) - 1))
    parts = []
    for _ in range(draw(st.integers(2, 4))):
        shape[axis] = draw(st.integers(1, 9))
        parts.append(_normal(rng, *shape))
    return "CONCATENATION", Case("drawn", parts, {"axis": axis})


def rows(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    x = 3 * _normal(rng, *_shape(draw, 1, 4))
    axis = np.array(draw(st.integers(0, x.ndim - 1)), np.int32)
    half, backwards = np.array(1 + x.shape[-1] // 2, np.int32), bool(x.size % 2)
    return draw(st.sampled_from([
        ("SOFTMAX", Case("drawn", [x], {"beta": 1.0})),
        ("LOG_SOFTMAX", Case("drawn", [x])),
        ("L2_NORMALIZATION", Case("drawn", [x])),
        ("CUMSUM", Case("drawn", [x, axis], {"reverse": backwards}, constant=(1,))),
        ("ARG_MAX", Case("drawn", [x, axis], {"output_type": "int32"}, constant=(1,))),
        ("TOPK_V2", Case("drawn", [x, half], {}, constant=(1,))),
    ]))  # fmt: skip


def _cell(
    draw: st.DrawFn, rng: np.random.Generator, features: int, cells: int
) -> tuple[list[Array | None], Parts]:
    """The operands of an LSTM's cell that follow its input, and which parts it has."""
    parts = Parts(*(draw(st.booleans()) for _ in range(4)))
    outputs = draw(st.integers(1, 9)) if parts.projection else cells
    gates = [parts.input_gate, True, True, True]

    def given(there: bool, *shape: int) -> Array | None:
        return _normal(rng, *shape) / np.float32(shape[-1] ** 0.5) if there else None

    found = [given(there, cells, features) for there in gates]
    found += [given(there, cells, outputs) for there in gates]
    found += [given(parts.peephole and there, cells) for there in (parts.input_gate, True, True)]
    found += [given(there, cells) for there in gates]
    found += [
        given(parts.projection, outputs, cells),
        given(parts.projection and draw(st.booleans()), outputs),
    ]
    return found, parts


def lstm(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """Cells with any of their parts, over sequences of any length."""
    steps, batch, features = draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(1, 9))
    cells = draw(st.sampled_from([1, 3, 4, 7, 16, 33]))
    operands, parts = _cell(draw, rng, features, cells)
    recurrent = operands[5]
    assert recurrent is not None
    time_major = draw(st.booleans())
    arrays: list[Array | None] = [_normal(rng, *((steps, batch) if time_major else (batch, steps)), features)]
    arrays += [*operands, *(np.zeros((batch, n), np.float32) for n in (recurrent.shape[1], cells))]
    if parts.norm:
        arrays += [_normal(rng, cells) if there else None for there in (parts.input_gate, True, True, True)]
    attrs = {
        "time_major": time_major,
        "fused_activation_function": draw(st.sampled_from(["TANH", "RELU", "RELU6"])),
        "cell_clip": draw(st.sampled_from([0.0, 0.5])), "proj_clip": draw(st.sampled_from([0.0, 0.3])),
    }  # fmt: skip
    constant = tuple(i for i, array in enumerate(arrays) if i not in (0, 18, 19) and array is not None)
    return "UNIDIRECTIONAL_SEQUENCE_LSTM", Case("drawn", arrays, attrs, constant=constant, variables=(18, 19))


def plain_recurrent(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """Plain layers, along the steps or both ways, and SVDF."""
    steps, batch, features = draw(st.integers(1, 6)), draw(st.integers(1, 3)), draw(st.integers(1, 9))
    time_major, both = draw(st.booleans()), draw(st.booleans())
    attrs: dict[str, object] = {"fused_activation_function": draw(st.sampled_from(["NONE", "TANH", "RELU"]))}
    if draw(st.integers(0, 2)) == 0:
        rank, memory = draw(st.integers(1, 3)), draw(st.integers(1, 6))
        filters = rank * draw(st.integers(1, 7))
        shapes = (batch, features), (filters, features), (filters, memory), (filters // rank,)
        arrays: list[Array | None] = [_normal(rng, *shape) for shape in shapes]
        arrays.append(np.zeros((batch, filters * memory), np.float32))
        return "SVDF", Case("drawn", arrays, attrs | {"rank": rank}, constant=(1, 2, 3), variables=(4,))
    arrays = [_normal(rng, *((steps, batch) if time_major else (batch, steps)), features)]
    for _ in range(1 + both):
        units = draw(st.integers(1, 18))
        shapes = (units, features), (units, units), (units,)
        arrays += [_normal(rng, *shape) / np.float32(2 * shape[-1] ** 0.5) for shape in shapes]
        arrays.append(np.zeros((batch, units), np.float32))
    attrs["time_major"] = time_major
    if not both:
        return "UNIDIRECTIONAL_SEQUENCE_RNN", Case("drawn", arrays, attrs, constant=(1, 2, 3), variables=(4,))
    merge = draw(st.booleans())
    return "BIDIRECTIONAL_SEQUENCE_RNN", Case(
        "drawn", [*arrays, None, None, None], attrs | {"merge_outputs": merge}, (1, 2, 3, 5, 6, 7),
        ("float32",) * (1 if merge else 2), (4, 8),
    )  # fmt: skip


def boxes(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """Boxes of which many overlap, fewer or more than are kept."""
    count, keep = draw(st.sampled_from([1, 7, 60, 1100])), draw(st.integers(1, 40))
    corners = rng.uniform(0, 1, (count, 2))
    sides = rng.uniform(-0.1, 0.6, (count, 2))  # some are given by their other corners
    arrays = [
        np.concatenate([corners, corners + sides], axis=1).astype(np.float32),
        rng.uniform(0, 1, count).astype(np.float32), np.array(keep, np.int32),
        np.array(draw(st.sampled_from([0.1, 0.5, 1.0])), np.float32), np.array(0.3, np.float32),
    ]  # fmt: skip
    if draw(st.booleans()):
        return "NON_MAX_SUPPRESSION_V4", Case("drawn", arrays, {}, constant=(2,))
    sigma = np.array(draw(st.sampled_from([0.0, 0.5])), np.float32)
    return "NON_MAX_SUPPRESSION_V5", Case("drawn", [*arrays, sigma], {}, constant=(2,))


def slices(draw: st.DrawFn, rng: np.random.Generator) -> Drawn:
    """Slices of any axes, in an output whose axes lie anywhere."""
    shape = _shape(draw, 1, 3)
    where = [int(axis) for axis in rng.permutation(len(shape))][: draw(st.integers(1, len(shape)))]
    sizes = [draw(st.integers(1, n)) for n in shape]
    collapsed = [axis for axis, size in enumerate(sizes) if size == 1 and draw(st.booleans())]
    batch = _shape(draw, 1, 2)
    depth = draw(st.integers(0, len(batch)))
    index = rng.integers(-1, 8, (*batch[:depth], len(where), *batch[depth:]), dtype=np.int32)
    kept = len(shape) - len(collapsed)
    offsets = sorted(int(axis) for axis in rng.permutation(len(batch) + kept)[:kept])
    attrs = {
        "slice_sizes": sizes, "collapsed_slice_dims": collapsed, "start_index_map": where,
        "offset_dims": offsets, "index_vector_dim": depth,
    }  # fmt: skip
    return "STABLEHLO_GATHER", Case("drawn", [_normal(rng, *shape), index], attrs)


FAMILIES = (
    convolution, convolution, convolution, depthwise, transposed, pool, dense, product, binary, strided,
    gather, reduction, moved, joined, rows, lstm, plain_recurrent, boxes,
    slices,
)  # fmt: skip


@st.composite
def operators(draw: st.DrawFn) -> Drawn:
    """An operator with settings of any kind."""
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    return draw(st.sampled_from(FAMILIES))(draw, rng)
