"""The format's sparse encoding: what is encoded comes back, in our decoder and in LiteRT."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sanderling import tflite
from sanderling.graph.constant import decode
from sanderling.graph.graph import Tensor
from sanderling.graph.sparse import OVERHEAD_BYTES, densify, encode, sparsify
from sanderling.graph.types import DType, Quant, TensorType


def _constant(values: np.ndarray, quant: Quant | None = None) -> Tensor:
    return Tensor("w", TensorType(values.shape, DType(values.dtype.name), quant), values)


def _sparse(shape: tuple[int, ...], density: float, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 100, shape) * (rng.random(shape) < density)
    return values.astype(dtype)


@st.composite
def _arrays(draw: st.DrawFn) -> tuple[np.ndarray, tuple[int, ...], int]:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=6))
    values = draw(hnp.arrays(np.int8, shape, elements=st.sampled_from([0, 0, 0, 1, -7])))
    order = tuple(draw(st.permutations(range(len(shape)))))
    return values.astype(np.float32), order, draw(st.integers(1, len(shape)))


@given(_arrays())
def test_any_order_and_number_of_compressed_levels_comes_back(
    drawn: tuple[np.ndarray, tuple[int, ...], int],
) -> None:
    values, order, compressed = drawn
    sparsity, data = encode(values, order, compressed)
    assert np.array_equal(decode(replace(_constant(values), data=data, sparsity=sparsity)), values)
    assert data.size == max(np.count_nonzero(values), 1)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
@pytest.mark.parametrize("shape", [(300, 40), (8, 3, 3, 64), (64, 1, 1, 64), (4096,), (1, 3, 3, 512)])
def test_what_is_mostly_zeros_gets_smaller(shape: tuple[int, ...], dtype: str) -> None:
    values = _sparse(shape, 0.05, dtype)
    quant = Quant.of(0.5) if dtype == "int8" else None
    encoded = sparsify(_constant(values, quant), overhead=0)
    assert encoded is not None
    assert encoded.sparsity is not None
    assert encoded.type == _constant(values, quant).type
    assert np.array_equal(decode(encoded), values)
    assert np.array_equal(decode(densify(encoded)), values)
    indices = sum(a.nbytes for _, *pair in encoded.sparsity.dims for a in pair if a is not None)
    assert encoded.stored_nbytes + indices < 0.4 * values.nbytes


@pytest.mark.parametrize(
    "values",
    [
        _sparse((64, 64), 0.9),  # too dense
        _sparse((8, 8), 0.1),  # too small for what the tables around it take
        _sparse((64, 64), 0.1, "int32"),  # DENSIFY has no kernel
        np.zeros((3, 0), np.float32),
        np.zeros((), np.float32),
        _sparse((2, 2, 2, 2, 400), 0.01),  # of a rank that DENSIFY does not take
    ],
)
def test_what_would_not_get_smaller_stays(values: np.ndarray) -> None:
    assert sparsify(_constant(values)) is None


def test_zeros_alone_are_no_computed_tensor(tmp_path: Path) -> None:
    encoded = sparsify(_constant(np.zeros((64, 64), np.float32)))
    assert encoded is not None
    assert encoded.stored_nbytes > 0  # an empty buffer would say that the tensor is computed
    assert not decode(encoded).any()


def test_the_limit_is_where_files_really_get_smaller(tmp_path: Path) -> None:
    """``OVERHEAD_BYTES`` is no less than what the tables take in a file."""
    from sanderling.compress.sparse import encoded_model
    from tests.models import Net, save

    model = Net((1, 64), 0).dense(64).model()
    graph = model.main
    weights = graph.nodes[0].inputs[1]
    tensors = list(graph.tensors)
    tensors[weights] = replace(tensors[weights], data=_sparse((64, 64), 0.1))
    model = model.with_main(replace(graph, tensors=tuple(tensors)))
    encoded, count = encoded_model(model)
    assert count == 1
    stored = [t for t in encoded.main.tensors if t.sparsity is not None]
    assert len(stored) == 1
    assert stored[0].sparsity is not None
    arrays = [a for _, *pair in stored[0].sparsity.dims for a in pair if a is not None]
    saved = 64 * 64 * 4 - stored[0].stored_nbytes - sum(a.nbytes for a in arrays)
    sizes = [save(each, tmp_path / f"{i}.tflite").stat().st_size for i, each in enumerate((model, encoded))]
    assert saved - OVERHEAD_BYTES <= sizes[0] - sizes[1] <= saved
    back = tflite.read(tmp_path / "1.tflite").main
    read = next(t for t in back.tensors if t.sparsity is not None)
    assert np.array_equal(decode(read), decode(stored[0]))
