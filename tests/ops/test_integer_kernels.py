"""Integer kernels against LiteRT's reference kernels, bit for bit, over scales that Hypothesis chooses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.graph.graph import Graph, Model, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.ops._stored import compute
from sanderling.ops.op import Case
from sanderling.ops.registry import find
from tests.ops.single import node_of, run_litert, type_of

FEW = settings(max_examples=25)
SCALES = st.floats(1e-3, 0.2)
EIGHT = st.sampled_from([DType.INT8, DType.UINT8])
SEEDS = st.integers(0, 10**6)


def quant(draw_scale: float, zero: int, dtype: DType) -> Quant:
    return Quant.of(draw_scale, 0 if dtype is DType.INT16 else zero + 128 * (dtype is DType.UINT8))


def stored(seed: int, shape: tuple[int, ...], dtype: DType) -> Array:
    info = np.iinfo(dtype.value)
    return np.random.default_rng(seed).integers(info.min, info.max + 1, shape).astype(dtype.value)


def both(name: str, case: Case, kinds: list[TensorType], out: TensorType) -> tuple[Array, Array]:
    """Returns: our output and that of LiteRT's reference kernel."""
    op = find(name)
    assert op is not None
    node = node_of(op, case, 1)
    arrays = [array for array in case.inputs if array is not None]
    tensors = [Tensor(f"in{i}", k, arrays[i] if i in case.constant else None) for i, k in enumerate(kinds)]
    fed = tuple(i for i in range(len(arrays)) if i not in case.constant)
    graph = Graph((*tensors, Tensor("out", out)), (node,), fed, node.outputs, "main")
    (theirs,) = run_litert(Model((graph,)), [arrays[i] for i in fed], reference=True)
    (ours,) = compute(op, node, arrays, kinds, [out])
    return ours, theirs


def check(name: str, case: Case, kinds: list[TensorType], out: TensorType) -> None:
    ours, theirs = both(name, case, kinds, out)
    np.testing.assert_array_equal(ours, theirs)


@FEW
@given(scale=SCALES, out=SCALES, zero=st.integers(-90, 90), alpha=st.floats(-2, 2, width=32), seed=SEEDS,
       dtype=st.sampled_from([DType.INT8, DType.UINT8, DType.INT16]))  # fmt: skip
def test_leaky_relu(scale: float, out: float, zero: int, alpha: float, seed: int, dtype: DType) -> None:
    x = stored(seed, (5, 20), dtype)
    kinds = [TensorType(x.shape, dtype, quant(scale, zero, dtype))]
    check("LEAKY_RELU", Case("", [x], {"alpha": alpha}), kinds,
          TensorType(x.shape, dtype, quant(out, -zero, dtype)))  # fmt: skip


@FEW
@given(scales=st.tuples(SCALES, SCALES, SCALES), zero=st.integers(-90, 90), seed=SEEDS, dtype=EIGHT)
def test_prelu(scales: tuple[float, float, float], zero: int, seed: int, dtype: DType) -> None:
    x, slope = stored(seed, (2, 5, 3), dtype), stored(seed + 1, (1, 1, 3), dtype)
    quants = [quant(s, zero, dtype) for s in scales]
    kinds = [TensorType(a.shape, dtype, q) for a, q in zip((x, slope), quants, strict=False)]
    check("PRELU", Case("", [x, slope]), kinds, TensorType(x.shape, dtype, quants[2]))


@FEW
@given(scales=st.tuples(SCALES, SCALES, SCALES), zeros=st.tuples(*[st.integers(-90, 90)] * 3), seed=SEEDS)
def test_squared_difference(
    scales: tuple[float, float, float], zeros: tuple[int, int, int], seed: int
) -> None:
    x, y = stored(seed, (4, 9), DType.INT8), stored(seed + 1, (1, 9), DType.INT8)
    quants = [quant(s, z, DType.INT8) for s, z in zip(scales, zeros, strict=True)]
    kinds = [TensorType(a.shape, DType.INT8, q) for a, q in zip((x, y), quants, strict=False)]
    check("SQUARED_DIFFERENCE", Case("", [x, y]), kinds, TensorType(x.shape, DType.INT8, quants[2]))


@FEW
@given(scales=st.tuples(SCALES, SCALES), zeros=st.tuples(*[st.integers(-90, 90)] * 2), seed=SEEDS,
       name=st.sampled_from(["LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL", "EQUAL", "NOT_EQUAL"]),
       dtype=st.sampled_from([DType.INT8, DType.UINT8, DType.INT16]))  # fmt: skip
def test_comparisons(
    scales: tuple[float, float], zeros: tuple[int, int], seed: int, name: str, dtype: DType
) -> None:
    x, y = stored(seed, (20, 9), dtype), stored(seed + 1, (20, 9), dtype)
    quants = [quant(s, z, dtype) for s, z in zip(scales, zeros, strict=True)]
    kinds = [TensorType(a.shape, dtype, q) for a, q in zip((x, y), quants, strict=True)]
    check(name, Case("", [x, y]), kinds, TensorType(x.shape, DType.BOOL))


@FEW
@given(scale=SCALES, out=SCALES, zero=st.integers(-90, 90), seed=SEEDS, keep=st.booleans(),
       axes=st.sampled_from([(0,), (1,), (2,), (0, 2), (1, 2), (0, 1, 2)]),
       dtype=st.sampled_from([DType.INT8, DType.UINT8, DType.INT16]))  # fmt: skip
def test_mean(
    scale: float, out: float, zero: int, seed: int, keep: bool, axes: tuple[int, ...], dtype: DType
) -> None:
    x, listed = stored(seed, (3, 7, 5), dtype), np.array(axes, np.int32)
    shape = x.mean(axis=axes, keepdims=keep).shape
    kinds = [TensorType(x.shape, dtype, quant(scale, zero, dtype)), type_of(listed)]
    check("MEAN", Case("", [x, listed], {"keep_dims": keep}, constant=(1,)), kinds,
          TensorType(shape, dtype, quant(out, -zero, dtype)))  # fmt: skip


@FEW
@given(scale=st.floats(1e-5, 4e-4), name=st.sampled_from(["LOGISTIC", "TANH"]), seed=SEEDS)
def test_sigmoids_of_int16(scale: float, name: str, seed: int) -> None:
    x = stored(seed, (300,), DType.INT16)
    kind = TensorType(x.shape, DType.INT16, Quant.of(scale))
    check(name, Case("", [x]), [kind], TensorType(x.shape, DType.INT16, Quant.of(1 / 32768)))


@FEW
@given(scale=st.floats(1e-4, 2e-3), beta=st.floats(0.25, 2, width=32), seed=SEEDS)
def test_softmax_of_int16(scale: float, beta: float, seed: int) -> None:
    x = stored(seed, (7, 11), DType.INT16)
    kind = TensorType(x.shape, DType.INT16, Quant.of(scale))
    out = TensorType(x.shape, DType.INT16, Quant.of(1 / 32768))
    check("SOFTMAX", Case("", [x], {"beta": beta}), [kind], out)


@FEW
@given(scale=st.floats(1e-5, 1e-4), out=st.floats(1e-4, 1e-3), seed=SEEDS, approximate=st.booleans())
def test_tables_of_int16(scale: float, out: float, seed: int, approximate: bool) -> None:
    x = stored(seed, (300,), DType.INT16)
    kind = TensorType(x.shape, DType.INT16, Quant.of(scale))
    result = TensorType(x.shape, DType.INT16, Quant.of(out))
    # LiteRT evaluates the functions in float32: now and then an entry of the table rounds the other way.
    for name, attrs in (("EXP", {}), ("GELU", {"approximate": approximate})):
        ours, theirs = both(name, Case("", [x], attrs), [kind], result)
        assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1, name


@FEW
@given(size=st.tuples(*[st.integers(1, 6)] * 2), new=st.tuples(*[st.integers(1, 9)] * 2),
       mode=st.sampled_from(["", "align_corners", "half_pixel_centers"]), seed=SEEDS,
       dtype=st.sampled_from([DType.INT8, DType.INT16]))  # fmt: skip
def test_resize_bilinear(
    size: tuple[int, int], new: tuple[int, int], mode: str, seed: int, dtype: DType
) -> None:
    x, wanted = stored(seed, (1, *size, 2), dtype), np.array(new, np.int32)
    kind = TensorType(x.shape, dtype, Quant.of(0.1))
    case = Case("", [x, wanted], {mode: True} if mode else {}, constant=(1,))
    check("RESIZE_BILINEAR", case, [kind, type_of(wanted)], TensorType((1, *new, 2), dtype, Quant.of(0.1)))


@pytest.mark.parametrize("name", ["FLOOR_DIV", "FLOOR_MOD"])
def test_what_litert_computes_without_scales(name: str) -> None:
    x, y = stored(1, (60,), DType.INT8), stored(2, (60,), DType.INT8)
    y[y == 0] = 3
    kind = TensorType(x.shape, DType.INT8, Quant.of(0.5, 7))
    check(name, Case("", [x, y]), [kind, kind], TensorType(x.shape, DType.INT8, Quant.of(0.1, -3)))
