"""Several threads: interpreters run at the same time, one interpreter serves one call after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.engines import models
from tests.lite.both import BACKENDS, ours

THREADS = 4


def together(work: Callable[[int], None]) -> None:
    """Runs work(0), work(1) … at the same time, and raises what they raise."""
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, number) for number in range(THREADS)]:
            done.result()


def test_python_goes_on_while_a_model_runs(tmp_path: Path) -> None:
    interpreter = ours(models.save(models.convolution(size=128, channels=48), tmp_path))
    interpreter.allocate_tensors()
    interpreter.invoke()
    spans: list[tuple[float, float]] = []
    done = threading.Event()

    def work() -> None:
        for _ in range(5):
            start = time.perf_counter()
            interpreter.invoke()
            spans.append((start, time.perf_counter()))
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    ticks = []
    while not done.is_set():
        ticks.append(time.perf_counter())
        time.sleep(0.0005)
    thread.join()
    assert sum(start < tick < end for tick in ticks for start, end in spans) > len(spans)


@pytest.mark.parametrize("backend", BACKENDS)
def test_interpreters_of_their_own(tmp_path: Path, backend: str) -> None:
    path = models.save(models.add_one(), tmp_path)

    def work(number: int) -> None:
        interpreter = ours(path, backend)
        interpreter.allocate_tensors()
        for step in range(100):
            interpreter.set_tensor(0, np.full((1, 4), number * 1000 + step, np.float32))
            interpreter.invoke()
            assert interpreter.get_tensor(2)[0, 3] == number * 1000 + step + 1

    together(work)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_signature_is_one_call(tmp_path: Path, backend: str) -> None:
    run = ours(models.save(models.two_by_two(), tmp_path), backend).get_signature_runner()

    def work(number: int) -> None:
        for step in range(100):
            a, b = np.full((1, 4), number, np.float32), np.full((1, 4), step, np.float32)
            told = run(a=a, b=b)
            np.testing.assert_array_equal(told["sum"], a + b)
            np.testing.assert_array_equal(told["product"], a * b)

    together(work)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_interpreter_for_all(tmp_path: Path, backend: str) -> None:
    """Calls mix, but each of them is whole, and none fails because of another."""
    interpreter = ours(models.save(models.add_one(), tmp_path), backend)
    interpreter.allocate_tensors()

    def work(number: int) -> None:
        for step in range(100):
            interpreter.set_tensor(0, np.full((1, 4), number * 1000 + step, np.float32))
            interpreter.invoke()
            told = interpreter.get_tensor(2)
            assert (told == told[0, 0]).all()
            interpreter.get_input_details()
            interpreter.allocate_tensors()

    together(work)
