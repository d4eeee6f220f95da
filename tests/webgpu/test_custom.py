"""An application's own operator, registered in one file: it runs on the GPU and on the reference engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling.engines.registry import find as engine
from sanderling.engines.webgpu.driver.device import Device
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.ops.registry import find_for, forget_operator
from sanderling.tflite import read, write
from tests.webgpu.making import CLOSE, compare

GUIDE = Path(__file__).parents[2] / "docs/guide/gpu-kernels.md"
SHAPE = (2, 5, 7)


def model() -> Model:
    """ABS → Fisheye → ADD, so that it has something to be fused with."""
    tensors = tuple(Tensor(name, TensorType(SHAPE, DType.FLOAT32)) for name in "xaby")
    bend = np.array([0.25], "<f4").tobytes()
    nodes = (
        Node("ABS", (0,), (1,), {}, "AbsOptions"),
        Node("CUSTOM", (1,), (2,), custom_code="Fisheye", custom_options=bend),
        Node("ADD", (2, 0), (3,), {"fused_activation_function": "NONE"}, "AddOptions"),
    )
    return Model((Graph(tensors, nodes, (0,), (3,), "main"),))


@pytest.fixture
def fisheye() -> Iterator[None]:
    """Runs the file that the guide shows."""
    text = GUIDE.read_text(encoding="utf-8").split("# fisheye.py")[1].split("```")[0]
    exec(compile(text, "fisheye.py", "exec"), {})
    yield
    forget_operator("Fisheye")


@pytest.mark.usefixtures("fisheye")
def test_it_runs_on_both_engines(device: Device, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    write(model(), path)
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    wanted = np.abs(x) / (1 + 0.25 * x * x) + x
    found = read(path)
    assert all(engine("webgpu").supports(found))
    (ours,) = engine("reference").load(path, found).run([x])
    compare(ours, wanted, CLOSE)
    with sd.Session(path, engine="webgpu") as session:
        answer = session(x)
        assert {row.engine for row in session.placement} == {"webgpu"}
    assert isinstance(answer, np.ndarray)
    compare(answer, wanted, CLOSE)


def test_without_it_the_reason_names_it() -> None:
    verdicts = engine("webgpu").supports(model())
    assert [bool(v) for v in verdicts] == [True, False, True]
    assert "Fisheye" in verdicts[1].reason


@pytest.mark.usefixtures("fisheye")
def test_names_are_taken_once() -> None:
    op = find_for(model().main.nodes[1])
    assert op is not None
    with pytest.raises(sd.UsageError, match="registered already"):
        sd.register_operator(op)
    assert sd.register_operator(op, replace=True) is op
    from dataclasses import replace

    with pytest.raises(sd.UsageError, match="TFLite has that name"):
        sd.register_operator(replace(op, name="ADD"))
