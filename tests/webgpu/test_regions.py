"""StableHLO operators that call graphs of the model, on the GPU and pinned to the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.engines.webgpu import ENGINE
from sanderling.engines.webgpu.driver.device import Device
from sanderling.graph.graph import Model, Node
from sanderling.graph.types import DType, TensorType
from sanderling.runtime.session import Session
from tests.models import run_litert as run_file
from tests.models import save
from tests.ops.single import run_litert
from tests.passes.test_firing import composite
from tests.regions_made import model, windows
from tests.webgpu.making import CLOSE, compare, prepared, run_once

BODIES = ["", "STABLEHLO_ADD", "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM", "STABLEHLO_MINIMUM"]


def scattering(
    x: np.ndarray, rows: np.ndarray, updates: np.ndarray, body: str, **axes: object
) -> tuple[Model, list[np.ndarray]]:
    attrs = {"update_computation_subgraph_index": 1, "indices_are_sorted": False, "unique_indices": False}
    node = Node("STABLEHLO_SCATTER", (0, 1, 2), (3,), attrs | axes, "StablehloScatterOptions")
    fed = [x, rows, updates]
    return model(node, fed, TensorType(x.shape, DType.FLOAT32), body), fed


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 99),
    sizes=st.tuples(st.integers(2, 6), st.integers(2, 6), st.integers(2, 6)),
    count=st.integers(1, 5),
    last=st.booleans(),
    whole=st.booleans(),
    body=st.sampled_from(BODIES),
)
def test_scattered_blocks(
    device: Device, seed: int, sizes: tuple[int, int, int], count: int, last: bool, whole: bool, body: str
) -> None:
    """Rows or blocks, at positions of which some lie outside, in index vectors along either axis."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(sizes).astype(np.float32)
    where = rng.integers(-1, max(sizes) + 1, (count, 2)).astype(np.int32)
    window = (sizes[1],) if whole else (int(rng.integers(1, sizes[1] + 1)),)
    updates = rng.standard_normal((*window, count)).astype(np.float32)
    made, fed = scattering(
        x, where if last else where.T.copy(), updates, body,
        update_window_dims=(0,), inserted_window_dims=(0, 2), scatter_dims_to_operand_dims=(2, 0),
        index_vector_dim=1 if last else 0,
    )  # fmt: skip
    (wanted,) = run_litert(made, fed, reference=False)
    compare(run_once(device, prepared(made), fed)[0], wanted, CLOSE)


@settings(max_examples=25, deadline=None)
@given(drawn=windows())
def test_windows(device: Device, drawn: tuple[Model, list[np.ndarray]]) -> None:
    made, fed = drawn
    (wanted,) = run_litert(made, fed, reference=False)
    compare(run_once(device, prepared(made), fed)[0], wanted, CLOSE)


@pytest.mark.parametrize("pin", [{}, {"STABLEHLO_SCATTER": "cpu"}])
def test_a_region_runs_where_it_is_wanted(device: Device, tmp_path: Path, pin: dict[str, str]) -> None:
    rng = np.random.default_rng(1)
    x, updates = (
        rng.standard_normal((5, 4)).astype(np.float32),
        rng.standard_normal((3, 4)).astype(np.float32),
    )
    made, fed = scattering(
        x, np.array([[3], [0], [3]], np.int32), updates, "STABLEHLO_ADD", update_window_dims=(1,),
        inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,), index_vector_dim=1,
    )  # fmt: skip
    path = save(made, tmp_path / "m.tflite")
    with Session(path, engine="webgpu", pin=pin) as session:
        compare(np.asarray(session(*fed)), run_file(path, *fed)[0], CLOSE)
        assert [row.engine for row in session.placement] == ["litert" if pin else "webgpu"]


def test_an_unknown_region_says_so() -> None:
    made, _ = scattering(
        np.zeros((5, 4), np.float32), np.zeros((2, 1), np.int32), np.zeros((2, 4), np.float32),
        "STABLEHLO_SHIFT_LEFT", update_window_dims=(1,), inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0,), index_vector_dim=1,
    )  # fmt: skip
    (verdict,) = ENGINE.supports(made)
    assert "the graph that combines its updates is none of sum" in verdict.reason


@pytest.mark.parametrize("twice", [False, True])
def test_a_composite_runs_as_what_it_is_made_of(device: Device, tmp_path: Path, twice: bool) -> None:
    path = save(composite(twice=twice), tmp_path / "m.tflite")
    x = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
    with Session(path, engine="webgpu") as session:
        compare(np.asarray(session(x)), run_file(path, x)[0], CLOSE)
        assert [(row.operator, row.engine) for row in session.placement] == [
            ("STABLEHLO_COMPOSITE", "webgpu"),
            ("NEG", "webgpu"),
        ]
