"""ONNX Runtime: the ports and the state are the file's, and nothing runs elsewhere than it was asked to."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.onnxruntime import library, providers
from sanderling.engines.onnxruntime.runner import ONNXRuntimeRunner
from sanderling.engines.onnxruntime.session import Provider, start
from sanderling.engines.registry import find
from sanderling.errors import InputMismatch, ModelError, UnsupportedOperator, UsageError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.onnx.write import export
from sanderling.tflite import write
from tests.engines.models import (
    NO_ACTIVATION,
    add_one,
    convolution,
    custom,
    from_int8,
    running_sum,
    save,
    texts,
    to_int8,
    two_by_two,
)
from tests.models import noise

ENGINE, LITERT = find("onnxruntime"), find("litert")
pytestmark = pytest.mark.skipif(not ENGINE.available(), reason=ENGINE.available().reason)
PLACE = Path("made-up.tflite")


def loaded(model: Model, **options: object) -> ONNXRuntimeRunner:
    return ENGINE.load(PLACE, model, options=options)  # type: ignore[return-value]


@pytest.mark.parametrize("model", [add_one(), add_one(DType.INT64), two_by_two(), from_int8(), to_int8()])
def test_ports_are_the_files(model: Model, tmp_path: Path) -> None:
    feed = noise(model)
    mine, theirs = loaded(model), LITERT.load(save(model, tmp_path), model)
    for ours, ports in ((mine.inputs, theirs.inputs), (mine.outputs, theirs.outputs)):
        assert [(p.name, p.type, p.signature) for p in ours] == [(p.name, p.type, p.signature) for p in ports]
    for got, wanted in zip(mine.run(feed), theirs.run(feed), strict=True):
        np.testing.assert_array_equal(got, wanted)
        assert got.dtype == wanted.dtype


def test_an_open_batch_follows_the_input() -> None:
    runner = loaded(add_one())
    session = runner._session
    for batch in (3, 1, 0, 2):
        x = np.full((batch, 4), 5, np.float32)
        np.testing.assert_array_equal(runner.run([x])[0], x + 1)
        assert runner.inputs[0].type.shape == (batch, 4)
    assert runner._session is session, "one session serves every batch"


def test_other_open_sizes_get_a_session_of_their_own() -> None:
    """The exporter leaves the batch open and nothing else."""
    model = convolution(8, 2)
    graph = model.main
    free = [
        tensor if tensor.is_constant else replace(tensor, shape_signature=(1, -1, -1, 2))
        for tensor in graph.tensors
    ]
    model = model.with_main(replace(graph, tensors=tuple(free)))
    runner, rng = loaded(model), np.random.default_rng(0)
    for size in (8, 12, 5):
        x = rng.standard_normal((1, size, size + 1, 2)).astype(np.float32)
        assert runner.run([x])[0].shape == x.shape
        assert runner.inputs[0].type.shape == x.shape
    with pytest.raises(InputMismatch, match=r"shape \[2x8x8x2\], expected \[1x\?x\?x2\]"):
        runner.run([np.zeros((2, 8, 8, 2), np.float32)])


@pytest.mark.parametrize(
    "array, what",
    [
        (np.zeros((1, 5), np.float32), r"shape \[1x5\], expected \[\?x4\]"),
        (np.zeros((4,), np.float32), r"shape \[4\], expected \[\?x4\]"),
        (np.zeros((1, 4), np.float64), "dtype float64, expected float32"),
    ],
)
def test_inputs_that_do_not_fit(array: np.ndarray, what: str) -> None:
    runner = loaded(add_one())
    with pytest.raises(InputMismatch, match=what):
        runner.run([array])
    with pytest.raises(InputMismatch, match="got 2 inputs, expected 1"):
        runner.run([array, array])


def test_state_is_kept_and_set_back() -> None:
    runner = loaded(running_sum())
    assert (len(runner.inputs), len(runner.outputs)) == (1, 1)
    x = np.ones((1, 4), np.float32)
    for _ in range(2):
        assert [float(runner.run([x])[0][0, 0]) for _ in range(3)] == [1, 2, 3]
        runner.reset()


@pytest.mark.parametrize("names", [("x", "x", "x", "x"), ("", "", "", ""), ("a", "b", "a", "b")])
def test_tensors_that_share_a_name_stay_apart(names: tuple[str, ...], tmp_path: Path) -> None:
    kind = TensorType((1, 4), DType.FLOAT32)
    nodes = (
        Node("SUB", (0, 1), (2,), NO_ACTIVATION, "SubOptions"),
        Node("ADD", (2, 1), (3,), NO_ACTIVATION, "AddOptions"),
    )
    model = Model((Graph(tuple(Tensor(n, kind) for n in names), nodes, (0, 1), (3, 2, 3, 0)),))
    path, feed = save(model, tmp_path), noise(model)
    for mine, theirs in zip(loaded(model).run(feed), LITERT.load(path, model).run(feed), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


@pytest.mark.parametrize(
    "model, what",
    [(custom("Mine"), "Mine .*cannot be written as ONNX"), (texts(), "TFLite has texts as bytes")],
)
def test_what_it_cannot_run_is_refused(model: Model, what: str) -> None:
    with pytest.raises(UnsupportedOperator, match=what):
        loaded(model)
    assert not all(ENGINE.supports(model))


def test_every_operator_is_judged_for_itself() -> None:
    """The exporter stops at the first one that it cannot write."""
    kind = TensorType((1, 4), DType.FLOAT32)
    tensors = tuple(Tensor(f"t{i}", kind) for i in range(5))
    nodes = (
        Node("CUSTOM", (0,), (1,), custom_code="Mine"),
        Node("RELU", (1,), (2,)),
        Node("CUSTOM", (2,), (3,), custom_code="Yours"),
        Node("ABS", (3,), (4,)),
    )
    verdicts = ENGINE.supports(Model((Graph(tensors, nodes, (0,), (4,)),)))
    assert [bool(v) for v in verdicts] == [False, True, False, True]
    assert verdicts[2].reason.startswith("Yours cannot be written as ONNX: ")


@pytest.mark.parametrize(
    "options, what",
    [
        ({"kernels": "x"}, "no option 'kernels'"),
        ({"provider": "abacus"}, "no provider 'abacus' here"),
        ({"precision": "float16"}, "computes float tensors in float32"),
    ],
)
def test_options_that_are_wrong(options: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        loaded(add_one(), **options)
    with pytest.raises(UsageError, match="threads is 0"):
        ENGINE.load(PLACE, add_one(), threads=0)


def test_variants_are_providers_that_start() -> None:
    names = {variant.name for variant in ENGINE.variants()}
    assert "" in names
    missing = {name for name, each in providers.PROVIDERS.items() if each.name not in library.providers()}
    assert not names & missing


def test_a_provider_that_does_not_start_is_an_error_and_not_the_cpu() -> None:
    """By itself ONNX Runtime warns, at most, and makes a session on the CPU."""
    absent = next(name for name in ("CANNExecutionProvider", "RknpuExecutionProvider")
                  if name not in library.providers())  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ModelError, match=f"lists {absent}, but it does not start here"):
            start(export(add_one()), Provider(absent), threads=1)


def test_who_runs_what_is_told() -> None:
    assert loaded(two_by_two()).assigned == {library.CPU: 2}


def test_threads_do_not_spin_between_calls() -> None:
    """They would take time from whatever is measured next."""
    model = convolution(64, 32)
    runner, (x,) = ENGINE.load(PLACE, model, threads=2), noise(model)
    runner.run([x])
    spent = []
    for _ in range(5):
        runner.run([x])
        before = time.process_time()
        time.sleep(0.05)
        spent.append(time.process_time() - before)
    assert min(spent) < 0.01  # without the setting: 0.04


def test_it_is_imported_when_needed_and_prints_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    write(add_one(), path)
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from sanderling.engines.registry import find
from sanderling.tflite import read
import numpy as np
engine, path = find("onnxruntime"), Path({str(path)!r})
assert not {{"onnxruntime", "onnx"}} & sys.modules.keys()
model = read(path)
assert all(engine.supports(model)) and not {{"onnxruntime", "onnx"}} & sys.modules.keys()
engine.load(path, model).run([np.zeros((1, 4), np.float32)])
assert "onnxruntime" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    "text, told",
    [
        (
            "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for X(13) node",
            "Could",
        ),
        ("/src/webgpu_context.cc:65 Init(auto) status == Success was false. No adapter.\n", "No adapter"),
        ("", "ValueError"),
    ],
)
def test_causes_are_one_line(text: str, told: str) -> None:
    cause = library.cause(ValueError(text))
    assert cause.startswith(told)
    assert "\n" not in cause
