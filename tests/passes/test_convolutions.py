"""Passes that change how a convolution is computed: on any geometry the answers stay."""

from __future__ import annotations

import struct
from unittest.mock import patch

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sanderling import passes
from sanderling.graph.graph import CUSTOM, Model, Node
from sanderling.passes import block_narrow_convolutions as blocking
from sanderling.passes import separate_pools
from sanderling.passes import unfold_transposed_convolutions as unfolding
from tests.models import Net
from tests.passes.rewrites import (
    convolution,
    kinds,
    pad,
    resizable,
    resize,
    rewritten,
    same_answers,
    transposed_convolution,
    unary,
)

BLOCK = ("block_narrow_convolutions", "drop_dead_code")
UNFOLD = ("unfold_transposed_convolutions", "drop_dead_code")
ACTIVATIONS = st.sampled_from(["NONE", "RELU", "RELU6"])
PADDINGS = st.sampled_from(["SAME", "VALID"])


@st.composite
def narrow(draw: st.DrawFn) -> Model:
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    stride = draw(st.integers(1, 2)), draw(st.integers(1, 4))
    padding, dilation = draw(PADDINGS), draw(st.integers(1, 2))
    height = draw(st.integers(1, 9))
    width = draw(st.integers(1, 40))
    if padding == "VALID":
        assume(height > (kernel[0] - 1) * dilation and width >= kernel[1])
    net = Net((draw(st.integers(1, 2)), height, width, draw(st.integers(1, 5))), draw(st.integers(0, 99)))
    if draw(st.booleans()):
        unary(net, "ABS")
    convolution(
        net, draw(st.integers(1, 8)), kernel, stride=stride, dilation=(dilation, 1), padding=padding,
        activation=draw(ACTIVATIONS),
    )  # fmt: skip
    if draw(st.booleans()):
        unary(net, "ABS")
    return net.model()


@settings(max_examples=60)
@given(narrow(), st.integers(0, 10), st.booleans())
def test_every_way_to_block_keeps_the_answers(model: Model, choice: int, open_batch: bool) -> None:
    def any_plan(site: object, plan: blocking._Plan) -> float:
        return 1e-9 * ((7 * plan.outputs + 3 * plan.group + choice) % 11 + 1)

    model = resizable(model) if open_batch else model
    # One round only: with such costs every further one would block again.
    with patch.object(blocking, "_cost", any_plan):
        blocked, notes = blocking.apply(model)
    same_answers(model, blocked, *([3] if open_batch else []))
    convolutions = [n for n in model.main.nodes if n.op == "CONV_2D"]
    wide = model.main.tensors[convolutions[0].outputs[0]].shape[2] > 1
    assert bool(notes) == wide


def test_blocking_is_chosen_where_it_pays() -> None:
    one = convolution(Net((1, 1, 4098, 1)), 1, (1, 256), stride=(1, 2), padding="VALID").model()
    blocked, notes = rewritten(one, BLOCK)
    assert kinds(blocked) == ["RESHAPE", "PAD", "RESHAPE", "CONV_2D", "RESHAPE", "SLICE"]
    assert notes[0] == (
        "block_narrow_convolutions: CONV_2D 'conv_2d_0' computes 16 neighbours at once from blocks of 32 "
        "columns, predicted 11.8×"
    )
    mask = convolution(Net((1, 64, 64, 8)), 1, (3, 3)).model()
    assert kinds(rewritten(mask, BLOCK)[0]) == ["CONV_2D", "RESHAPE"]


@pytest.mark.parametrize("shape, filters", [((1, 32, 32, 16), 16), ((1, 32, 32, 3), 16), ((1, 4, 4, 8), 1)])
def test_blocking_is_left_where_it_does_not_pay(shape: tuple[int, ...], filters: int) -> None:
    model = convolution(Net(shape), filters, (3, 3)).model()
    assert rewritten(model, BLOCK)[1] == []


@st.composite
def transposed(draw: st.DrawFn) -> Model:
    square = draw(st.booleans())
    step = draw(st.integers(2, 4))
    stride = (step, step) if square else (1, step)
    kernel = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    padding = draw(PADDINGS)
    small = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    size = []
    for count, k, s in zip(small, kernel, stride, strict=True):
        # All output sizes that lead back to this input size.
        low, high = (
            ((count - 1) * s + 1, count * s)
            if padding == "SAME"
            else ((count - 1) * s + k, count * s + k - 1)
        )
        size.append(draw(st.integers(low, high)))
    net = Net((draw(st.integers(1, 2)), *small, draw(st.integers(1, 4))), draw(st.integers(0, 99)))
    transposed_convolution(
        net, draw(st.integers(1, 4)), kernel, stride, (size[0], size[1]), padding, draw(ACTIVATIONS),
        bias=draw(st.booleans()),
    )  # fmt: skip
    return net.model()


@settings(max_examples=60)
@given(transposed())
def test_unfolding_keeps_the_answers(model: Model) -> None:
    with patch.object(unfolding, "WORTHWHILE", 0):
        result, notes = rewritten(model, UNFOLD)
    assert "TRANSPOSE_CONV" not in kinds(result)
    assert len(notes) > 0


def test_unfolding_is_chosen_where_it_pays() -> None:
    net = transposed_convolution(Net((1, 32, 32, 16)), 1, (2, 2), (2, 2), (64, 64), "SAME")
    result, notes = rewritten(net.model(), UNFOLD)
    assert kinds(result) == ["CONV_2D", "DEPTH_TO_SPACE"]
    assert notes[0] == (
        "unfold_transposed_convolutions: TRANSPOSE_CONV 'up0' became a convolution, predicted 6.5×"
    )


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_the_custom_transposed_convolution_becomes_the_builtin(padding: str) -> None:
    size = (16, 16) if padding == "SAME" else (17, 17)
    net = transposed_convolution(Net((1, 8, 8, 4)), 3, (3, 3), (2, 2), size, padding)
    _, weights, image, bias = net.nodes[0].inputs
    options = struct.pack("<iii", {"SAME": 1, "VALID": 2}[padding], 2, 2)
    net.nodes[0] = Node(
        CUSTOM, (image, weights, bias), net.nodes[0].outputs, custom_code="Convolution2DTransposeBias",
        custom_options=options,
    )  # fmt: skip
    result, notes = rewritten(net.model(), ("replace_transpose_conv_bias", "drop_dead_code"))
    assert kinds(result) == ["TRANSPOSE_CONV"]
    assert notes[0].endswith("became the builtin TRANSPOSE_CONV")
    # Options that make no sense are left to the engine.
    net.nodes[0] = Node(
        CUSTOM, (image, weights, bias), net.nodes[0].outputs, custom_code="Convolution2DTransposeBias",
        custom_options=b"\x07" * 12,
    )  # fmt: skip
    assert passes.run(net.model(), ["replace_transpose_conv_bias"])[1] == []


@settings(max_examples=40)
@given(st.data())
def test_upsampling_comes_last(data: st.DataObject) -> None:
    draw = data.draw
    net = Net(
        (1, draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 9))),
        draw(st.integers(0, 9)),
    )
    _, height, width, _ = net.tensors[0].shape
    nearest = draw(st.booleans())
    kind = draw(st.sampled_from(["align_corners", "half_pixel_centers", "neither"]))
    attrs = {name: name == kind for name in ("align_corners", "half_pixel_centers")}
    resize(net, height * draw(st.integers(1, 3)), width + draw(st.integers(0, 5)), nearest=nearest, **attrs)
    convolution(net, draw(st.integers(1, 6)), (1, 1), activation=draw(ACTIVATIONS))
    model = net.model()
    rewritten(model, ("delay_upsampling", "drop_dead_code"))
    rewritten(resizable(model), ("delay_upsampling", "drop_dead_code"), 2)


def test_upsampling_is_delayed() -> None:
    net = convolution(
        resize(Net((1, 4, 4, 16)), 8, 8, half_pixel_centers=True), 4, (1, 1), activation="RELU6"
    )
    result, notes = rewritten(net.model(), ("delay_upsampling", "drop_dead_code"))
    assert kinds(result) == ["CONV_2D", "RESIZE_BILINEAR", "RELU6"]
    assert notes[0] == "delay_upsampling: CONV_2D 'conv_2d_1' runs on 4×4 pixels, before RESIZE_BILINEAR"


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(2, 5), ACTIVATIONS, st.booleans(), st.booleans())
def test_broadcast_channels_are_convolved_once(
    local: int, context: int, size: int, activation: str, first: bool, open_batch: bool
) -> None:
    net = Net((1, size, size, local))
    pooled = net.op(
        "AVERAGE_POOL_2D", (1, 1, 1, local), (), "Pool2DOptions", padding="VALID", stride_w=size,
        stride_h=size, filter_width=size, filter_height=size, fused_activation_function="NONE",
    )  # fmt: skip
    convolution(pooled, context, (1, 1))
    wide = resize(net, size, size, align_corners=True).last
    net.last = wide if first else 0
    net.op(
        "CONCATENATION", (1, size, size, local + context), (0 if first else wide,), "ConcatenationOptions",
        axis=3, fused_activation_function="NONE",
    )  # fmt: skip
    model = convolution(net, 5, (1, 1), activation=activation).model()
    model = resizable(model) if open_batch else model
    result, notes = rewritten(
        model, ("split_broadcast_channels", "drop_dead_code"), *([2] if open_batch else [])
    )
    assert kinds(result) == ["AVERAGE_POOL_2D", "CONV_2D", "CONV_2D", "CONV_2D", "ADD"]
    assert notes[0].endswith(f"takes {context} of {local + context} channels from a single pixel")


@settings(max_examples=50)
@given(st.data())
def test_fused_padding_is_the_same_padding(data: st.DataObject) -> None:
    draw = data.draw
    kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    net = Net((1, draw(st.integers(3, 12)), draw(st.integers(3, 12)), 2), draw(st.integers(0, 9)))
    pairs = [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(2)]
    pad(net, (0, 0), *pairs, (0, 0))
    assume(min(net.tensors[net.last].shape[1:3]) >= kernel)
    convolution(
        net, 3, (kernel, kernel), stride=(stride, stride), padding="VALID", depthwise=draw(st.booleans())
    )
    result, notes = rewritten(net.model(), ("fuse_pad", "drop_dead_code"))
    assert bool(notes) == (result.main.nodes[-1].attrs["padding"] == "SAME")


def test_padding_is_fused_where_it_is_same() -> None:
    net = convolution(
        pad(Net((1, 8, 8, 2)), (0, 0), (0, 1), (0, 1), (0, 0)), 3, (3, 3), stride=(2, 2), padding="VALID"
    )
    assert kinds(rewritten(net.model(), ("fuse_pad", "drop_dead_code"))[0]) == ["CONV_2D"]
    net = convolution(
        pad(Net((1, 8, 8, 2)), (0, 0), (1, 1), (1, 1), (0, 0)), 3, (3, 3), stride=(2, 2), padding="VALID"
    )
    assert rewritten(net.model(), ("fuse_pad", "drop_dead_code"))[1] == []


@settings(max_examples=40)
@given(st.data(), PADDINGS, ACTIVATIONS, st.booleans())
def test_large_depthwise_kernels_are_split(
    data: st.DataObject, padding: str, activation: str, open_batch: bool
) -> None:
    draw = data.draw
    kernel = draw(st.integers(4, 9)), draw(st.integers(4, 9))
    least = max(kernel) if padding == "VALID" else 1
    net = Net((1, draw(st.integers(least, 12)), draw(st.integers(least, 12)), draw(st.integers(1, 3))))
    convolution(net, 0, kernel, padding=padding, activation=activation, depthwise=True)
    model = resizable(net.model()) if open_batch else net.model()
    result, notes = rewritten(
        model, ("split_large_depthwise", "drop_dead_code"), *([2] if open_batch else [])
    )
    assert bool(notes) == (kernel[0] * kernel[1] > 25 and padding == "SAME")
    assert all(
        node.op != "DEPTHWISE_CONV_2D" or result.main.tensors[node.inputs[1]].type.size <= 25 * 3
        for node in result.main.nodes
        if notes
    )


def test_a_split_depthwise_is_told() -> None:
    net = convolution(Net((1, 8, 8, 2)), 0, (6, 6), activation="RELU", depthwise=True)
    result, notes = rewritten(net.model(), ("split_large_depthwise",))
    shown = [kind for kind in kinds(result) if kind != "PAD"]
    assert shown == ["DEPTHWISE_CONV_2D", *["DEPTHWISE_CONV_2D", "ADD"] * 3]
    assert result.main.nodes[-1].attrs["fused_activation_function"] == "RELU"
    assert notes == [
        "split_large_depthwise: DEPTHWISE_CONV_2D 'depthwise_conv_2d_0' of 6×6 became 4 with dilation 2"
    ]


@settings(max_examples=40)
@given(st.data(), st.sampled_from(["MAX_POOL_2D", "AVERAGE_POOL_2D"]), PADDINGS, ACTIVATIONS, st.booleans())
def test_separated_pools_keep_the_answers(
    data: st.DataObject, kind: str, padding: str, activation: str, open_batch: bool
) -> None:
    draw = data.draw
    window, step = (draw(st.integers(1, 7)), draw(st.integers(1, 7))), draw(st.integers(1, 3))
    height, width = (draw(st.integers(size if padding == "VALID" else 1, 14)) for size in window)
    net = Net((1, height, width, 2), draw(st.integers(0, 9)))
    out = [
        -(-size // step) if padding == "SAME" else (size - k) // step + 1
        for size, k in zip((height, width), window, strict=True)
    ]
    net.op(
        kind, (1, *out, 2), (), "Pool2DOptions", padding=padding, stride_h=step, stride_w=step,
        filter_height=window[0], filter_width=window[1], fused_activation_function=activation,
    )  # fmt: skip
    model = resizable(net.model()) if open_batch else net.model()
    with patch("sanderling.passes.separate_pools.WORTHWHILE", 0):
        # One round: without a threshold the halves would be separated for ever.
        result, notes = separate_pools.apply(model)
    same_answers(model, result, *([2] if open_batch else []))
    assert bool(notes) == (min(window) > 1)


def test_only_overlapping_windows_are_separated() -> None:
    def pool(size: int, step: int) -> Model:
        out = -(-20 // step)
        return (
            Net((1, 20, 20, 4))
            .op(
                "MAX_POOL_2D", (1, out, out, 4), (), "Pool2DOptions", padding="SAME", stride_h=step,
                stride_w=step, filter_height=size, filter_width=size, fused_activation_function="NONE",
            )
            .model()
        )  # fmt: skip

    result, notes = rewritten(pool(9, 1), ("separate_pools",))
    assert kinds(result) == ["MAX_POOL_2D", "MAX_POOL_2D"]
    assert notes == ["separate_pools: MAX_POOL_2D 'max_pool_2d_0' of 9×9 became 9×1 and 1×9"]
    assert rewritten(pool(2, 2), ("separate_pools",))[1] == []
    assert rewritten(pool(20, 20), ("separate_pools",))[1] == []
