"""SVDF over several steps, with the state that it keeps, on both engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.registry import find as find_engine
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.ops.registry import find
from sanderling.tflite import write
from tests.ops.single import options_of

BATCH, FEATURES, FILTERS, MEMORY, RANK = 3, 5, 8, 4, 2
SHAPES = {
    "x": (BATCH, FEATURES), "feature": (FILTERS, FEATURES), "time": (FILTERS, MEMORY),
    "bias": (FILTERS // RANK,), "state": (BATCH, FILTERS * MEMORY), "y": (BATCH, FILTERS // RANK),
}  # fmt: skip
REAL = TensorType((), DType.FLOAT32)
FORMS: dict[str, dict[str, TensorType]] = {
    "float": dict.fromkeys(SHAPES, REAL),
    "hybrid": dict.fromkeys(SHAPES, REAL)
    | {
        "feature": TensorType((), DType.INT8, Quant.of(0.02)),
        "time": TensorType((), DType.INT8, Quant.of(0.01)),
    },
    "int8": {
        "x": TensorType((), DType.INT8, Quant.of(0.1, 3)),
        "feature": TensorType((), DType.INT8, Quant.of(0.02)),
        "time": TensorType((), DType.INT16, Quant.of(0.0001)),
        "bias": TensorType((), DType.INT32, Quant.of(0.0001 * 0.001)),
        "state": TensorType((), DType.INT16, Quant.of(0.001)),
        "y": TensorType((), DType.INT8, Quant.of(1.7, -4)),
    },
}


def drawn(rng: np.random.Generator, kind: TensorType) -> Array:
    """Returns: random values of a type; integers go to ± the largest but those of a bias, which fit."""
    if kind.dtype.is_float:
        return rng.standard_normal(kind.shape).astype(np.float32)
    peak = 1000000 if kind.dtype is DType.INT32 else int(np.iinfo(kind.dtype.value).max)
    return rng.integers(-peak, peak, kind.shape, endpoint=True).astype(kind.dtype.numpy)


def model_of(rng: np.random.Generator, form: str, fused: str) -> Model:
    tensors = []
    for name, kind in FORMS[form].items():
        full = TensorType(SHAPES[name], kind.dtype, kind.quant)
        data = drawn(rng, full) if name in ("feature", "time", "bias") else None
        tensors.append(Tensor(name, full, data, is_variable=name == "state"))
    op = find("SVDF")
    assert op is not None
    attrs = options_of(op, {"rank": RANK, "fused_activation_function": fused})
    node = Node("SVDF", (0, 1, 2, 3, 4), (5,), attrs, op.options, version=4)
    return Model((Graph(tuple(tensors), (node,), (0,), (5,), "main"),))


# The integer kernel has a rectifier built in and takes nothing else.
RUNS = [(form, fused) for form in FORMS for fused in ("NONE", "RELU") if (form, fused) != ("int8", "NONE")]


@pytest.mark.parametrize("form, fused", RUNS)
def test_states_are_kept_and_forgotten(form: str, fused: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    model, path = model_of(rng, form, fused), tmp_path / "svdf.tflite"
    write(model, path)
    ours = find_engine("reference").load(path, model)
    theirs = find_engine("litert").load(path, model, options={"kernels": "reference"})
    first = drawn(rng, model.main.tensors[0].type)
    steps = [first, *(drawn(rng, model.main.tensors[0].type) for _ in range(5))]
    answers = []
    for step in steps:
        (mine,), (wanted,) = ours.run([step]), theirs.run([step])
        atol = 1e-5 * float(np.abs(wanted).max()) if form != "int8" else 0
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=atol)
        answers.append(mine)
    assert not np.array_equal(ours.run([first])[0], answers[0])  # the state counts
    ours.reset()
    np.testing.assert_array_equal(ours.run([first])[0], answers[0])
