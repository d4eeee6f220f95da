"""StableHLO operators that call a graph of the model for their arithmetic, against LiteRT."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from sanderling.engines.registry import find
from sanderling.errors import RunError
from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.tflite import write
from tests.ops.single import run_litert
from tests.regions_made import model, windows


def ours(made: Model, inputs: list[Array]) -> Array:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.tflite"
        write(made, path)
        return find("reference").load(path, made).run(inputs)[0]


@settings(max_examples=25)
@given(windows())
def test_windows(drawn: tuple[Model, list[Array]]) -> None:
    made, fed = drawn
    (theirs,) = run_litert(made, fed, reference=False)
    np.testing.assert_allclose(ours(made, fed), theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("body", ["", "STABLEHLO_ADD", "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM"])
def test_scattered_rows(body: str) -> None:
    rng = np.random.default_rng(1)
    x, rows = rng.standard_normal((5, 4)).astype(np.float32), np.array([[3], [0], [3], [9]], np.int32)
    updates = rng.standard_normal((4, 4)).astype(np.float32)
    attrs = {"update_window_dims": (1,), "inserted_window_dims": (0,), "scatter_dims_to_operand_dims": (0,),
             "index_vector_dim": 1, "update_computation_subgraph_index": 1, "indices_are_sorted": False,
             "unique_indices": False}  # fmt: skip
    node = Node("STABLEHLO_SCATTER", (0, 1, 2), (3,), attrs, "StablehloScatterOptions")
    made = model(node, [x, rows, updates], TensorType(x.shape, DType.FLOAT32), body)
    (theirs,) = run_litert(made, [x, rows, updates], reference=False)
    np.testing.assert_allclose(ours(made, [x, rows, updates]), theirs, rtol=0, atol=1e-6)


def test_updates_that_do_not_fit_are_refused() -> None:
    x, rows, updates = np.zeros((5, 4), np.float32), np.zeros((2, 1), np.int32), np.zeros((3, 4), np.float32)
    attrs = {"update_window_dims": (1,), "inserted_window_dims": (0,), "scatter_dims_to_operand_dims": (0,),
             "index_vector_dim": 1, "update_computation_subgraph_index": 1}  # fmt: skip
    node = Node("STABLEHLO_SCATTER", (0, 1, 2), (3,), attrs, "StablehloScatterOptions")
    made = model(node, [x, rows, updates], TensorType(x.shape, DType.FLOAT32), "STABLEHLO_ADD")
    with pytest.raises(RunError, match="cannot put updates"):
        ours(made, [x, rows, updates])
