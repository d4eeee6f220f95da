"""Recurrent layers, boxes and StableHLO slices with drawn settings."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from sanderling.graph.types import Array
from sanderling.ops._lstm_cases import Parts
from sanderling.ops.op import Case
from tests.webgpu.drawn_layers import Drawn, drawn_shape, normal


def _cell(
    draw: st.DrawFn, rng: np.random.Generator, features: int, cells: int
) -> tuple[list[Array | None], Parts]:
    """The operands of an LSTM's cell that follow its input, and which parts it has."""
    parts = Parts(*(draw(st.booleans()) for _ in range(4)))
    # One output may be the small difference of large terms, and then its scale is no measure of rounding.
    outputs = draw(st.integers(3, 9)) if parts.projection else cells
    gates = [parts.input_gate, True, True, True]

    def given(there: bool, *shape: int) -> Array | None:
        return normal(rng, *shape) / np.float32(shape[-1] ** 0.5) if there else None

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
    arrays: list[Array | None] = [normal(rng, *((steps, batch) if time_major else (batch, steps)), features)]
    arrays += [*operands, *(np.zeros((batch, n), np.float32) for n in (recurrent.shape[1], cells))]
    if parts.norm:
        arrays += [normal(rng, cells) if there else None for there in (parts.input_gate, True, True, True)]
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
        arrays: list[Array | None] = [normal(rng, *shape) for shape in shapes]
        arrays.append(np.zeros((batch, filters * memory), np.float32))
        return "SVDF", Case("drawn", arrays, attrs | {"rank": rank}, constant=(1, 2, 3), variables=(4,))
    arrays = [normal(rng, *((steps, batch) if time_major else (batch, steps)), features)]
    for _ in range(1 + both):
        units = draw(st.integers(1, 18))
        shapes = (units, features), (units, units), (units,)
        arrays += [normal(rng, *shape) / np.float32(2 * shape[-1] ** 0.5) for shape in shapes]
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
    shape = drawn_shape(draw, 1, 3)
    where = [int(axis) for axis in rng.permutation(len(shape))][: draw(st.integers(1, len(shape)))]
    sizes = [draw(st.integers(1, n)) for n in shape]
    collapsed = [axis for axis, size in enumerate(sizes) if size == 1 and draw(st.booleans())]
    batch = drawn_shape(draw, 1, 2)
    depth = draw(st.integers(0, len(batch)))
    index = rng.integers(-1, 8, (*batch[:depth], len(where), *batch[depth:]), dtype=np.int32)
    kept = len(shape) - len(collapsed)
    offsets = sorted(int(axis) for axis in rng.permutation(len(batch) + kept)[:kept])
    attrs = {
        "slice_sizes": sizes, "collapsed_slice_dims": collapsed, "start_index_map": where,
        "offset_dims": offsets, "index_vector_dim": depth,
    }  # fmt: skip
    return "STABLEHLO_GATHER", Case("drawn", [normal(rng, *shape), index], attrs)
