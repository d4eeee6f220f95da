"""Passes that fold operators into others, fixed shapes, and all rewrites together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling import passes
from sanderling.compress.registry import find as find_technique
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import DType, TensorType
from tests.models import Net
from tests.passes.rewrites import (
    binary,
    convolution,
    kinds,
    pad,
    random,
    resizable,
    resize,
    rewritten,
    shape_of,
    transposed_convolution,
    unary,
)

NORM = ("fold_batch_norm", "drop_dead_code")
ACTIVATE = ("fuse_activations", "drop_dead_code")
ACTIVATIONS = st.sampled_from(["NONE", "RELU", "RELU6"])


def scale(net: Net, draw: st.DrawFn, activation: str) -> None:
    kind = draw(st.sampled_from(["MUL", "ADD", "SUB", "DIV", "NEG"]))
    if kind == "NEG":
        unary(net, kind)
        return
    size = draw(st.sampled_from([1, shape_of(net)[-1]]))
    values = np.abs(random(net, size)) + np.float32(0.5)
    first = kind in ("MUL", "ADD", "SUB") and draw(st.booleans())
    binary(net, kind, net.constant(values, "operand"), activation, constant_first=first)


@settings(max_examples=50)
@given(st.data(), ACTIVATIONS, st.booleans())
def test_scales_are_folded(data: st.DataObject, activation: str, depthwise: bool) -> None:
    draw = data.draw
    net = Net((1, 5, 6, 3), draw(st.integers(0, 9)))
    for _ in range(draw(st.integers(0, 2))):
        scale(net, draw, "NONE")
    convolution(net, 4, (2, 3), padding=draw(st.sampled_from(["SAME", "VALID"])), depthwise=depthwise)
    for _ in range(draw(st.integers(0, 2))):
        scale(net, draw, "NONE")
    scale(net, draw, activation)
    model = net.model()
    result, _ = rewritten(model, NORM)
    operator = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    assert kinds(result)[-1] == operator or (activation != "NONE" and kinds(result)[-1] == "NEG")
    rewritten(resizable(model), NORM, 2)


def test_batch_norm_goes_into_the_convolution() -> None:
    net = convolution(Net((1, 4, 4, 2)), 3, (3, 3))
    binary(net, "MUL", net.constant(random(net, 3), "scale"))
    binary(net, "ADD", net.constant(random(net, 3), "offset"), "RELU6")
    result, notes = rewritten(net.model(), NORM)
    assert kinds(result) == ["CONV_2D"]
    assert result.main.nodes[0].attrs["fused_activation_function"] == "RELU6"
    assert notes[0] == "fold_batch_norm: MUL 'mul_1' went into the CONV_2D before it"


def test_a_dense_layer_takes_scales_from_both_sides() -> None:
    net = Net((1, 6))
    binary(net, "ADD", net.constant(random(net, 6), "offset"))
    net.dense(4)
    binary(net, "DIV", net.constant(np.float32([2.0]), "scale"))
    assert kinds(rewritten(net.model(), NORM)[0]) == ["FULLY_CONNECTED"]


@pytest.mark.parametrize("values", [np.float32([np.inf]), np.float32([np.nan]), np.float32([0.0])])
def test_dividing_by_what_has_no_inverse_is_left(values: np.ndarray) -> None:
    net = convolution(Net((1, 4, 4, 2)), 3, (3, 3))
    binary(net, "DIV", net.constant(values, "scale"))
    assert passes.run(net.model(), NORM)[1] == []


def test_scales_behind_padding_or_read_twice_are_left() -> None:
    net = Net((1, 4, 4, 2))
    binary(net, "ADD", net.constant(random(net, 2), "offset"))
    assert rewritten(convolution(net, 3, (3, 3), padding="SAME").model(), NORM)[1] == []
    net = convolution(Net((1, 4, 4, 2)), 2, (3, 3))
    both = net.last
    binary(net, "MUL", net.constant(random(net, 2), "scale"))
    assert rewritten(binary(net, "ADD", both).model(), NORM)[1] == []


@settings(max_examples=20)
@given(st.sampled_from(["RELU", "RELU6", "RELU_N1_TO_1"]), ACTIVATIONS, st.booleans())
def test_activations_are_fused(kind: str, before: str, plus: bool) -> None:
    net = convolution(Net((1, 4, 4, 2)), 3, (3, 3), activation=before)
    if plus:
        binary(net, "ADD", net.constant(random(net, 3), "offset"))
    unary(net, kind)
    result, notes = rewritten(net.model(), ACTIVATE)
    fused = plus or before == "NONE" or "RELU_N1_TO_1" not in (before, kind)
    assert kinds(result) == ["CONV_2D", *["ADD"] * plus, *[kind] * (not fused)]
    assert bool(notes) == fused


def test_a_value_that_others_read_keeps_its_activation_apart() -> None:
    net = convolution(Net((1, 4, 4, 2)), 2, (3, 3))
    both = net.last
    unary(net, "RELU")
    assert rewritten(binary(net, "ADD", both).model(), ACTIVATE)[1] == []


@pytest.mark.parametrize("nearest", [True, False])
@pytest.mark.parametrize("kind", ["align_corners", "half_pixel_centers", ""])
def test_resizing_to_the_same_size_goes(nearest: bool, kind: str) -> None:
    attrs = {name: name == kind for name in ("align_corners", "half_pixel_centers")}
    net = resize(convolution(Net((1, 5, 6, 2)), 3, (1, 1)), 5, 6, nearest=nearest, **attrs)
    names = ("drop_identity_resizes", "drop_no_ops", "drop_dead_code")
    assert kinds(rewritten(net.model(), names)[0]) == ["CONV_2D"]


def test_a_fixed_batch_makes_shapes_constant() -> None:
    net = Net((1, 4, 4, 3)).conv(4)
    shape = len(net.tensors)
    net.tensors.append(Tensor("shape", TensorType((4,), DType.INT32)))
    net.nodes.append(Node("SHAPE", (net.last,), (shape,), {"out_type": "int32"}, "ShapeOptions"))
    net.op("RESHAPE", (1, 4, 4, 4), (shape,), "ReshapeOptions", new_shape=())
    net.conv(2)
    model = net.model()
    tensors = list(model.main.tensors)
    tensors[0] = replace(tensors[0], shape_signature=(-1, 4, 4, 3))
    model = model.with_main(replace(model.main, tensors=tuple(tensors)))
    result, notes = rewritten(model, ("static_batch", *passes.LOSSLESS))
    assert kinds(result) == ["CONV_2D", "CONV_2D"]
    assert notes[0] == "static_batch: input 'input' is fixed to 1×4×4×3"
    assert not any(-1 in t.shape_signature for t in result.main.tensors)


@st.composite
def nets(draw: st.DrawFn) -> Net:
    """Draws a little network of all that the passes look for."""
    net = Net((1, 8, 9, draw(st.integers(1, 3))), draw(st.integers(0, 99)))
    steps = st.sampled_from(["conv", "mask", "up", "deconv", "scale", "relu", "pad", "depthwise", "resize"])
    for step in draw(st.lists(steps, min_size=1, max_size=6)):
        _, height, width, _ = shape_of(net)
        if step == "conv":
            convolution(net, draw(st.integers(1, 9)), (1, 1), activation=draw(ACTIVATIONS))
        elif step == "mask":
            convolution(net, 1, (3, draw(st.integers(1, 7))))
        elif step == "up" and height < 32:
            resize(net, 2 * height, 2 * width, half_pixel_centers=True)
        elif step == "deconv" and height < 32:
            transposed_convolution(net, 2, (3, 3), (2, 2), (2 * height, 2 * width), "SAME")
        elif step == "scale":
            scale(net, draw, "NONE")
        elif step == "relu":
            unary(net, "RELU")
        elif step == "pad":
            pad(net, (0, 0), (1, 1), (0, 1), (0, 0))
        elif step == "depthwise":
            convolution(net, 0, (3, 3), stride=(2, 2), depthwise=True)
        else:
            resize(net, height, width)
    return net


@settings(max_examples=40)
@given(nets(), st.booleans())
def test_all_rewrites_together_keep_the_answers(net: Net, open_batch: bool) -> None:
    model = resizable(net.model()) if open_batch else net.model()
    upsampled = any(node.op == "TRANSPOSE_CONV" for node in model.main.nodes)
    rewritten(model, passes.FASTER, *([2] if open_batch and not upsampled else []))
    result, _ = rewritten(model, passes.STATIC)
    assert passes.run(result, passes.STATIC)[1] == [], "the second run still finds something"


def test_the_technique_says_what_it_did(tmp_path: Path) -> None:
    model = resizable(convolution(Net((1, 64, 64, 8)), 1, (3, 3)).model())
    technique = find_technique("rewrite")
    work = Work(tmp_path)
    result, applied = technique.apply(model, {}, work)
    assert kinds(result) == ["CONV_2D", "RESHAPE"]
    assert applied.notes[0].startswith("block_narrow_convolutions: ")
    same, applied = technique.apply(model, {"passes": ["fuse_pad"], "static_batch": True}, work)
    assert applied.notes == ("static_batch: input 'input' is fixed to 1×64×64×8",)
    assert kinds(same) == ["CONV_2D"]
    with pytest.raises(RecipeError, match="there is no pass 'nonsense'"):
        technique.apply(model, {"passes": ["nonsense"]}, work)
