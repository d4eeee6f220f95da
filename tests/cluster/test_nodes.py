"""What lives on a node: it has the node for itself, answers from there, and its end is told."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.local_ray import LocalRay, left_running
from sanderling.cluster.joining import Cluster, Resident, joined
from sanderling.devices import node, remote
from sanderling.devices.node import NodeDevice
from sanderling.errors import DeviceError, NodeLost, RunError, WorkerError
from sanderling.isolation.client import Made, Worker
from sanderling.search.bench import Bench, Run
from tests.engines import models

pytest.importorskip("ray", reason="Ray is not installed: pip install 'sanderling[cluster]'")
RELAY = "sanderling.devices.relay:Relay"
INTERLEAVE = "sanderling.measure.latency:interleave_many"
SERVING = "sanderling.measure.serving"
PROCESS = "sanderling.isolation.worker:process_id"


@pytest.fixture(scope="module")
def joint(cluster: LocalRay) -> Iterator[Cluster]:
    with joined(cluster.address, "x") as ours:
        yield ours


@pytest.fixture(scope="module")
def resident(joint: Cluster) -> Iterator[Resident]:
    (there,), absent = joint.settle_in(joint.nodes[:1], RELAY, 60.0)
    assert not absent
    yield there
    there.end()


def test_answers_are_the_same_there(resident: Resident, tmp_path: Path) -> None:
    path = Path(models.save(models.convolution(24), tmp_path, "net"))
    rng = np.random.default_rng(0)
    feeds = [[rng.random((1, 24, 24, 16), dtype=np.float32)] for _ in range(4)]
    here, there = Bench(), Bench(device=NodeDevice(resident))
    try:
        ours, theirs = (bench.answers(Run(path), feeds, timeout=60) for bench in (here, there))
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            other[0][:] = 0  # its own memory, not the object store's
        assert there.time(Run(path), Run(path), (feeds, feeds), seconds=0.5, timeout=60, usual=1).p50 > 0
        assert there.memory(Run(path), feeds[:1], timeout=60) > 0
    finally:
        here.close()
        there.close()


def test_files_go_there_and_come_back(
    resident: Resident, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PART", 1000)  # so that it goes in many parts
    source = Path(models.save(models.convolution(8), tmp_path, "net"))
    out = tmp_path / "made.tflite"
    with NodeDevice(resident).worker("compressor") as worker:
        done = worker.call(
            "sanderling.compress.apply:apply_in_worker",
            recipe={"name": "as it is", "steps": []},
            source=source,
            out=Made(out),
        )
    assert done["size_bytes"] == out.stat().st_size
    assert out.read_bytes() == source.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["made.tflite", source.name]


def busy(worker: Worker, handle: int, **kwargs: Any) -> None:
    """Keeps a worker busy for a minute, unless something happens to it."""
    feeds = [[np.ones((1, 8, 8, 16), np.float32)]]
    worker.call(INTERLEAVE, handles=[handle, handle], feeds=feeds, seconds=60.0, target=0.0, **kwargs)


def test_what_fails_there_is_told(resident: Resident, tmp_path: Path) -> None:
    with NodeDevice(resident).worker("engine") as worker:
        with pytest.raises(RunError, match="handle 7 is not loaded"):
            worker.call(f"{SERVING}:reset", handle=7)
        path = Path(models.save(models.convolution(8), tmp_path))
        handle = worker.call(f"{SERVING}:load", path=path)["handle"]
        with pytest.raises(WorkerError, match=r"engine on .* did not finish within 1 s") as late:
            busy(worker, handle, timeout=1.0)
        assert late.value.passing
        worker.call(PROCESS)
        handle = worker.call(f"{SERVING}:load", path=path)["handle"]
        crash = threading.Timer(0.5, os.kill, (worker.call(PROCESS), signal.SIGSEGV))
        crash.start()
        with pytest.raises(WorkerError, match="crashed") as crashed:
            busy(worker, handle)
        assert not isinstance(crashed.value, NodeLost)
        pid = worker.call(PROCESS)  # a fresh one
    assert not left_running([pid], seconds=5.0)


def test_a_node_that_has_other_packages_is_refused(
    resident: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "version", lambda package: "0.0.1")
    with pytest.raises(
        DeviceError, match=r"packages are not those of this machine \(ai-edge-litert .*, here 0.0.1"
    ):
        NodeDevice(resident)


def test_a_node_is_taken_as_a_whole(joint: Cluster, resident: Resident) -> None:
    there, absent = joint.settle_in([resident.node], RELAY, 2.0)
    assert (there, absent) == ([], [resident.node])


def test_the_end_of_a_node_is_told(cluster: LocalRay, resident: Resident) -> None:
    added = cluster.add()
    with joined(cluster.address, "x") as again:
        residents, _ = again.settle_in(
            [each for each in again.nodes if each.id != resident.node.id], RELAY, 30.0
        )
        devices = [NodeDevice(each) for each in (resident, *residents)]
        workers = [device.worker("engine") for device in devices]
        pids = [worker.call(PROCESS) for worker in workers]
        assert len(set(pids)) == 3
        killed = added.kill()
        cluster.running.remove(added)
        assert len(set(killed) & set(pids)) == 1
        for worker, pid in zip(workers, pids, strict=True):
            if pid not in killed:
                assert worker.call(PROCESS) == pid
                continue
            with pytest.raises(NodeLost, match=r"the node .* was lost while waiting"):
                worker.call(PROCESS, doing="waiting")
            with pytest.raises(NodeLost):
                worker.call(PROCESS)
        for device in devices[1:]:
            device.close()
        assert not left_running(pids[1:], seconds=15.0)
