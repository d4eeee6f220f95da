"""Stored integers that are only moved or compared: LiteRT takes them as they are, whatever their scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType, Verdict
from sanderling.ops import registry
from sanderling.ops.kernel import Limits
from sanderling.ops.op import Op
from sanderling.runtime.session import Session
from tests.models import run_litert, save

INT16 = ["CONCATENATION", "MAXIMUM", "MINIMUM", "PAD", "SELECT", "SELECT_V2", "SLICE", "TOPK_V2", "TRANSPOSE"]
INT8 = ["GATHER", "MAXIMUM", "MINIMUM", "REVERSE_V2", "SELECT_V2", "TILE", "TOPK_V2"]


def scaled(scale: float) -> Quant:
    return Quant(np.array([scale], np.float32), np.array([0]))


def stored(op: Op, dtype: DType, scales: Sequence[float]) -> tuple[Model, list[Array]]:
    """Returns: one operator on stored integers, each operand and the result of its own scale; and inputs."""
    rng = np.random.default_rng(0)
    case = op.cases(rng)[0]
    tensors: list[Tensor] = []
    for position, given in enumerate(case.inputs):
        assert given is not None
        array, quant = given, None
        if given.dtype == np.float32:
            array = rng.integers(-100, 100, given.shape).astype(dtype.numpy)
            quant = scaled(scales[position])
        kind = TensorType(array.shape, DType(array.dtype.name), quant)
        tensors.append(Tensor(f"x{position}", kind, array))
    told = Tensor("y", TensorType((), dtype, scaled(scales[-1])))
    node = Node(op.name, tuple(range(len(tensors))), (), dict(case.attrs), op.options)
    kinds = op.infer(node, tensors, [told])
    node = replace(node, outputs=tuple(range(len(tensors), len(tensors) + len(kinds))))
    fed = [i for i in range(len(tensors)) if i not in case.constant]
    inputs = [tensors[i].data for i in fed]
    for i in fed:
        tensors[i] = replace(tensors[i], data=None)
    for i, kind in enumerate(kinds):
        quant = scaled(scales[-1]) if kind.dtype is dtype else None
        tensors.append(Tensor(f"y{i}", replace(kind, quant=quant)))
    graph = Graph(tuple(tensors), (node,), tuple(fed), node.outputs)
    return Model((graph,)), [array for array in inputs if array is not None]


@pytest.mark.parametrize(
    "name, dtype", [*((n, DType.INT16) for n in INT16), *((n, DType.INT8) for n in INT8)]
)
def test_integers_of_several_scales_are_left_to_litert(name: str, dtype: DType, tmp_path: Path) -> None:
    op = registry.find(name)
    assert op is not None
    model, inputs = stored(op, dtype, [0.01, 0.02, 0.03, 0.05])
    path = save(model, tmp_path / "m.tflite")
    with Session(path, engine="reference") as session:
        answer = session(*inputs)
    mine = list(answer.values()) if isinstance(answer, dict) else [answer]
    for got, wanted in zip(mine, run_litert(path, *inputs), strict=True):
        np.testing.assert_array_equal(got, wanted)
    verdict = variants(model.main, model.main.nodes[0], Limits())
    assert isinstance(verdict, Verdict)
    assert "different scales" in verdict.reason
    alike, _ = stored(op, dtype, [0.01] * 4)
    assert not isinstance(variants(alike.main, alike.main.nodes[0], Limits()), Verdict)
