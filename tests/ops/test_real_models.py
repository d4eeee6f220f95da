"""Every operator of every real model: what inference says is what the file declares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling.graph.constant import decode
from sanderling.graph.graph import Graph
from sanderling.graph.types import Array
from sanderling.ops.registry import find
from sanderling.tflite import read
from tests.ops.single import run_litert


def test_inference_agrees_with_every_declared_type(zoo_dir: Path) -> None:
    files = sorted((zoo_dir / "tflite").glob("*.tflite"))
    if not files:
        pytest.skip(f"no .tflite files in {zoo_dir}")
    checked, unknown = 0, set()
    for path in files:
        for graph in read(path).graphs:
            for node in graph.nodes:
                op = find(node.op)
                if op is None:
                    unknown.add(node.op)
                    continue
                declared = graph.results(node)
                inferred = op.infer(node, graph.operands(node), declared)
                assert len(inferred) == len(declared), (path.name, node.op)
                for kind, tensor in zip(inferred, declared, strict=True):
                    where = (path.name, node.op, str(kind), str(tensor.type))
                    assert kind.dtype is tensor.dtype, where
                    assert len(kind.shape) == len(tensor.shape), where
                    assert all(a in (-1, b) for a, b in zip(kind.shape, tensor.shape, strict=True)), where
                assert node.options in ("", op.options), (path.name, node.op, node.options)
                checked += 1
    assert unknown <= {"CUSTOM"}
    assert checked > 100


# Between them: shape arithmetic, float16 weights, sparse weights, dynamic shapes, every kind of convolution.
FLOAT_MODELS = [
    "rock_paper_scissors_fp32", "mlperf_tiny_resnet8_cifar10_fp32", "mlperf_tiny_vww_fp32",
    "face_detection_short_range", "face_landmark_fp16", "face_detection_full_range_sparse", "basic_pitch",
]  # fmt: skip


def run_reference(graph: Graph, feed: list[Array]) -> list[Array]:
    """Runs a whole graph, operator by operator, on NumPy."""
    values = {i: decode(tensor) for i, tensor in enumerate(graph.tensors) if tensor.is_constant}
    values |= dict(zip(graph.inputs, feed, strict=True))
    for node in graph.nodes:
        op = find(node.op)
        assert op is not None, node.op
        assert op.reference is not None, node.op
        arrays = [values[i] if i >= 0 else None for i in node.inputs]
        taken = [None if t is None else t.type for t in graph.operands(node)]
        results = op.reference(node, arrays, taken, [tensor.type for tensor in graph.results(node)])
        values.update(zip(node.outputs, results, strict=True))
    return [values[i] for i in graph.outputs]


@pytest.mark.parametrize("name", FLOAT_MODELS)
def test_whole_models_agree_with_litert(zoo_dir: Path, name: str) -> None:
    model = read(zoo_dir / "tflite" / f"{name}.tflite")
    rng = np.random.default_rng(3)
    graph = model.main
    feed = [rng.uniform(-1, 1, graph.tensors[i].shape).astype(np.float32) for i in graph.inputs]
    ours = run_reference(graph, feed)
    exact, fast = (run_litert(model, feed, reference=reference) for reference in (True, False))
    for mine, wanted, other in zip(ours, exact, fast, strict=True):
        scale = float(np.abs(wanted).max())
        bound = max(1e-4 * scale, 2 * float(np.abs(wanted - other).max()))
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=bound)
