"""QUANTIZE and DEQUANTIZE on stored integers, against LiteRT."""

from __future__ import annotations

import numpy as np
import pytest

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.ops.registry import find
from tests.ops.single import run_litert

QUANTS = [(DType.INT8, Quant.of(0.1, -3)), (DType.UINT8, Quant.of(0.05, 128)), (DType.INT16, Quant.of(0.001))]
PER_CHANNEL = Quant(np.array([0.1, 0.5, 2], np.float32), np.zeros(3, np.int64), axis=1, dimension=1)


def run(name: str, array: Array, taken: TensorType, given: TensorType) -> tuple[Array, Array]:
    """Returns: our output and LiteRT's."""
    op = find(name)
    assert op is not None
    assert op.reference is not None
    node = Node(name, (0,), (1,), {}, op.options)
    (ours,) = op.reference(node, [array], [taken], [given])
    graph = Graph((Tensor("x", taken), Tensor("y", given)), (node,), (0,), (1,), "main")
    (theirs,) = run_litert(Model((graph,)), [array], reference=True)
    return ours, theirs


@pytest.mark.parametrize("dtype, quant", QUANTS)
def test_quantize_rounds_halves_away_from_zero_and_saturates(dtype: DType, quant: Quant) -> None:
    steps = np.concatenate([np.arange(-40, 40) / 2, [1e4, -1e4, 0.49, -0.51]])
    x = (steps * quant.scale[0]).astype(np.float32)
    ours, theirs = run("QUANTIZE", x, TensorType(x.shape, DType.FLOAT32), TensorType(x.shape, dtype, quant))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype, quant", QUANTS)
def test_dequantize(dtype: DType, quant: Quant) -> None:
    info = np.iinfo(dtype.value)
    x = np.array([info.min, info.min + 1, 0, 1, 7, info.max], dtype.value)
    ours, theirs = run("DEQUANTIZE", x, TensorType(x.shape, dtype, quant), TensorType(x.shape, DType.FLOAT32))
    np.testing.assert_array_equal(ours, theirs)


def test_dequantize_per_channel() -> None:
    x = np.arange(-6, 6, dtype=np.int8).reshape(2, 3, 2)
    kinds = TensorType(x.shape, DType.INT8, PER_CHANNEL), TensorType(x.shape, DType.FLOAT32)
    ours, theirs = run("DEQUANTIZE", x, *kinds)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(ours, x * np.array([0.1, 0.5, 2], np.float32)[:, None])


def test_requantize_is_within_a_step_of_litert() -> None:
    x = np.arange(-128, 128).astype(np.int8)
    kinds = (
        TensorType(x.shape, DType.INT8, Quant.of(0.1, 5)),
        TensorType(x.shape, DType.INT8, Quant.of(0.17, -9)),
    )
    ours, theirs = run("QUANTIZE", x, *kinds)
    assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


@pytest.mark.parametrize(
    "quant, sentence",
    [
        (None, "without a scale"),
        (Quant(np.ones(2, np.float32), np.zeros(2, np.int64), axis=1), "2 scales for 3 channels"),
        (Quant(np.ones(3, np.float32), np.zeros(1, np.int64), axis=1), "3 scales and 1 zero points"),
        (Quant(np.ones(3, np.float32), np.zeros(3, np.int64), axis=4), "axis 4 does not exist"),
    ],
)
def test_scales_that_do_not_fit(quant: Quant | None, sentence: str) -> None:
    op = find("DEQUANTIZE")
    assert op is not None
    assert op.reference is not None
    x = np.zeros((2, 3), np.int8)
    kinds = TensorType(x.shape, DType.INT8, quant), TensorType(x.shape, DType.FLOAT32)
    with pytest.raises(InvalidGraph, match=sentence):
        op.reference(Node("DEQUANTIZE", (0,), (1,)), [x], [kinds[0]], [kinds[1]])


def test_other_operators_do_not_compute_with_stored_integers() -> None:
    kind = TensorType((2,), DType.INT8, Quant.of(0.5))
    x = np.array([1, 2], np.int8)
    add, transpose = find("ADD"), find("RESHAPE")
    assert add is not None
    assert add.reference is not None
    with pytest.raises(InvalidGraph, match="stored integers"):
        add.reference(Node("ADD", (0, 0), (1,)), [x, x], [kind, kind], [kind])
    assert transpose is not None
    assert transpose.reference is not None
    moved = transpose.reference(Node("RESHAPE", (0,), (1,), {"new_shape": (2, 1)}), [x], [kind], [kind])
    np.testing.assert_array_equal(moved[0], [[1], [2]])
