"""Engines that may end the process do so in another one, and the caller can go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.engines.isolated import IsolatedRunner
from sanderling.engines.registry import find
from sanderling.errors import InputMismatch, ModelError, RunError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.isolation.client import Worker
from sanderling.isolation.worker import is_worker
from sanderling.tflite import read
from tests.engines import models

ONES = np.ones((1, 4), np.float32)
ROWS, FIRST, FAR_OUT = (
    np.arange(12, dtype=np.float32).reshape(4, 3),
    np.array([1, 0], np.int32),
    np.array([1 << 28, 0], np.int32),
)
needs_micro = pytest.mark.skipif(
    not find("tflite_micro").available(), reason=find("tflite_micro").available().reason
)


def isolated(model: Model, folder: Path, **how: Any) -> IsolatedRunner:
    """Returns: the model in the engine ``litert``, which needs no isolation and so can be compared with."""
    return IsolatedRunner(how.pop("engine", "litert"), models.save(model, folder), model, **how)


def kill(runner: IsolatedRunner) -> None:
    """Ends the process as a crash would, and waits for it."""
    pid = runner._worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSEGV)
    process = runner._worker._process
    assert process is not None
    process._child.wait(10.0)


@pytest.mark.parametrize("build", [models.two_by_two, models.from_int8, models.to_int8, models.add_one])
def test_ports_and_answers_are_those_of_the_engine(build: Any, tmp_path: Path) -> None:
    model = build()
    path = models.save(model, tmp_path)
    direct = find("litert").load(path, model)
    runner = isolated(model, tmp_path)
    assert runner.inputs == direct.inputs
    assert runner.outputs == direct.outputs
    fed: list[Array] = [np.ones(p.type.shape, p.type.dtype.numpy) for p in direct.inputs]
    for mine, theirs in zip(runner.run(fed), direct.run(fed), strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    runner.close()


def test_quantization_of_every_kind_arrives_exactly(zoo_dir: Path) -> None:
    path = zoo_dir / "tflite" / "mlperf_tiny_kws_int8.tflite"
    model = read(path)
    runner = IsolatedRunner("litert", path, model)
    direct = find("litert").load(path, model)
    assert [p.quant for p in runner.inputs] == [p.quant for p in direct.inputs]
    assert [p.quant for p in runner.outputs] == [p.quant for p in direct.outputs]
    runner.close()


def test_a_new_batch_size_is_seen_in_the_ports(tmp_path: Path) -> None:
    runner = isolated(models.add_one(), tmp_path)
    (answer,) = runner.run([np.ones((3, 4), np.float32)])
    assert answer.shape == (3, 4)
    assert [p.type.shape for p in (*runner.inputs, *runner.outputs)] == [(3, 4), (3, 4)]
    assert runner.inputs[0].signature == (-1, 4)
    runner.close()


def test_errors_arrive_as_they_are(tmp_path: Path) -> None:
    runner = isolated(models.two_by_two(), tmp_path)
    with pytest.raises(InputMismatch, match=r"input 'a' has dtype float64, expected float32"):
        runner.run([ONES.astype(np.float64), ONES])
    np.testing.assert_array_equal(runner.run([ONES, ONES])[0], 2 * ONES)
    with pytest.raises(ModelError, match="no kernel for the custom operator Foo"):
        isolated(models.custom("Foo"), tmp_path)
    runner.close()
    with pytest.raises(RunError, match="is closed"):
        runner.run([ONES, ONES])


@needs_micro
def test_a_crash_is_one_sentence_and_the_next_call_starts_afresh(tmp_path: Path) -> None:
    runner = isolated(models.slicing(), tmp_path, engine="tflite_micro")
    for _ in range(2):
        np.testing.assert_array_equal(runner.run([ROWS, FIRST])[0], ROWS[1:3])
        with pytest.raises(RunError) as caught:
            runner.run([ROWS, FAR_OUT])
        assert "process of engine tflite_micro crashed (SIGSEGV) while running model.tflite" in str(
            caught.value
        )
        assert "\n" not in str(caught.value)
    runner.close()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
def test_a_process_that_ends_between_calls_is_replaced(tmp_path: Path) -> None:
    runner = isolated(models.two_by_two(), tmp_path)
    kill(runner)
    np.testing.assert_array_equal(runner.run([ONES, ONES])[0], 2 * ONES)
    runner.close()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
def test_a_state_is_not_forgotten_silently(tmp_path: Path) -> None:
    runner = isolated(models.running_sum(), tmp_path)
    assert [float(runner.run([ONES])[0][0, 0]) for _ in range(3)] == [1, 2, 3]
    kill(runner)
    for _ in range(2):
        with pytest.raises(RunError, match=r"state with it; reset\(\) starts again"):
            runner.run([ONES])
    runner.reset()
    assert [float(runner.run([ONES])[0][0, 0]) for _ in range(2)] == [1, 2]
    runner.reset()
    assert float(runner.run([ONES])[0][0, 0]) == 1
    runner.close()


@needs_micro
def test_a_shared_process_that_crashes_takes_nobody_along_for_good(tmp_path: Path) -> None:
    with Worker(name="process of engine tflite_micro") as worker:
        how = {"engine": "tflite_micro", "worker": worker}
        crashing = isolated(models.slicing(), tmp_path, **how)
        (tmp_path / "other").mkdir()
        other = isolated(models.two_by_two(), tmp_path / "other", **how)
        with pytest.raises(RunError, match="crashed"):
            crashing.run([ROWS, FAR_OUT])
        np.testing.assert_array_equal(other.run([ONES, ONES])[0], 2 * ONES)
        other.close()
        np.testing.assert_array_equal(crashing.run([ROWS, FIRST])[0], ROWS[1:3])
        assert worker.generation == 2


@needs_micro
@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for a process's children")
def test_in_a_worker_no_other_process_is_started(tmp_path: Path) -> None:
    """What is measured there has no pipe in it."""
    path = models.save(models.two_by_two(), tmp_path)
    with Worker() as worker:
        loaded = worker.call("sanderling.measure.serving:load", path=path, engine="tflite_micro")
        ((summed, _),) = worker.call(
            "sanderling.measure.serving:run_many", handle=loaded["handle"], feeds=[[ONES, ONES]]
        )
        np.testing.assert_array_equal(summed, 2 * ONES)
        tasks = Path(f"/proc/{worker.pid}/task").glob("*/children")
        assert "".join(task.read_text() for task in tasks) == ""
    assert not is_worker()


@needs_micro
def test_the_users_stderr_stays_clean(tmp_path: Path) -> None:
    path = models.save(models.slicing(), tmp_path)
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import numpy as np, sanderling as sd\n"
        f"session = sd.Session({str(path)!r}, engine='tflite_micro')\n"
        "x = {'x': np.ones((4, 3), np.float32), 'b': np.array([1 << 28, 0], np.int32)}\n"
        "try:\n    session(x)\nexcept sd.SanderlingError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "crashed (SIGSEGV)" in done.stdout
