"""Operators in PyTorch on shapes and options that are drawn: several samples at once, and windows."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.errors import InvalidGraph, UnsupportedOperator
from sanderling.graph.types import Array
from sanderling.ops.op import Case, Op
from sanderling.ops.registry import find
from tests.ops.test_torch import assert_close, call, in_torch

pytest.importorskip("torch", reason="the extra 'train' is not installed")
RNG = np.random.default_rng(5)
SIZES = st.integers(1, 4)
SHAPES = st.lists(SIZES, min_size=1, max_size=4).map(tuple)
PLAIN = {"fused_activation_function": "NONE"}


def real(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def whole(*values: int) -> Array:
    return np.array(values, np.int32)


def operator(name: str) -> Op:
    op = find(name)
    assert op is not None
    return op


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, Case, list[int]]:
    """Returns: an operator that has a way of its own for several samples, a call, and where samples go."""
    shape = draw(SHAPES)
    x, axis = real(*shape), draw(st.integers(0, len(shape) - 1))
    thin = tuple(draw(st.sampled_from([1, size])) for size in shape[draw(st.integers(0, len(shape) - 1)) :])
    total = prod(shape)
    rows = draw(st.sampled_from([n for n in range(1, total + 1) if total % n == 0]))
    target = draw(st.sampled_from([(rows, total // rows), (-1,), (total,), (1, -1), (-1, rows)]))
    parts = draw(st.sampled_from([n for n in (1, 2, 3, 4) if shape[axis] % n == 0]))
    lead, (m, k, n) = draw(st.lists(SIZES, max_size=2)), draw(st.tuples(SIZES, SIZES, SIZES))
    turned = draw(st.booleans())
    both = draw(st.sampled_from([[0], [1], [0, 1]]))
    pads = np.array(draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)),
                                  min_size=len(shape), max_size=len(shape))), np.int32)  # fmt: skip
    made: list[tuple[str, list[Array | None], dict[str, Any], list[int]]] = [
        ("ADD", [x, real(*thin)], PLAIN, both),
        ("ADD", [real(*thin), x], PLAIN, both),
        ("RESHAPE", [x, whole(*target)], {"new_shape": target}, [0]),
        ("CONCATENATION", [x, real(*shape)], {"axis": axis, **PLAIN}, both),
        ("SPLIT", [np.array(axis, np.int32), x], {"num_splits": parts}, [1]),
        ("PAD", [x, pads], {}, [0]),
        ("SOFTMAX", [x], {"beta": 1.0}, [0]),
        ("SUM", [x, whole(axis)], {"keep_dims": turned}, [0]),
        ("TRANSPOSE", [x, whole(*draw(st.permutations(range(len(shape)))))], {}, [0]),
        ("FULLY_CONNECTED", [x, real(5, shape[-1]), None], {"keep_num_dims": turned}, [0]),
        ("BATCH_MATMUL", [real(*lead, *((k, m) if turned else (m, k))), real(*lead[1:], k, n)],
         {"adj_x": turned}, both),
    ]  # fmt: skip
    name, inputs, attrs, longer = draw(st.sampled_from(made))
    constant = tuple(i for i, a in enumerate(inputs) if a is not None and a.dtype.kind == "i")
    return name, Case("drawn", inputs, attrs, constant=constant), longer


@settings(max_examples=200)
@given(calls())
def test_several_samples_give_what_each_of_them_gives(drawn: tuple[str, Case, list[int]]) -> None:
    name, case, longer = drawn
    op = operator(name)
    samples = [
        [real(*a.shape) if i in longer and a is not None else a for i, a in enumerate(case.inputs)]
        for _ in range(3)
    ]
    fed = [np.concatenate([s[i] for s in samples]) if i in longer else a for i, a in enumerate(case.inputs)]
    alone = [in_torch(op, case, sample)[0] for sample in samples]
    if any(not result.ndim for result in alone[0]) or any(not samples[0][i].ndim for i in longer):
        with pytest.raises(UnsupportedOperator, match=name):
            in_torch(op, case, case.inputs, fed)
        return
    for i, result in enumerate(in_torch(op, case, case.inputs, fed)[0]):
        assert_close(result, np.concatenate([results[i].detach().numpy() for results in alone]))


@st.composite
def windows(draw: st.DrawFn) -> tuple[str, Case]:
    """Returns: a convolution or pool with any window, stride and dilation."""
    kernel, stride, dilation = (draw(st.tuples(SIZES, SIZES)) for _ in range(3))
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    groups, channels, out = draw(st.integers(1, 2)), draw(SIZES), draw(SIZES)
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    strides = {"padding": padding, "stride_h": stride[0], "stride_w": stride[1]}
    dilated = {**strides, "dilation_h_factor": dilation[0], "dilation_w_factor": dilation[1]}
    image, wide = real(2, *size, channels), groups * channels
    bias = draw(st.booleans())
    same = padding == "SAME"
    small = [-(-n // s) if same else (n - k) // s + 1 for n, s, k in zip(size, stride, kernel, strict=True)]
    pool = {**strides, "filter_height": kernel[0], "filter_width": kernel[1]}
    made: list[tuple[str, Sequence[Array | None], dict[str, Any]]] = [
        ("CONV_2D", [real(2, *size, wide), real(groups * out, *kernel, channels),
                     real(groups * out) if bias else None], dilated),
        ("DEPTHWISE_CONV_2D", [image, real(1, *kernel, channels * out), real(channels * out)],
         {**dilated, "depth_multiplier": out}),
        ("TRANSPOSE_CONV", [whole(1, *size, out), real(out, *kernel, channels),
                            real(1, *(max(n, 1) for n in small), channels)], strides),
        ("CONV_3D", [real(1, 3, *size, channels), real(2, *kernel, channels, out), real(out)],
         {**dilated, "stride_d": stride[0], "dilation_d_factor": 1}),
        *((name, [image], pool) for name in ("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D")),
    ]  # fmt: skip
    name, inputs, attrs = draw(st.sampled_from(made))
    return name, Case("drawn", inputs, attrs)


@settings(max_examples=200)
@given(windows())
def test_windows_agree_with_the_reference(drawn: tuple[str, Case]) -> None:
    name, case = drawn
    op = operator(name)
    assert op.reference is not None
    try:
        node, types, out = call(op, case, case.inputs)
    except InvalidGraph:
        return  # a window that does not fit, or a small image that leads nowhere
    wanted = op.reference(node, list(case.inputs), types, out)
    assert_close(in_torch(op, case, case.inputs)[0][0], wanted[0])
