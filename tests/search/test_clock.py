"""The time limit: nothing is begun that cannot be finished, and no call goes on much beyond it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sanderling.samples.samples import Feed, Samples
from sanderling.search.bench import Run
from sanderling.search.clock import Clock, OutOfTime
from sanderling.search.examiner import Examiner
from tests.cli.test_process import run


def test_what_takes_longer_than_is_left_is_not_begun() -> None:
    clock = Clock(10.0, reserve=6.0)
    clock.need(3.5)
    with pytest.raises(OutOfTime):
        clock.need(4.5)
    with clock.keeping(0.0):
        clock.need(9.5)
    assert clock.reserve == 6.0
    Clock(None).need(1e9)


def test_a_share_of_no_limit_is_no_limit() -> None:
    assert Clock(20.0).share(0.1) == pytest.approx(2.0)
    assert Clock(None).share(0.1) == float("inf")


class Slow:
    """Stands where the bench stands: a model that takes its time for each sample."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.calls = seconds, list[int]()

    def answers(self, run: Run, feeds: Sequence[Feed], *, timeout: float, continued: bool) -> list[Any]:
        self.calls.append(len(feeds))
        time.sleep(self.seconds * len(feeds))
        return [[np.ones(3, np.float32)] for _ in feeds]


def examiner(bench: Slow, clock: Clock) -> tuple[Examiner, Samples]:
    reference: Any = SimpleNamespace(path=Path("a"), model=SimpleNamespace(output_names=lambda: ["y"]))
    samples = Samples(lambda i: {"x": np.zeros(1)}, tuple(range(400)), "made up", "f")
    found = Examiner(bench, reference, 1, clock)  # type: ignore[arg-type]
    found.task = SimpleNamespace(observe=lambda *a: 0.0, combine=lambda s: (1.0, 0.0), badness=float)  # type: ignore[assignment]
    return found, samples


def test_comparing_ends_with_the_time() -> None:
    bench = Slow(0.02)
    found, samples = examiner(bench, Clock(0.5))
    found.pace = 0.02
    start = time.monotonic()
    with pytest.raises(OutOfTime):
        found.examine(Run(Path("b")), [(samples, samples)])
    assert time.monotonic() - start < 2.0


def test_slow_models_are_asked_for_less_at_once() -> None:
    bench = Slow(0.0)
    found, _ = examiner(bench, Clock(100.0))
    for pace, size in ((0.001, 16), (0.05, 8), (0.4, 1), (3.0, 1)):
        found.pace = pace
        assert found._chunk() == size
    unlimited, _ = examiner(bench, Clock(None))
    unlimited.pace = 3.0
    assert unlimited._chunk() == 16


def test_the_cost_of_comparing_counts_what_is_known_only_once() -> None:
    found, samples = examiner(Slow(0.0), Clock(None))
    part = samples.first(32)
    found.pace = 0.1
    assert found.cost(part, part) == pytest.approx(6.4)
    found.reference_answers(part, 0, 32)
    found.pace = 0.1
    assert found.cost(part, part) == pytest.approx(3.2)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the time of child processes")
@pytest.mark.parametrize("name", ["basic_pitch", "deeplabv3_257_mv_gpu"])
def test_a_search_ends_in_time_whatever_the_model(name: str, zoo_dir: Path, tmp_path: Path) -> None:
    """The limit, and three seconds to start and to report: models of 20 to 50 ms a call. Counted is the
    processor's time, which does not depend so much on what else is running."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    model = str(zoo_dir / "tflite" / f"{name}.tflite")
    done = run("optimize", model, "--time", "4s", "-o", str(tmp_path / "out"), "--json")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 4 + 3
    report = json.loads(done.stdout)
    assert report["stopped"] == "the time of 4 s was over"
    assert done.returncode == (0 if report["best"] else 1)
