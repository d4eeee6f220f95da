"""Timing kernels, choosing among them, and telling where the time goes."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sanderling import verbs
from sanderling.engines.webgpu import ENGINE, tuned
from sanderling.engines.webgpu import tune as tuning
from sanderling.engines.webgpu.compiler.compile import compile_graph
from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.driver.clock import Clock
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.profile import profile
from sanderling.engines.webgpu.tune import tune
from sanderling.errors import UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import Verdict
from tests.models import Net, classifier, save
from tests.webgpu.making import CLOSE, compare, run_once


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def twice() -> Model:
    """Two convolutions of the same shape and one of another."""
    return Net((1, 8, 8, 16), 1).conv(16).conv(16).conv(40).model()


def names_of(model: Model, device: Device, position: int) -> list[str]:
    found = variants(model.main, model.main.nodes[position], target_of(device.adapter).kernels)
    assert not isinstance(found, Verdict)
    return [variant.name for variant in found]


@pytest.mark.parametrize("precise", [True, False])
def test_a_larger_kernel_takes_longer(device: Device, precise: bool) -> None:
    times = []
    for size in (4, 64):
        model = Net((1, size, size, 16), 1).conv(32).model()
        executor = Executor(compile_graph(model.main, ["x"], ["y"], target_of(device.adapter)), device)
        clock = Clock(device)
        if precise and not clock.precise:
            pytest.skip("this GPU has no clock of its own")
        clock.precise = precise
        times.append(max(clock.seconds(executor.kernels(), rounds=15)))
        executor.close()
    assert 0 < times[0] < times[1] / 4


def test_operators_of_one_shape_are_tuned_once(device: Device) -> None:
    model, target = twice(), target_of(device.adapter)
    told: list[str] = []
    found = tune(model, device, target, budget_s=60, tell=told.append)
    assert (found.timed, found.distinct, len(told)) == (2, 2, 2)
    graph = model.main
    keys = [tuned.signature(graph, node) for node in graph.nodes]
    assert keys[0] == keys[1] != keys[2]
    assert set(found.fastest) == set(keys)
    for position, key in enumerate(keys):
        assert found.fastest[key] in names_of(model, device, position)
    assert found.after_ms <= found.before_ms
    again = tune(model, device, target, budget_s=60, known=found.fastest)
    assert again.distinct == 0
    assert "nothing to tune" in str(again)


def test_little_time_still_tunes_something(device: Device) -> None:
    found = tune(twice(), device, target_of(device.adapter), budget_s=1e-6)
    assert found.timed == 1


def test_what_was_chosen_is_compiled_and_right(device: Device) -> None:
    model, target = twice(), target_of(device.adapter)
    x = np.random.default_rng(1).standard_normal((1, 8, 8, 16)).astype(np.float32)
    (plain,) = run_once(device, model, [x])
    graph = model.main
    shaders = set()
    for name in names_of(model, device, 0):
        given = replace(target, tuned={tuned.signature(graph, graph.nodes[0]): name})
        program = compile_graph(graph, ["x"], ["y"], given)
        shaders.add(program.shaders)
        executor = Executor(program, device)
        compare(executor.run([x])[0], plain, CLOSE)
        executor.close()
    assert len(shaders) > 3  # the choice reached the program
    unknown = compile_graph(graph, ["x"], ["y"], replace(target, tuned={"no such": "x"}))
    assert unknown.shaders == compile_graph(graph, ["x"], ["y"], target).shaders


@pytest.mark.parametrize("width, used", [("@128", 128), ("@64", 64), ("@1024", 32), ("@x", 32), ("@", 32)])
def test_a_width_of_workgroups_is_compiled_and_right(device: Device, width: str, used: int) -> None:
    model, target = twice(), target_of(device.adapter)
    x = np.random.default_rng(1).standard_normal((1, 8, 8, 16)).astype(np.float32)
    given = replace(target, tuned={tuned.signature(model.main, model.main.nodes[2]): "direct_4x8" + width})
    program = compile_graph(model.main, ["x"], ["y"], given)
    wide = [
        f"@workgroup_size({used}, 1, 1)" in program.shaders[d.shader]
        for d in program.dispatches
        if 2 in d.nodes
    ]
    assert wide
    assert all(wide)
    executor = Executor(program, device)
    compare(executor.run([x])[0], run_once(device, model, [x])[0], CLOSE)
    executor.close()


def test_widths_are_tried_on_gpus_of_many_cores(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is made to like workgroups of 128."""
    real = target_of(device.adapter)
    target = replace(real, kernels=replace(real.kernels, software=False, uniform_bytes=0, threads=65536))
    asked: list[str] = []

    def timed(self: object, model: Model, name: str, tuned: object = None) -> float:
        asked.append(name)
        return 0.5 if name.endswith("@128") else 1.0

    monkeypatch.setattr(tuning._Tuner, "seconds", timed)
    found = tune(twice(), device, target, budget_s=60)
    assert all(name.endswith("@128") for name in found.fastest.values())
    assert {name.partition("@")[2] for name in asked} == {"", "32", "128", "256"}


def test_a_session_tunes_once_and_remembers(device: Device, tmp_path: Path, cache: Path) -> None:
    path = save(twice(), tmp_path / "twice.tflite")
    model = verbs.load(path)
    ENGINE.load(path, model, options={"tune": 30, "trust": True}).close()
    (file,) = cache.rglob("tuned-*.json")
    known = tuned.recall(device.adapter)
    assert len(known) == 2
    graph = model.main
    names = [n for n in names_of(model, device, 2) if n != known[tuned.signature(graph, graph.nodes[2])]]
    tuned.keep(device.adapter, {tuned.signature(graph, graph.nodes[2]): names[-1]})
    with_other = ENGINE.load(path, model, options={"trust": True}).program.shaders
    file.unlink()
    assert ENGINE.load(path, model, options={"trust": True}).program.shaders != with_other


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 0}', '{"format": 1, "variants": [1]}'])
def test_a_damaged_file_is_as_none(device: Device, cache: Path, content: str) -> None:
    tuned.keep(device.adapter, {"a": "b"})
    (file,) = cache.rglob("tuned-*.json")
    assert tuned.recall(device.adapter) == {"a": "b"}
    file.write_text(content)
    assert tuned.recall(device.adapter) == {}
    tuned.keep(device.adapter, {"c": "d"})
    assert tuned.recall(device.adapter) == {"c": "d"}


@pytest.mark.parametrize("seconds", [0, -1, True, "5s", float("nan"), float("inf")])
def test_a_budget_that_is_none(device: Device, tmp_path: Path, seconds: object) -> None:
    path = save(twice(), tmp_path / "twice.tflite")
    with pytest.raises(UsageError, match="expected seconds"):
        ENGINE.load(path, verbs.load(path), options={"tune": seconds})


def test_a_profile_has_a_row_per_kernel(device: Device, tmp_path: Path) -> None:
    path = save(classifier(), tmp_path / "classifier.tflite")
    runner = ENGINE.load(path, verbs.load(path), options={"trust": True})
    found = profile(runner, rounds=2)
    runner.close()
    operators = [kind for row in found.rows for kind in row.operators]
    for kind in ("CONV_2D", "MAX_POOL_2D", "FULLY_CONNECTED", "SOFTMAX"):
        assert kind in operators
    assert sum(row.share for row in found.rows) == pytest.approx(1)
    assert found.kernels_ms == pytest.approx(sum(row.ms for row in found.rows))
    macs = sum(row.macs or 0 for row in found.rows)
    assert macs == 12 * 12 * 9 * 8 + 6 * 6 * 9 * 8 * 8 + 288 * 5
    assert found.total_ms > 0
    events = found.trace()["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert len(spans) == len(found.rows) + 3
    for before, after in pairwise(spans):
        assert after["ts"] == pytest.approx(before["ts"] + before["dur"])


def test_pieces_on_the_cpu_are_rows_too(device: Device, tmp_path: Path) -> None:
    path = save(classifier(), tmp_path / "classifier.tflite")
    runner = ENGINE.load(path, verbs.load(path), options={"trust": True, "pin": {"SOFTMAX": "cpu"}})
    found = profile(runner, rounds=2)
    runner.close()
    (cpu,) = (row for row in found.rows if row.kernel == "litert")
    assert cpu.operators == ("SOFTMAX",)
    assert found.cpu_ms == pytest.approx(cpu.ms)


def test_the_verb_writes_a_trace(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(classifier(), tmp_path / "classifier.tflite")
    given, wished = tmp_path / "given.json", tmp_path / "wished.json"
    monkeypatch.setenv("SANDERLING_TRACE", str(wished))
    verbs.profile(path, trace=given, rounds=1)
    assert not wished.exists()
    verbs.profile(path, rounds=1)
    for file in (given, wished):
        assert json.loads(file.read_text())["traceEvents"]
    with pytest.raises(UsageError, match="cannot be written"):
        verbs.profile(path, trace=tmp_path / "no" / "folder.json", rounds=1)


@pytest.mark.parametrize("engine, why", [("litert", "single operators"), ("reference", "say nothing")])
def test_engines_that_cannot_be_profiled(tmp_path: Path, engine: str, why: str) -> None:
    path = save(classifier(), tmp_path / "classifier.tflite")
    with pytest.raises(UsageError, match="cannot be profiled") as caught:
        verbs.profile(path, engine=engine)
    assert why in caught.value.what
