"""Models side by side: what is compared, what is left out, and that one which fails ends nothing else."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling import zoo
from sanderling.engines.engine import Variant
from sanderling.errors import StorageError, UsageError, WorkerError
from sanderling.measure import variants
from sanderling.measure.agreement import relative_error
from sanderling.measure.bench import Wanted, bench
from sanderling.measure.bench_rows import BenchRow
from sanderling.measure.climate import celsius, megahertz
from sanderling.measure.contest import Entry, contest
from sanderling.measure.plan import Plan
from sanderling.measure.results import Energy, Latency
from sanderling.measure.start import measure_start
from sanderling.measure.steady import Window
from sanderling.measure.suite import KEPT, Suite, SuiteRow, run_suite
from sanderling.measure.sustained import Sustained, throttling, window_seconds
from sanderling.report.write_bench import document

DIGITS = zoo.model_path("digits")
assert DIGITS is not None
FEED = {"image": np.zeros((1, 28, 28, 1), np.float32)}


def feeds() -> list[Any]:
    from sanderling.runtime.loading import read_model
    from sanderling.samples.load import load_samples

    samples = load_samples(None, read_model(DIGITS), count_synthetic=4)
    return [samples[i] for i in range(4)]


# How far answers are apart


def test_the_error_is_relative_to_the_right_answer_and_that_of_the_worst_output() -> None:
    right = [[np.array([3.0, 4.0]), np.array([10.0, 0.0])]]
    own = [[np.array([3.0, 4.5]), np.array([10.0, 5.0])]]
    assert relative_error(own, right) == pytest.approx(0.5)  # 5 / 10, not 0.5 / 5
    assert relative_error(right, right) == 0


@pytest.mark.parametrize(
    "own, right, expected",
    [
        ([[1.0, math.nan]], [[1.0, math.nan]], 0.0),
        ([[1.0, math.nan]], [[1.0, 2.0]], math.inf),
        ([[1.0, 2.0]], [[1.0, math.nan]], math.inf),
        ([[math.inf]], [[math.inf]], 0.0),
        ([[1.0]], [[0.0]], math.inf),
        ([[0.0]], [[0.0]], 0.0),
        ([[1.0, 2.0]], [[1.0]], math.inf),
    ],
)
def test_errors_of_odd_answers(own: Any, right: Any, expected: float) -> None:
    assert relative_error([[np.array(own)]], [[np.array(right)]]) == expected


def test_errors_of_integers_and_text() -> None:
    assert relative_error([[np.array([250], np.uint8)]], [[np.array([5], np.uint8)]]) == pytest.approx(49)
    words = np.array([b"yes"], object)
    assert relative_error([[words]], [[words]]) == 0
    assert relative_error([[np.array([b"no"], object)]], [[words]]) == math.inf
    assert relative_error([[]], [[words]]) == math.inf


# Which ways to run models


def test_all_leaves_out_what_would_not_be_chosen_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    every = (Variant("fast"), Variant("litert"), Variant("soft", "gpu", choose=False))
    monkeypatch.setattr("sanderling.engines.registry.every_variant", lambda: every)
    monkeypatch.setattr("sanderling.engines.registry.names", lambda: ())
    chosen, left_out = variants.chosen(["all"])
    assert [str(v) for v in chosen] == ["litert", "fast"]
    assert list(left_out) == ["soft:gpu"]


def test_what_is_named_is_not_left_out() -> None:
    chosen, left_out = variants.chosen(["litert", "reference", "litert"])
    assert [str(v) for v in chosen] == ["litert", "reference"]
    assert left_out == {}
    _, left_out = variants.chosen(["all", "reference"])
    assert "reference" not in left_out
    assert "litert:builtin" in left_out


# Rows


def test_engines_are_compared_with_litert_even_where_it_is_no_row() -> None:
    wanted = Wanted(start=0, steady=False)
    result = bench([DIGITS], engines=["reference"], threads=[1, 2], seconds=0.2, wanted=wanted)
    [row] = result.rows  # the number of threads is no choice there
    assert row.threads is None
    assert row.error is not None
    assert 0 < row.error < 1e-5
    assert row.wrong == ""


def test_a_row_keeps_all_that_was_measured() -> None:
    window = Window(1.0, 10, 2.0, 2.5, 3.0, 2600.0, 70.0)
    row = BenchRow(
        "net", Path("net.tflite"), 10, "openvino:bf16", 2, exact=False,
        latency=Latency(1.0, 1.5, 30, 2.0, (1.9, 2.1), 2.0), p50_ci95=(0.9, 1.1), per_second=900.0,
        cold_ms=3.0, first_ms=2.0, peak_memory_bytes=100, error=math.inf, wrong="all of it",
        energy=Energy(0.1, 0.05, 4.0, 9.0, 100, 2.0, "RAPL: package-0"),
        sustained=Sustained(8.0, 10, (window,), 1.2, (0.0, math.inf)),
    )  # fmt: skip
    again = BenchRow.from_json(json.loads(document(row.to_json())))
    assert document(again.to_json()) == document(row.to_json())
    assert again.sustained == row.sustained
    assert again.label == "openvino:bf16, 2 threads"


def test_what_takes_too_long_is_not_timed() -> None:
    wanted = Wanted(start=0, answers=False, steady=False, slowest=1e-9)
    result = bench([DIGITS], seconds=0.2, wanted=wanted)
    assert "too long" in result.rows[0].reason
    assert not result.ok


def test_a_start_is_measured_in_a_fresh_process() -> None:
    found = measure_start(DIGITS, "litert", 1, feeds()[:2], times=2)
    assert 0 < found.first_ms < 1000
    assert 0 < found.cold_ms < 10_000
    assert found.peak_memory_bytes is None or found.peak_memory_bytes > 100_000


class Crashing:
    """Stands in for the worker: whoever is raced with handle 3 ends the process."""

    def __init__(self) -> None:
        self.loaded: dict[int, str] = {}
        self.closed = 0

    def call(self, function: str, **given: Any) -> Any:
        if function.endswith(":load"):
            handle = {"a": 1, "b": 2, "bad": 3}[Path(given["path"]).stem]
            return {"handle": handle, "load_ms": 1.0}
        if function.endswith(":race_all"):
            if 3 in given["handles"]:
                raise WorkerError("the engine crashed (SIGSEGV)")
            latency = Latency(1.0, 1.0, 50, 1.0, (1.0, 1.0), 1.0)
            return [{"latency": latency.to_json(), "p50_ci95": [1.0, 1.0]} for _ in given["handles"]]
        return None

    def close(self) -> None:
        self.closed += 1


def entry(name: str, call_ms: float = 1.0) -> Entry:
    return Entry(BenchRow(name, Path(f"{name}.tflite"), 1, "litert", 1), [], 1.0, call_ms)


def test_one_that_crashes_while_it_is_timed_is_found_and_the_others_go_on() -> None:
    entries = [entry("a"), entry("bad"), entry("b")]
    worker: Any = Crashing()
    contest(worker, entries, 1.0)
    assert [each.row.latency is not None for each in entries] == [True, False, True]
    assert "SIGSEGV" in entries[1].row.reason
    assert worker.closed


def test_without_a_baseline_nothing_is_compared() -> None:
    entries = [entry("bad"), entry("a"), entry("b")]
    worker: Any = Crashing()
    contest(worker, entries, 1.0)
    assert all(each.row.reason for each in entries)
    assert "compared with failed" in entries[1].row.reason


def test_a_slow_one_is_raced_apart() -> None:
    raced: list[list[int]] = []

    class Watching(Crashing):
        def call(self, function: str, **given: Any) -> Any:
            if function.endswith(":race_all"):
                raced.append(given["handles"])
            return super().call(function, **given)

    worker: Any = Watching()
    contest(worker, [entry("a"), entry("b", call_ms=400.0)], 1.0)
    assert raced == [[1], [1, 2]]


# Minutes of running


def windows(p50: list[float]) -> list[Window]:
    return [Window(i + 1.0, 10, value, value) for i, value in enumerate(p50)]


def test_throttling_is_the_last_tenth_beside_the_first() -> None:
    rng = np.random.default_rng(1)
    noise = 1 + 0.01 * rng.standard_normal(200)
    slower = throttling(windows(list(np.linspace(1.0, 1.4, 200) * noise)), 200.0)
    assert slower.slowdown == pytest.approx(1.38 / 1.02, rel=0.03)
    assert 1.2 < slower.ci95[0] < slower.slowdown < slower.ci95[1]
    same = throttling(windows(list(noise)), 200.0)
    assert same.ci95[0] <= 1 <= same.ci95[1]


def test_too_few_windows_give_no_interval() -> None:
    found = throttling(windows([1.0, 2.0]), 2.0)
    assert found.slowdown == 2.0
    assert found.ci95 == (0.0, math.inf)
    assert Sustained.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_windows_are_short_in_short_runs() -> None:
    assert window_seconds(300) == 1.0
    assert window_seconds(10) == 0.1


def test_a_sustained_run_is_in_the_row() -> None:
    wanted = Wanted(start=0, answers=False, steady=False, sustained=0.5)
    [row] = bench([DIGITS], seconds=0.1, wanted=wanted).rows
    assert row.sustained is not None
    assert row.sustained.seconds >= 0.5
    # A last window that time cut short is left out, and its calls are counted.
    in_windows = [window.calls for window in row.sustained.windows]
    assert 0 <= row.sustained.calls - sum(in_windows) <= max(in_windows)
    ends = [window.at for window in row.sustained.windows]
    assert ends == sorted(ends)
    assert len(ends) > 20


def test_clock_and_temperature_as_systems_tell_them(tmp_path: Path) -> None:
    assert megahertz(tmp_path) is None
    assert celsius(tmp_path) is None
    for core, clock in enumerate((1_200_000, 3_600_000)):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text(f"{clock}\n")
    for number, (kind, heat) in enumerate((("acpitz", "90000"), ("x86_pkg_temp", "61000"), ("cpu-1", "odd"))):
        folder = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        folder.mkdir(parents=True)
        (folder / "type").write_text(f"{kind}\n")
        (folder / "temp").write_text(heat)
    assert megahertz(tmp_path) == 2400
    assert celsius(tmp_path) == 61


def test_a_plan_tells_seconds_of_seconds() -> None:
    told: list[tuple[str, int, int]] = []
    plan = Plan(10, lambda *each: told.append(each))
    plan.begin("a", 4)
    plan.within(9)  # longer than it was thought to take
    plan.begin("b", 6)
    plan.within(3, ": half")
    assert told == [("a", 0, 10), ("a", 4, 10), ("b", 4, 10), ("b: half", 7, 10)]


# Many models


def test_a_suite_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"nothing of the kind")
    models = {"digits": DIGITS, "broken": broken}
    wanted = Wanted(start=0, answers=False, steady=False)
    measured: list[str] = []

    def counting(paths: list[Path], **given: Any) -> Any:
        measured.append(paths[0].name)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return bench(paths, **given)

    monkeypatch.setattr("sanderling.measure.suite.bench", counting)
    given: Any = {"engines": ["litert", "reference"], "seconds": 0.2, "wanted": wanted}
    with pytest.raises(KeyboardInterrupt):
        run_suite(models, tmp_path / "out", **given)
    suite = run_suite(models, tmp_path / "out", **given)
    assert measured == [DIGITS.name, "broken.tflite", "broken.tflite"]
    assert [model.name for model in suite.models] == ["digits", "broken"]
    assert "is not a .tflite model" in suite.models[1].reason
    assert suite.columns == ("litert, 1 thread", "reference")
    run_suite(models, tmp_path / "out", **{**given, "seconds": 0.3})
    assert len(measured) == 5  # another setting: measured anew
    (tmp_path / "out" / KEPT).write_text("{")
    with pytest.raises(StorageError, match="no file of an earlier run"):
        run_suite(models, tmp_path / "out", **given)


def test_a_suite_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to measure"):
        run_suite({}, tmp_path)


def row(engine: str, p50: float, speedup: float, *, wrong: str = "", reason: str = "") -> BenchRow:
    latency = Latency(p50, p50, 50, speedup, (speedup * 0.99, speedup * 1.01), 1.0)
    ran = None if reason else latency
    return BenchRow("net", Path("net.tflite"), 1, engine, 1, latency=ran, wrong=wrong, reason=reason)


def test_means_and_the_best_count_right_answers_only() -> None:
    suite = Suite(
        (
            SuiteRow("a", (row("litert", 2.0, 1.0), row("x", 1.0, 2.0))),
            SuiteRow("b", (row("litert", 2.0, 1.0), row("x", 0.25, 8.0))),
            SuiteRow("c", (row("litert", 2.0, 1.0), row("x", 0.01, 200.0, wrong="CONV_2D"))),
            SuiteRow("d", (row("litert", 2.0, 1.0), row("x", 0.0, 1.0, reason="crashed"))),
        ),
        ("litert, 1 thread", "x, 1 thread"),
    )
    assert suite.mean("x, 1 thread") == (pytest.approx(4.0), 2)
    assert suite.mean("litert, 1 thread") == (1.0, 4)
    assert [suite.best(model) for model in suite.models] == [
        "x, 1 thread", "x, 1 thread", "litert, 1 thread", "litert, 1 thread",
    ]  # fmt: skip
