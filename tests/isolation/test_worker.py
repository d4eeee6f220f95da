"""The isolated worker: it answers, and its crashes, hangs and hunger stay its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.errors import (
    BudgetError,
    FormatError,
    InputMismatch,
    MissingExtra,
    RunError,
    SanderlingError,
    UnsupportedOperator,
    WorkerError,
)
from sanderling.isolation.client import Worker, _rebuilt
from sanderling.isolation.worker import _failure
from tests.engines import models

SERVING = "sanderling.measure.serving"
INTERLEAVE = "sanderling.measure.latency:interleave"
X = np.array([[1, 2, 3, 4]], np.float32)
posix = pytest.mark.skipif(os.name != "posix", reason="signals and sessions are POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as running:
        yield running


def load(worker: Worker, folder: Path, model: Any = None, **kwargs: Any) -> int:
    path = models.save(model or models.add_one(), folder)
    handle: int = worker.call(f"{SERVING}:load", path=path, **kwargs)["handle"]
    return handle


def busy(worker: Worker, folder: Path, **kwargs: Any) -> Any:
    """Keeps the worker busy for a minute, unless something happens to it."""
    handle = load(worker, folder)
    return worker.call(
        INTERLEAVE, baseline=handle, candidate=handle, feeds=[[X]], seconds=60.0, target=0.0, **kwargs
    )


def later(action: Any, seconds: float = 0.3) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    timer.start()
    return timer


def test_arrays_go_there_and_back(worker: Worker, tmp_path: Path) -> None:
    info = worker.call(f"{SERVING}:load", path=models.save(models.two_by_two(), tmp_path))
    assert [port["name"] for port in info["inputs"]] == ["a", "b"]
    assert info["load_ms"] > 0
    feeds = [{"a": X, "b": 2 * X}, [X, X]]
    by_name, in_order = worker.call(f"{SERVING}:run_many", handle=info["handle"], feeds=feeds)
    np.testing.assert_array_equal(by_name[0], 3 * X)
    np.testing.assert_array_equal(in_order[1], X * X)


def test_quantized_ports_can_be_fed_and_read_as_real_values(worker: Worker, tmp_path: Path) -> None:
    handle = load(worker, tmp_path, models.from_int8())
    [[real]] = worker.call(f"{SERVING}:run_many", handle=handle, feeds=[[X / 2]])
    np.testing.assert_array_equal(real, X / 2)
    handle = load(worker, tmp_path, models.to_int8())
    [[stored]] = worker.call(f"{SERVING}:run_many", handle=handle, feeds=[[X]])
    assert stored.tolist() == [[5, 7, 9, 11]]
    [[real]] = worker.call(f"{SERVING}:run_many", handle=handle, feeds=[[X]], dequantize=True)
    np.testing.assert_array_equal(real, X)
    assert real.dtype == np.float32


def test_stateful_models_are_fed_in_order_and_reset(worker: Worker, tmp_path: Path) -> None:
    handle = load(worker, tmp_path, models.running_sum())
    answers = worker.call(f"{SERVING}:run_many", handle=handle, feeds=[[X], [X]])
    np.testing.assert_array_equal(answers[1][0], 2 * X)
    worker.call(f"{SERVING}:reset", handle=handle)
    [[first]] = worker.call(f"{SERVING}:run_many", handle=handle, feeds=[[X]])
    np.testing.assert_array_equal(first, X)


def test_errors_come_back_as_the_same_class(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none\.tflite: there is no such file; check the path"):
        worker.call(f"{SERVING}:load", path=tmp_path / "none.tflite")
    with pytest.raises(UnsupportedOperator, match="Mine"):
        load(worker, tmp_path, models.custom("Mine"))
    handle = load(worker, tmp_path)
    with pytest.raises(InputMismatch, match="got inputs z, expected x"):
        worker.call(f"{SERVING}:run_many", handle=handle, feeds=[{"z": X}])
    worker.call(f"{SERVING}:unload", handle=handle)
    with pytest.raises(RunError, match="is not loaded in this worker"):
        worker.call(f"{SERVING}:run_many", handle=handle, feeds=[])
    assert worker.generation == 1


def test_other_exceptions_become_worker_errors_with_the_traceback(worker: Worker) -> None:
    with pytest.raises(WorkerError, match=r"failed: TypeError: .*nonsense") as caught:
        worker.call(f"{SERVING}:reset", nonsense=1)
    assert "Traceback" in caught.value.detail
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        MissingExtra("Reading ONNX", "onnx"),
        BudgetError("no candidate", hint="relax it"),
        RunError("x", where="y"),
    ],
)
def test_every_error_class_can_cross(error: SanderlingError) -> None:
    got = _rebuilt({"detail": "", **_failure(error, "f")})
    assert type(got) is type(error)
    assert str(got) == str(error)
    assert getattr(got, "extra", None) == getattr(error, "extra", None)


@pytest.mark.parametrize(
    "function",
    [
        "os:system",
        f"{SERVING}:_described",
        f"{SERVING}:Path",
        f"{SERVING}:nothing",
        "sanderling.no:x",
        "sanderling",
    ],
)
def test_only_public_functions_of_the_package_can_be_called(worker: Worker, function: str) -> None:
    with pytest.raises(WorkerError, match="failed: "):
        worker.call(function)


def test_an_argument_that_cannot_be_sent_leaves_the_worker_well(worker: Worker) -> None:
    with pytest.raises(TypeError, match="cannot hold a set"):
        worker.call(f"{SERVING}:unload", handle={1})
    worker.call(f"{SERVING}:unload", handle=1)
    assert worker.generation == 1


@posix
def test_a_crash_is_reported_and_the_next_call_starts_afresh(worker: Worker, tmp_path: Path) -> None:
    worker.call(f"{SERVING}:unload", handle=1)
    assert worker.pid is not None
    later(lambda: os.kill(worker.pid or 0, signal.SIGSEGV), 0.8)
    with pytest.raises(WorkerError, match=r"the worker crashed \(SIGSEGV\) while timing it") as caught:
        busy(worker, tmp_path, doing="timing it")
    assert "Segmentation fault" in caught.value.detail
    handle = load(worker, tmp_path)
    assert worker.generation == 2
    assert worker.call(f"{SERVING}:run_many", handle=handle, feeds=[[X]])[0][0].tolist() == [[2, 3, 4, 5]]


@posix
def test_a_crash_between_calls_is_survived(worker: Worker) -> None:
    worker.call(f"{SERVING}:unload", handle=1)
    os.kill(worker.pid or 0, signal.SIGKILL)
    time.sleep(0.2)
    worker.call(f"{SERVING}:unload", handle=1)
    assert worker.generation == 2


def test_a_hang_is_stopped(worker: Worker, tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(WorkerError, match=r"did not finish within 0\.5 s \(timing it\) and was stopped"):
        busy(worker, tmp_path, timeout=0.5, doing="timing it")
    assert time.monotonic() - start < 10
    assert worker.pid is None
    worker.call(f"{SERVING}:unload", handle=1)


@linux
def test_hunger_is_stopped(tmp_path: Path) -> None:
    allowed = pytest.raises(WorkerError, match=r"MB of memory, more than the 20 MB allowed, while")
    with Worker(memory_limit_bytes=20 * 2**20) as worker, allowed:
        busy(worker, tmp_path, timeout=20)


def test_progress_arrives_while_the_call_runs(worker: Worker, tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []
    handle = load(worker, tmp_path)
    worker.call(
        INTERLEAVE,
        baseline=handle,
        candidate=handle,
        feeds=[[X]],
        seconds=1.5,
        target=0.0,
        on_progress=seen.append,
    )
    assert len(seen) >= 2
    assert seen[0]["blocks"] < seen[-1]["blocks"]


def test_an_exception_of_the_parent_stops_the_call(worker: Worker, tmp_path: Path) -> None:
    def stop(value: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        busy(worker, tmp_path, on_progress=stop)
    assert worker.pid is None
    worker.call(f"{SERVING}:unload", handle=1)


@posix
def test_ctrl_c_is_the_parent_s_affair(worker: Worker) -> None:
    worker.call(f"{SERVING}:unload", handle=1)
    pid = worker.pid or 0
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGINT)
    time.sleep(0.1)
    worker.call(f"{SERVING}:unload", handle=1)
    assert worker.generation == 1


def test_it_outlives_the_thread_that_started_it(worker: Worker, tmp_path: Path) -> None:
    handles: list[int] = []
    thread = threading.Thread(target=lambda: handles.append(load(worker, tmp_path)))
    thread.start()
    thread.join()
    time.sleep(0.3)
    worker.call(f"{SERVING}:run_many", handle=handles[0], feeds=[[X]])
    assert worker.generation == 1


def test_threads_take_turns(worker: Worker, tmp_path: Path) -> None:
    handle = load(worker, tmp_path)
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            [[got]] = worker.call(f"{SERVING}:run_many", handle=handle, feeds=[[X * number]])
            if not np.array_equal(got, X * number + 1):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_closing_ends_the_process() -> None:
    worker = Worker()
    worker.close()
    worker.call(f"{SERVING}:unload", handle=1)
    process = worker._process
    assert process is not None
    worker.close()
    assert not process.alive()
    assert process.ending() == "ended by itself (exit code 0)"
    assert worker.pid is None


def test_a_forgotten_worker_is_ended() -> None:
    worker = Worker()
    worker.call(f"{SERVING}:unload", handle=1)
    process = worker._process
    assert process is not None
    del worker
    assert not process.alive()


PARENT = """
import sys
sys.path[:0] = {path!r}
from sanderling.isolation.client import Worker
from tests.engines import models
from pathlib import Path
import numpy as np
worker = Worker()
path = models.save(models.add_one(), Path({folder!r}))
handle = worker.call("sanderling.measure.serving:load", path=path)["handle"]
print(worker.pid, flush=True)
if {busy}:
    worker.call("sanderling.measure.latency:interleave", baseline=handle, candidate=handle,
                feeds=[[np.zeros((1, 4), "f")]], seconds=60.0, target=0.0)
sys.stdin.read()
"""


@linux
@pytest.mark.parametrize("is_busy", [True, False])
def test_it_dies_with_its_parent(tmp_path: Path, is_busy: bool) -> None:
    code = PARENT.format(path=[str(Path(p).absolute()) for p in sys.path], folder=str(tmp_path), busy=is_busy)
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.2)
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    deadline = time.monotonic() + 5
    while _runs(pid):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_scripts_without_a_main_guard_work(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path[:0] = {[str(Path(p).absolute()) for p in sys.path]!r}\n"
        "from sanderling.isolation.client import Worker\n"
        "print('once')\n"
        f"with Worker() as w: w.call('{SERVING}:unload', handle=1)\n"
    )
    (tmp_path / "numpy.py").write_text("raise SystemExit('the folder of the script got in the way')")
    shown = subprocess.run(
        [sys.executable, "-P", str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "once\n"
    assert shown.stderr == ""
