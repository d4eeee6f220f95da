"""Passes that rename, move and copy dimensions in another way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sanderling import passes
from sanderling.graph.graph import Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from tests.models import Net
from tests.passes.rewrites import (
    binary,
    convolution,
    kinds,
    pad,
    random,
    resizable,
    rewritten,
    shape_of,
    transpose,
    unary,
)

MERGE = ("merge_reshapes", "drop_no_ops", "drop_dead_code")
CANCEL = ("cancel_transposes", "drop_no_ops", "drop_dead_code")
CONCAT = ("widen_concatenations", "drop_dead_code")
PAD = ("widen_pads", "drop_dead_code")


def rename(net: Net, draw: st.DrawFn) -> None:
    """Adds an operator that only renames dimensions."""
    shape = shape_of(net)
    kind = draw(st.sampled_from(["RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE"]))
    ones = [axis for axis, size in enumerate(shape) if size == 1 and axis]
    if kind == "EXPAND_DIMS" and len(shape) < 5:
        axis = draw(st.integers(1, len(shape)))
        longer = (*shape[:axis], 1, *shape[axis:])
        net.op(kind, longer, (net.constant(np.array(axis, np.int32), "axis"),), "ExpandDimsOptions")
    elif kind == "SQUEEZE" and ones:
        axis = draw(st.sampled_from(ones))
        shorter = (*shape[:axis], *shape[axis + 1 :])
        net.op(kind, shorter, (), "SqueezeOptions", squeeze_dims=(axis,))
    elif kind == "TRANSPOSE" and ones:
        axis, place = draw(st.sampled_from(ones)), draw(st.integers(1, len(shape) - 1))
        order = [a for a in range(len(shape)) if a != axis]
        order.insert(place, axis)
        transpose(net, *order)
    else:
        rest = int(np.prod(shape[1:]))
        net.reshape(shape[0], *draw(st.sampled_from([(rest,), (1, rest), (rest, 1), (2, rest // 2, 1)])))


@settings(max_examples=40)
@given(st.data(), st.integers(1, 5), st.booleans())
def test_renamed_dimensions_become_one_reshape(data: st.DataObject, count: int, open_batch: bool) -> None:
    net = Net((2 if open_batch else 1, 3, 1, 4))
    unary(net, "ABS")
    for _ in range(count):
        rename(net, data.draw)
    unary(net, "NEG")
    model = net.model()
    model = open_reshapes(resizable(model)) if open_batch else model
    result, _ = rewritten(model, MERGE, *([3] if open_batch else []))
    assert set(kinds(result)) <= {"ABS", "RESHAPE", "NEG"}
    assert kinds(result).count("RESHAPE") <= 1


def open_reshapes(model: Model) -> Model:
    """Returns: the model whose RESHAPEs take any batch, as converters write them."""
    tensors = list(model.main.tensors)
    for node in model.main.nodes:
        if node.op == "RESHAPE":
            told = np.array(tensors[node.inputs[1]].data)
            told[0] = -1
            tensors[node.inputs[1]] = replace(tensors[node.inputs[1]], data=told)
    return model.with_main(replace(model.main, tensors=tuple(tensors)))


def test_what_moves_elements_is_no_reshape() -> None:
    model = transpose(Net((1, 3, 4)), 0, 2, 1).model()
    assert rewritten(model, ("merge_reshapes",))[1] == []


def test_merged_reshapes_are_told() -> None:
    net = Net((1, 6, 1))
    transpose(net, 0, 2, 1)
    net.op("EXPAND_DIMS", (1, 1, 1, 6), (net.constant(np.array(1, np.int32), "axis"),), "ExpandDimsOptions")
    result, notes = rewritten(net.model(), ("merge_reshapes", "drop_dead_code"))
    assert kinds(result) == ["RESHAPE"]
    assert notes[:2] == [
        "merge_reshapes: TRANSPOSE 'transpose_0' became RESHAPE",
        "merge_reshapes: merged 2 operators that rename dimensions into RESHAPE 'expand_dims_1'",
    ]


@settings(max_examples=40)
@given(st.data(), st.booleans())
def test_transposes_are_merged(data: st.DataObject, open_batch: bool) -> None:
    draw = data.draw
    net = Net((1, 2, 3, 4))
    for _ in range(draw(st.integers(1, 4))):
        transpose(
            net, *((0, *draw(st.permutations([1, 2, 3]))) if open_batch else draw(st.permutations(range(4))))
        )
        for _ in range(draw(st.integers(0, 2))):
            between(net, draw)
    model = net.model()
    model = resizable(model) if open_batch else model
    rewritten(model, CANCEL, *([2] if open_batch else []))


def between(net: Net, draw: st.DrawFn) -> None:
    kind = draw(st.sampled_from(["ABS", "LOGISTIC", "scalar", "channels", "square"]))
    if kind == "scalar":
        binary(net, "MUL", net.constant(random(net, 1), "scale"), constant_first=draw(st.booleans()))
    elif kind == "channels":
        shape = shape_of(net)[draw(st.integers(0, 3)) :]
        binary(net, "ADD", net.constant(random(net, *shape), "offset"))
    elif kind == "square":
        binary(net, "MUL", net.last)
    else:
        unary(net, kind)


@pytest.mark.parametrize("middle", [[], ["ABS", "LOGISTIC"]])
def test_transposes_cancel(middle: Sequence[str]) -> None:
    net = convolution(Net((1, 4, 5, 2)), 3, (3, 3))
    transpose(net, 0, 3, 1, 2)
    for kind in middle:
        unary(net, kind)
    transpose(net, 0, 2, 3, 1)
    result, notes = rewritten(net.model(), CANCEL)
    assert kinds(result) == ["CONV_2D", *middle]
    through = f" through {len(middle)} operators" if middle else ""
    assert notes[0].startswith(f"cancel_transposes: 2 TRANSPOSE became 0{through} at ")


def test_squaring_again_and_again_stays_small() -> None:
    net = transpose(Net((1, 2, 3)), 0, 2, 1)
    for _ in range(25):
        binary(net, "MUL", net.last)
    result, _ = passes.run(transpose(net, 0, 2, 1).model(), CANCEL)
    assert kinds(result) == ["MUL"] * 25


@settings(max_examples=30)
@given(st.data(), st.booleans())
def test_wide_pads_keep_the_answers(data: st.DataObject, open_batch: bool) -> None:
    draw = data.draw
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    pairs = st.tuples(st.integers(0, 2), st.integers(0, 2))
    first = (0, 0) if open_batch else draw(pairs)
    net = pad(Net((1, *sizes)), first, *(draw(pairs) for _ in sizes))
    model = net.model()
    model = resizable(model) if open_batch else model
    rewritten(model, PAD, *([2] if open_batch else []))


def test_pads_of_pixels_become_pads_of_rows() -> None:
    net = pad(Net((1, 4, 6, 1)), (0, 0), (1, 0), (0, 3), (0, 0))
    result, notes = rewritten(net.model(), PAD)
    assert kinds(result) == ["RESHAPE", "PAD", "RESHAPE"]
    assert notes[0] == "widen_pads: PAD 'pad_0' copies rows instead of runs of 1"
    # The engine fuses these two: nothing may come between them.
    fused = convolution(pad(Net((1, 4, 6, 1)), (0, 0), (1, 1), (1, 1), (0, 0)), 2, (3, 3), padding="VALID")
    assert rewritten(fused.model(), PAD)[1] == []


@settings(max_examples=30)
@given(st.data(), st.sampled_from(["REFLECT", "SYMMETRIC"]), st.booleans())
def test_mirrored_borders_keep_the_answers(data: st.DataObject, mode: str, open_batch: bool) -> None:
    draw = data.draw
    shape = (1, *draw(st.lists(st.integers(2, 5), min_size=1, max_size=3)))
    most = [size - (mode == "REFLECT") for size in shape]
    first = st.just((0, 0)) if open_batch else st.tuples(*[st.integers(0, most[0])] * 2)
    pads = [draw(first), *(draw(st.tuples(st.integers(0, m), st.integers(0, m))) for m in most[1:])]
    net = Net(shape)
    padded = tuple(size + sum(pair) for size, pair in zip(shape, pads, strict=True))
    operand = net.constant(np.array(pads, np.int32), "pads")
    net.op("MIRROR_PAD", padded, (operand,), "MirrorPadOptions", mode=mode)
    model = resizable(net.model()) if open_batch else net.model()
    result, notes = rewritten(model, ("replace_mirror_pads",), *([2] if open_batch else []))
    assert ("MIRROR_PAD" in kinds(result)) == (not any(map(any, pads)))
    assert not notes or notes == [
        "replace_mirror_pads: MIRROR_PAD 'mirror_pad_0' became slices and CONCATENATION"
    ]


def test_sizes_are_followed_through_shape_arithmetic() -> None:
    """RESHAPE to [batch, 12]: the batch is taken from SHAPE, as converters write Flatten."""
    net = Net((1, 3, 4))
    unary(net, "ABS")
    source, first = net.last, len(net.tensors)
    for name, shape in (("shape", (3,)), ("batch", ()), ("wanted", (2,))):
        net.tensors.append(Tensor(name, TensorType(shape, DType.INT32)))
    zero, one = (net.constant(np.array([v], np.int32), "at") for v in (0, 1))
    rest = net.constant(np.array(12, np.int32), "rest")
    net.nodes.append(Node("SHAPE", (source,), (first,), {"out_type": "int32"}, "ShapeOptions"))
    cut = {"shrink_axis_mask": 1}
    net.nodes.append(Node("STRIDED_SLICE", (first, zero, one, one), (first + 1,), cut, "StridedSliceOptions"))
    packed = {"axis": 0, "values_count": 2}
    net.nodes.append(Node("PACK", (first + 1, rest), (first + 2,), packed, "PackOptions"))
    net.op("RESHAPE", (1, 12), (first + 2,), "ReshapeOptions", new_shape=())
    model = net.model()
    tensors = list(model.main.tensors)
    tensors[0] = replace(tensors[0], shape_signature=(-1, 3, 4))
    model = model.with_main(replace(model.main, tensors=tuple(tensors)))
    result, _ = rewritten(model, ("merge_reshapes", "drop_dead_code"), 3)
    assert kinds(result) == ["ABS", "RESHAPE"]
    assert np.array_equal(result.main.tensors[result.main.nodes[1].inputs[1]].data, [-1, 12])


def joined(kind: str, count: int, shape: tuple[int, ...], axis: int) -> Model:
    net = Net(shape)
    sources = []
    for _ in range(count):
        net.last = 0
        binary(net, "ADD", net.constant(random(net, 1), "offset"))
        sources.append(net.last)
    net.last = sources[0]
    if kind == "PACK":
        out = (*shape[:axis], count, *shape[axis:])
        net.op(kind, out, tuple(sources[1:]), "PackOptions", axis=axis, values_count=count)
    else:
        out = (*shape[:axis], count * shape[axis], *shape[axis + 1 :])
        net.op(
            kind, out, tuple(sources[1:]), "ConcatenationOptions", axis=axis, fused_activation_function="NONE"
        )
    return net.model()


@settings(max_examples=30)
@given(st.data())
def test_joined_values_keep_the_answers(data: st.DataObject) -> None:
    draw = data.draw
    kind = draw(st.sampled_from(["PACK", "CONCATENATION"]))
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    axis = draw(st.integers(0, len(shape) - (kind == "CONCATENATION")))
    model = joined(kind, draw(st.integers(2, 7)), shape, axis)
    result, _ = rewritten(model, CONCAT)
    assert "PACK" not in kinds(result)
    if axis:
        rewritten(resizable(model), CONCAT, 2)
    else:
        assert rewritten(resizable(model), CONCAT)[1] == []


def test_single_elements_are_interleaved() -> None:
    result, notes = rewritten(joined("CONCATENATION", 3, (1, 5, 4, 1), 3), CONCAT)
    assert kinds(result) == ["ADD"] * 3 + ["RESHAPE"] * 3 + ["CONCATENATION", "TRANSPOSE", "RESHAPE"]
    assert notes[0] == (
        "widen_concatenations: CONCATENATION 'concatenation_3' interleaves 3 inputs by one TRANSPOSE"
    )
    assert rewritten(joined("CONCATENATION", 3, (1, 5, 4, 2), 3), CONCAT)[1] == []


def test_integers_are_left_alone() -> None:
    net = Net((2,))
    net.tensors[0] = Tensor("input", TensorType((2,), DType.INT32))
    net.tensors.append(Tensor("both", TensorType((2, 2), DType.INT32)))
    net.nodes.append(Node("PACK", (0, 0), (1,), {"axis": 1, "values_count": 2}, "PackOptions"))
    net.last = 1
    assert passes.run(net.model(), CONCAT)[1] == []


@settings(max_examples=50)
@given(st.data(), st.booleans())
def test_strided_slices_keep_the_answers(data: st.DataObject, open_batch: bool) -> None:
    draw = data.draw
    rank = draw(st.integers(2, 4))
    steps = [draw(st.integers(1, 3)) for _ in range(rank)]
    shape = [step * draw(st.integers(1, 4)) for step in steps]
    if open_batch:
        steps[0], shape[0] = 1, 1
    begin = [draw(st.integers(-size, size - 1)) for size in shape]
    end = [draw(st.integers(-size, size + 1)) for size in shape]
    masks = [draw(st.integers(0, 2**rank - 1)) | open_batch for _ in range(2)]
    out = [
        len(range(size)[slice(None if masks[0] >> i & 1 else b, None if masks[1] >> i & 1 else e, step)])
        for i, (size, b, e, step) in enumerate(zip(shape, begin, end, steps, strict=True))
    ]
    assume(min(out) > 0)
    net = Net(tuple(shape))
    operands = tuple(net.constant(np.array(v, np.int32), "slice") for v in (begin, end, steps))
    net.op(
        "STRIDED_SLICE", tuple(out), operands, "StridedSliceOptions", begin_mask=masks[0], end_mask=masks[1]
    )
    model = resizable(net.model()) if open_batch else net.model()
    result, notes = rewritten(model, ("widen_strided_slices",), *([2] if open_batch else []))
    assert bool(notes) == (max(steps) > 1 and steps[-1] == 1)
    assert kinds(result) == (["RESHAPE", "SLICE"] if notes else ["STRIDED_SLICE"])
