"""Passes that rename, move and copy dimensions in another way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
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
    from dataclasses import replace

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
    assert notes[0].endswith("was merged with the one before it")


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
    assert notes == ["widen_pads: PAD 'pad_0' copies rows instead of runs of 1"]
    # The engine fuses these two: nothing may come between them.
    fused = convolution(pad(Net((1, 4, 6, 1)), (0, 0), (1, 1), (1, 1), (0, 0)), 2, (3, 3), padding="VALID")
    assert rewritten(fused.model(), PAD)[1] == []


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
