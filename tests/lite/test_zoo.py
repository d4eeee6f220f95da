"""Real models: descriptions, constants and answers, on LiteRT's interpreter and on ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from sanderling import lite
from tests.lite.both import assert_same, assert_same_outcome, ours, outcome, quiet_preserving, theirs


def sample(detail: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    values = rng.random(detail["shape"])
    return (values * 100).astype(detail["dtype"]) if detail["dtype"] != np.float32 else values.astype("f4")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "model" in metafunc.fixturenames:
        from tests.conftest import _zoo

        names = sorted(path.stem for path in (_zoo() / "tflite").glob("*.tflite"))
        metafunc.parametrize("model", names or ["none"])


@pytest.fixture
def path(zoo_dir: Path, model: str) -> Path:
    return zoo_dir / "tflite" / f"{model}.tflite"


def test_all_of_a_real_model(path: Path) -> None:
    a, b, engine = theirs(path), ours(path), ours(path, "litert")
    sides = (a, b, engine)
    for interpreter in sides:
        interpreter.allocate_tensors()
    for other in (b, engine):
        assert_same(a.get_input_details(), other.get_input_details())
        assert_same(a.get_output_details(), other.get_output_details())
        assert_same(a._get_full_signature_list(), other._get_full_signature_list())
    assert_same(a._get_ops_details(), b._get_ops_details())
    own = engine._get_ops_details()
    assert_same(a._get_ops_details()[: len(own)], own)
    for subgraph in range(a.num_subgraphs()):
        assert_same(a.get_tensor_details(subgraph), b.get_tensor_details(subgraph))
    own_graph = b._backend.model.main
    for detail in a.get_tensor_details():
        index = detail["index"]
        if index < len(own_graph.tensors) and own_graph.tensors[index].is_constant:
            told = outcome(lambda index=index: a.get_tensor(index))
            for other in (b, engine):
                assert_same(told.value, outcome(lambda o=other, index=index: o.get_tensor(index)).value)
    rng = np.random.default_rng(0)
    for _ in range(2):
        for detail in a.get_input_details():
            value = sample(detail, rng)
            for interpreter in sides:
                interpreter.set_tensor(detail["index"], value)
        for interpreter in sides:
            interpreter.invoke()
        for detail in a.get_output_details():
            expected = a.get_tensor(detail["index"])
            for other in (b, engine):
                assert_same(expected, other.get_tensor(detail["index"]), detail["name"])


@pytest.mark.parametrize(
    "name", ["mlperf_tiny_vww_fp32", "mlperf_tiny_resnet8_cifar10_int8", "movenet_lightning_int8"]
)
def test_resizing_a_real_model(zoo_dir: Path, name: str) -> None:
    """Batches and sizes, those that fit and those that do not: the same answers and the same refusals."""
    path = zoo_dir / "tflite" / f"{name}.tflite"
    a, b = theirs(path), ours(path)
    detail = a.get_input_details()[0]
    fitted = 0
    for change in ([3, 1, 1, 1], [1, 1, 1, 1], [1, 2, 1, 1], [1, 1, 1, 2], [2, 1, 1, 1]):
        shape = [int(n) * times for n, times in zip(detail["shape"], change, strict=True)]
        value = sample({**detail, "shape": shape}, np.random.default_rng(1))

        def run(interpreter: Any, shape: Any = shape, value: Any = value) -> Any:
            interpreter.resize_tensor_input(detail["index"], shape)
            interpreter.allocate_tensors()
            interpreter.set_tensor(detail["index"], value)
            interpreter.invoke()
            outputs = interpreter.get_output_details()
            return outputs, [interpreter.get_tensor(o["index"]) for o in outputs]

        told = outcome(lambda run=run: run(a)), outcome(lambda run=run: run(b))
        assert told[0].kind is told[1].kind, change
        assert_same(told[0].value, told[1].value)
        fitted += told[0].error is None
    assert fitted >= 1


@pytest.mark.parametrize(
    "name, shape", [("mlperf_tiny_kws_fp32", [1, 49, 10, 0]), ("keyword_on_off_fp32", [98, 1, 104])]
)
def test_shapes_on_which_xnnpack_crashes(zoo_dir: Path, name: str, shape: list[int]) -> None:
    interpreter = ours(zoo_dir / "tflite" / f"{name}.tflite")
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
    with pytest.raises(RuntimeError, match="failed to prepare"):
        interpreter.allocate_tensors()


def test_a_model_that_only_xnnpack_runs_keeps_its_rank(zoo_dir: Path) -> None:
    interpreter = ours(zoo_dir / "tflite" / "selfie_segmentation.tflite")
    for shape in ([256, 256, 3], [1, 0, 256, 3]):
        interpreter.resize_tensor_input(0, shape)
        with pytest.raises(RuntimeError, match="keep the rank, and every size at least 1"):
            interpreter.allocate_tensors()
    interpreter.resize_tensor_input(0, [1, 256, 256, 3])
    interpreter.allocate_tensors()
    interpreter.invoke()


def test_a_streaming_model_remembers(zoo_dir: Path) -> None:
    """Every tensor of every step, so that what is remembered shows where the answer does not change."""
    path = zoo_dir / "tflite" / "okay_nabu_streaming_int8.tflite"
    bare = {"experimental_op_resolver_type": lite.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    own = {"experimental_op_resolver_type": litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    engine = {"experimental_delegates": [lite.EngineDelegate("litert", {"kernels": "builtin"})]}
    sides = [
        quiet_preserving(theirs, path, **own),
        quiet_preserving(ours, path, **bare),
        quiet_preserving(ours, path, **engine),
    ]
    for interpreter in sides:
        interpreter.allocate_tensors()
    detail = sides[0].get_input_details()[0]
    handles = {i for i, t in enumerate(sides[1]._backend.model.main.tensors) if t.dtype == "resource"}
    results = [int(i) for op in sides[0]._get_ops_details() for i in op["outputs"]]
    computed = [i for i in results if i not in handles]  # reading a handle crashes LiteRT
    frame = np.random.default_rng(3).integers(-128, -40, detail["shape"], dtype=np.int8)
    heard = []
    for step in range(24):
        if step == 16:
            for interpreter in sides:
                interpreter.reset_all_variables()
        for interpreter in sides:
            interpreter.set_tensor(detail["index"], frame)
            interpreter.invoke()
        values = [[outcome(lambda i=i, s=s: s.get_tensor(i)) for i in computed] for s in sides]
        for position, index in enumerate(computed):
            for told in values[1:]:
                assert_same_outcome(values[0][position], told[position], f"step {step}, tensor {index}")
        heard.append([v.value for v in values[0]])
    logits = computed.index(int(sides[0]._get_ops_details()[-2]["inputs"][0]))
    assert len({int(step[logits].ravel()[0]) for step in heard}) > 1  # the same frame, other answers
