"""Another machine by ssh: what is asked of it, what it is sent, and what happens when the line breaks."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling import verbs, zoo
from sanderling.devices.find import find_device
from sanderling.devices.local import LOCAL
from sanderling.devices.remote import RemoteWorker
from sanderling.devices.ssh import Address, Ssh
from sanderling.errors import ConnectionLost, DeviceError, ModelError, UsageError, WorkerError
from sanderling.search import bench as benches
from sanderling.search.bench import Bench, Run
from sanderling.search.events import Note, TrialFinished
from tests.devices.conftest import Machine
from tests.engines import models


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(models.save(models.convolution(24), tmp_path, "net"))


def feeds(count: int = 4) -> list[list[Any]]:
    rng = np.random.default_rng(0)
    return [[rng.random((1, 24, 24, 16), dtype=np.float32)] for _ in range(count)]


def test_it_is_asked_what_it_is(machine: Machine) -> None:
    facts = Ssh(machine.url).facts()
    assert facts.cores == 1.0  # this machine may have more: it is not this machine that was asked
    assert facts.versions["ai-edge-litert"] == LOCAL.facts().versions["ai-edge-litert"]


def test_answers_are_the_same_there(machine: Machine, path: Path) -> None:
    here, there = Bench(), Bench(device=find_device(machine.url))
    try:
        for one, other in zip(
            here.answers(Run(path), feeds(), timeout=60),
            there.answers(Run(path), feeds(), timeout=60),
            strict=True,
        ):
            np.testing.assert_array_equal(one[0], other[0])
        latency = there.time(Run(path), Run(path), (feeds(), feeds()), seconds=0.7, timeout=60, usual=1)
        assert latency.p50 > 0
        assert there.memory(Run(path), feeds(1), timeout=60) > 0
    finally:
        here.close()
        there.close()


def test_everything_is_sent_once(machine: Machine, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    right = RemoteWorker._exchange

    def counted(self: RemoteWorker, process: Any, limits: Any, function: str, kwargs: Any) -> Any:
        sent.append(function.rpartition(":")[2])
        return right(self, process, limits, function, kwargs)

    monkeypatch.setattr(RemoteWorker, "_exchange", counted)
    bench = Bench(device=find_device(machine.url))
    try:
        for threads in (1, 2):
            bench.answers(Run(path, threads), feeds(), timeout=60)
        assert sent == ["put", "call", "keep", "call", "call", "call"]
    finally:
        bench.close()


def test_what_it_kept_goes_with_the_worker(machine: Machine, path: Path) -> None:
    bench = Bench(device=find_device(machine.url))
    bench.load(Run(path))
    found = bench._worker.call(
        "sanderling.devices.store:put", digest=_digest(b"x"), suffix=".bin", data=_bytes(b"x")
    )
    assert Path(found).exists()
    bench.close()
    _wait(lambda: not Path(found).parent.exists())


def _bytes(data: bytes) -> Any:
    return np.frombuffer(data, np.uint8)


def _digest(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def _wait(done: Any, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_broken_line_is_taken_up_again(machine: Machine, path: Path) -> None:
    told: list[Any] = []
    bench = Bench(device=find_device(machine.url), listen=told.append)
    try:
        before = bench.answers(Run(path), feeds(), timeout=60)
        assert machine.drop() > 0
        after = bench.answers(Run(path), feeds(), timeout=60)
        np.testing.assert_array_equal(before[0][0], after[0][0])
        assert any(isinstance(note, Note) and "was lost" in note.text for note in told)
        assert machine.drop() > 0
        with pytest.raises(WorkerError, match=r"the state of net\.tflite was lost") as lost:
            bench.answers(Run(path), feeds(), timeout=60, continued=True)
        assert lost.value.passing
    finally:
        bench.close()


def test_the_worker_there_ends_with_the_line_in_the_middle_of_a_call(machine: Machine, path: Path) -> None:
    bench = Bench(device=find_device(machine.url))
    handle = bench._handle(Run(path))
    there = bench._worker.call("sanderling.isolation.worker:process_id", timeout=30)
    threading.Timer(1.0, machine.drop).start()
    start = time.monotonic()
    with pytest.raises(ConnectionLost, match="the connection to ssh://pi was lost while timing"):
        bench._worker.call(
            "sanderling.measure.latency:interleave_many", handles=[handle] * 2, feeds=feeds(), seconds=60.0,
            target=0.0, timeout=120, doing="timing",
        )  # fmt: skip
    assert time.monotonic() - start < 30
    _wait(lambda: not _alive(there))
    bench.close()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_crash_there_is_no_lost_line(machine: Machine) -> None:
    with find_device(machine.url).worker("engine") as worker:
        pid = worker.call("sanderling.isolation.worker:process_id", timeout=60)
        os.kill(pid, 11)
        with pytest.raises(WorkerError, match=r"crashed \(SIGSEGV\)") as crash:
            worker.call("sanderling.isolation.worker:process_id", timeout=30)
        assert not isinstance(crash.value, ConnectionLost)


def test_what_the_engine_refuses_is_said_as_here(machine: Machine, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no model")
    bench = Bench(device=find_device(machine.url))
    try:
        with pytest.raises(ModelError):
            bench.load(Run(broken))
    finally:
        bench.close()


@pytest.mark.parametrize(
    "text, message",
    [
        ("ssh://", "is no address"),
        ("ssh://-oProxyCommand=x", "is no address"),
        ("ssh://a b", "is no address"),
        ("ssh://pi:secret@host", "is no address"),
        ("ssh://pi/somewhere", "has a path"),
        ("ssh://pi?speed=3", "no option 'speed'"),
        ("ssh://pi:port", "is no address"),
        ("telnet://pi", "there is no device"),
    ],
)
def test_wrong_addresses(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_device(text)


def test_addresses() -> None:
    assert Address.parse("ssh://pi@raspberrypi.local:2222?python=/opt/python") == Address(
        "pi@raspberrypi.local", 2222, "/opt/python"
    )
    assert str(Address.parse("ssh://alias?config=/x")) == "ssh://alias"
    assert Address.parse("ssh://pi@host:22?config=/x").command == "ssh -F /x -p 22 pi@host"


def test_why_it_cannot_be_used(machine: Machine, tmp_path: Path) -> None:
    config = f"config={machine.folder / 'client'}"
    with pytest.raises(DeviceError, match=r"ssh://pi: it has no /nowhere/python.*python="):
        Ssh(f"ssh://pi?{config}&python=/nowhere/python").facts()
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {machine.folder / "python"} -S -I "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(DeviceError, match=r"has no ai-edge-litert .*pip install ai-edge-litert"):
        Ssh(f"ssh://pi?{config}&python={bare}").facts()
    machine.stop()
    with pytest.raises(DeviceError, match=r"cannot be reached .*without a password"):
        Ssh(machine.url).facts()


class Cut:
    """Breaks the line after so many trials."""

    def __init__(self, machine: Machine, after: int, *, off: bool) -> None:
        self.machine, self.after, self.off = machine, after, off
        self.finished: list[str] = []
        self.resumed = 0
        self.notes: list[str] = []

    def __call__(self, event: Any) -> None:
        if isinstance(event, Note):
            self.notes.append(event.text)
        if not isinstance(event, TrialFinished):
            return
        self.resumed += event.resumed
        self.finished.append(event.trial.id)
        if len(self.finished) == self.after:
            if self.off:
                self.machine.stop()
            else:  # in the middle of the next trial
                threading.Timer(0.7, self.machine.drop).start()


def search(machine: Machine, out: Path, listen: Any, **more: Any) -> Any:
    card = zoo.describe("digits")
    return verbs.optimize(
        card.model, card.samples, labels=card.labels, output=out, device=machine.url, seconds=60, limit=120,
        listen=listen, **more,
    )  # fmt: skip


def test_a_search_survives_a_broken_line_and_resumes_after_a_lost_machine(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benches, "MOST_SECONDS", 3.0)
    gone = Cut(machine, 3, off=True)
    with pytest.raises(ConnectionLost, match=r"trials are kept: see that ssh://pi is there.*--resume"):
        search(machine, tmp_path / "out", gone)
    machine.start()
    cut = Cut(machine, 6, off=False)
    result = search(machine, tmp_path / "out", cut, resume=True)
    assert cut.resumed >= 3
    assert any("the connection to ssh://pi was lost" in note for note in cut.notes)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["device"]["name"], report["device"]["cores"]) == ("ssh://pi", 1)
    assert not any("not on" in note for note in cut.notes)
    best = json.loads((tmp_path / "out" / "best.json").read_text())
    assert best["device"]["cores"] == 1.0
    assert {trial["threads"] for trial in report["trials"]} == {1}  # its cores decide, not ours
    assert result.best is not None
