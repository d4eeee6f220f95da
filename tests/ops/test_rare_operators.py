"""Operators that few models have, over settings that Hypothesis chooses, against LiteRT."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.errors import InvalidGraph
from sanderling.graph.types import Array
from sanderling.ops.op import Case
from sanderling.ops.registry import find
from tests.ops.single import declared_types, fed_arrays, model_of, node_of, run_litert, type_of

FEW = settings(max_examples=25)
SMALL = st.integers(1, 4)
SEEDS = st.integers(0, 10**6)


def ours(name: str, case: Case) -> list[Array]:
    op = find(name)
    assert op is not None
    assert op.reference is not None
    types = [None if array is None else type_of(array) for array in case.inputs]
    declared = declared_types(op, case)
    return op.reference(node_of(op, case, len(declared)), list(case.inputs), types, declared)


def check(name: str, case: Case, *, reference: bool = True) -> None:
    op = find(name)
    assert op is not None
    mine = ours(name, case)
    theirs = run_litert(model_of(op, case, [type_of(a) for a in mine]), fed_arrays(case), reference=reference)
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * max(1.0, float(np.abs(b).max(initial=0))))


def normal(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@FEW
@given(kernel=st.tuples(SMALL, SMALL, SMALL), stride=st.tuples(*[st.integers(1, 3)] * 3),
       dilation=st.tuples(*[st.integers(1, 2)] * 3), extra=st.tuples(*[st.integers(0, 5)] * 3),
       channels=st.tuples(SMALL, SMALL), padding=st.sampled_from(["SAME", "VALID"]), seed=SEEDS)  # fmt: skip
def test_convolution_of_volumes(
    kernel: tuple[int, int, int],
    stride: tuple[int, int, int],
    dilation: tuple[int, int, int],
    extra: tuple[int, int, int],
    channels: tuple[int, int],
    padding: str,
    seed: int,
) -> None:
    size = [(k - 1) * d + 1 + e for k, d, e in zip(kernel, dilation, extra, strict=True)]
    attrs: dict[str, object] = {"padding": padding}
    for axis, letter in enumerate("dhw"):
        attrs |= {f"stride_{letter}": stride[axis], f"dilation_{letter}_factor": dilation[axis]}
    arrays = [normal(seed, 1, *size, channels[0]), normal(seed + 1, *kernel, *channels)]
    check("CONV_3D", Case("", [*arrays, normal(seed + 2, channels[1])], attrs, constant=(1, 2)))


@FEW
@given(shape=st.tuples(SMALL, SMALL, SMALL), seed=SEEDS, axes=st.permutations(range(3)))
def test_reversed_sequences(shape: tuple[int, int, int], seed: int, axes: list[int]) -> None:
    along, batch = axes[:2]
    lengths = np.random.default_rng(seed).integers(0, shape[along] + 1, shape[batch]).astype(np.int32)
    attrs = {"seq_dim": along, "batch_dim": batch}
    check("REVERSE_SEQUENCE", Case("", [normal(seed, *shape), lengths], attrs))


@FEW
@given(shape=st.tuples(SMALL, SMALL, SMALL), depth=st.integers(1, 3), count=st.integers(1, 5), seed=SEEDS,
       name=st.sampled_from(["SUM", "PROD", "MAX", "MIN"]))  # fmt: skip
def test_segments(shape: tuple[int, int, int], depth: int, count: int, seed: int, name: str) -> None:
    numbers = np.random.default_rng(seed).integers(-1, count, shape[:depth]).astype(np.int32)
    case = Case("", [normal(seed, *shape), numbers, np.array(count, np.int32)], constant=(2,))
    check(f"UNSORTED_SEGMENT_{name}", case)


@FEW
@given(values=st.lists(st.integers(-3, 3), min_size=1, max_size=12))
def test_unique(values: list[int]) -> None:
    check("UNIQUE", Case("", [np.array(values, np.int32)], {"idx_out_type": "int32"}))
    first, which = ours("UNIQUE", Case("", [np.array(values, np.int32)], {"idx_out_type": "int32"}))
    assert first.tolist() == list(dict.fromkeys(values))
    assert first[which].tolist() == values


@st.composite
def paddings(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, object]]:
    shape = tuple(draw(st.lists(SMALL, min_size=1, max_size=3)))
    between = [draw(st.integers(0, 2)) for _ in shape]
    low, high = ([draw(st.integers(-1, 3)) for _ in shape] for _ in range(2))
    sizes = [n + g * (n - 1) + a + b for n, g, a, b in zip(shape, between, low, high, strict=True)]
    high = [b + max(0, 1 - size) for b, size in zip(high, sizes, strict=True)]
    attrs = {"edge_padding_low": low, "edge_padding_high": high, "interior_padding": between}
    return shape, {name: tuple(values) for name, values in attrs.items()}


@FEW
@given(padding=paddings(), seed=SEEDS)
def test_stablehlo_pad(padding: tuple[tuple[int, ...], dict[str, object]], seed: int) -> None:
    shape, attrs = padding
    check("STABLEHLO_PAD", Case("", [normal(seed, *shape), np.array(7, np.float32)], attrs))


@FEW
@given(count=st.integers(1, 12), keep=st.integers(0, 6), limit=st.floats(0.125, 0.875, width=32),
       sigma=st.sampled_from([0.0, 0.3, 1.0]), seed=SEEDS)  # fmt: skip
def test_non_maximum_suppression(count: int, keep: int, limit: float, sigma: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 1, (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(-0.2, 0.6, (count, 2))], axis=1).astype(np.float32)
    scores = rng.uniform(0, 1, count).astype(np.float32)
    scalars = [np.array(keep, np.int32), np.array(limit, np.float32), np.array(0.1, np.float32)]
    check("NON_MAX_SUPPRESSION_V4", Case("", [boxes, scores, *scalars], constant=(2,)))
    soft = [boxes, scores, *scalars, np.array(sigma, np.float32)]
    check("NON_MAX_SUPPRESSION_V5", Case("", soft, constant=(2,)))


@FEW
@given(shape=st.tuples(SMALL, SMALL), steps=st.tuples(SMALL, SMALL), window=st.tuples(SMALL, SMALL),
       stride=st.tuples(SMALL, SMALL), seed=SEEDS)  # fmt: skip
def test_dilated_and_reduced(
    shape: tuple[int, int],
    steps: tuple[int, int],
    window: tuple[int, int],
    stride: tuple[int, int],
    seed: int,
) -> None:
    x = normal(seed, *shape)
    spread = Case("", [x, np.array(steps, np.int32), np.array(-1, np.float32)], constant=(1,))
    check("DILATE", spread)
    (wide,) = ours("DILATE", spread)
    if any(w > n for w, n in zip(window, wide.shape, strict=True)):
        return
    listed = [np.array(v, np.int64) for v in (window, stride, (1, 1))]
    case = Case("", [wide, np.array(-9, np.float32), *listed], {"reduce_function": 4}, constant=(1, 2, 3, 4))
    check("REDUCE_WINDOW", case)


@pytest.mark.parametrize(
    "name, inputs, attrs, sentence",
    [
        ("SEGMENT_SUM", [np.ones((2, 1), np.float32), np.array([0, 2], np.int32)], {},
         "do not rise one by one"),
        ("REVERSE_SEQUENCE", [np.ones((2, 3), np.float32), np.array([4, 0], np.int32)],
         {"seq_dim": 1, "batch_dim": 0}, "length lies outside of 0 to 3"),
        ("RFFT2D", [np.ones((2, 3), np.float32), np.array([2, 3], np.int32)], {}, "expected powers of two"),
        ("BUCKETIZE", [np.ones(2, np.float32)], {"boundaries": (2.0, 1.0)}, "do not rise"),
        ("DILATE", [np.ones(2, np.float32), np.array([0], np.int32), np.array(0, np.float32)], {},
         "expected at least 1"),
        ("SPARSE_TO_DENSE", [np.array([5], np.int32), np.array([3], np.int32), np.ones(1, np.float32),
                             np.array(0, np.float32)], {}, "lies outside of a tensor of shape"),
        ("STABLEHLO_PAD", [np.ones(2, np.float32), np.array(0, np.float32)], {},
         "do not fit a tensor of rank"),
        ("FAKE_QUANT", [np.ones(2, np.float32)], {"min": 1.0, "max": 1.0, "num_bits": 8},
         "between 1.0 and 1.0"),
    ],
)  # fmt: skip
def test_refusals_say_what_is_wrong(
    name: str, inputs: list[Array], attrs: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidGraph, match=sentence):
        ours(name, Case("", inputs, attrs))
