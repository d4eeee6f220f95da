"""A phone by adb: a fake one, whose adb and benchmark_model behave as the real ones do."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling import verbs, zoo
from sanderling.cli import main
from sanderling.devices.adb import Address
from sanderling.devices.benchmark_model import parse
from sanderling.devices.find import find_device
from sanderling.errors import (
    ConnectionLost,
    DeviceError,
    ModelError,
    RunError,
    StorageError,
    UsageError,
    WorkerError,
)
from sanderling.measure.phone import calls_of
from sanderling.search import bench as benches
from sanderling.search.bench import Bench, Run
from sanderling.search.events import Note, TrialFinished
from tests.engines import models

HERE = Path(__file__).parent / "phone"
SERIAL = "R58M12ABCDE"
PROPERTIES = {
    "ro.product.manufacturer": "Acme",
    "ro.product.model": "Phone 9",
    "ro.soc.model": "AC900",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.build.version.release": "14",
}


class Phone:
    """A folder that the fake adb takes for a phone."""

    def __init__(self, folder: Path, serial: str) -> None:
        self.root, self.serial = folder / serial, serial
        self.tmp = self.root / "data" / "local" / "tmp"
        self.tmp.mkdir(parents=True)
        (self.root / "bin").mkdir()
        self.set("state", "device")
        cases = "".join(f"{key}) echo '{value}';; " for key, value in PROPERTIES.items())
        program(self.root / "bin" / "getprop", f'case "$1" in {cases} esac')
        program(self.root / "bin" / "nproc", "echo 2")

    def set(self, name: str, value: str = "") -> None:
        (self.root / name).write_text(value)

    def left(self) -> list[str]:
        """What runs have left there."""
        return [file.name for file in self.tmp.glob("sanderling-*")]

    @property
    def invocations(self) -> int:
        file = self.root / "invocations"
        return int(file.read_text()) if file.exists() else 0


def program(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.fixture
def phones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder, programs = tmp_path / "phones", tmp_path / "programs"
    folder.mkdir()
    programs.mkdir()
    program(programs / "adb", f'exec {sys.executable} -S -I {HERE / "adb"} "$@"')
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_PHONES", str(folder))
    monkeypatch.setattr(benches, "PAUSES", (0.05,))
    return folder


@pytest.fixture
def phone(phones: Path) -> Phone:
    made = Phone(phones, SERIAL)
    tool(made.tmp / "benchmark_model")
    return made


def tool(file: Path) -> Path:
    # Without its site packages unless it is to answer: it starts in a moment.
    quick = f'case "$*" in *output_filepath*) quick=;; *) quick="-S -I";; esac; exec {sys.executable} $quick'
    program(file, f'{quick} {HERE / "benchmark_model"} "$@"')
    return file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(models.save(models.convolution(24), tmp_path, "net"))


def feeds(count: int = 2) -> list[list[Any]]:
    rng = np.random.default_rng(0)
    return [[rng.random((1, 24, 24, 16), dtype=np.float32)] for _ in range(count)]


# In the format of today's versions, and of old ones.
NEW = """INFO: count=3 first=401 curr=203 min=201 max=401 avg=268 std=94 p5=201 median=203 p95=401

INFO: count=400 first=21 curr=19900 min=19500 max=91000 avg=21500.5 std=9 p5=19700 median=20250 p95=30500

INFO: Inference timings in us: Init: 15500, First inference: 40100, Warmup (avg): 268, Inference (avg): 21500
INFO: Memory footprint delta from the start of the tool (MB): init=5.5 overall=12.25
"""
OLD = """count=1 curr=3500000

count=50 first=2900000 curr=2910000 min=2700000 max=3190000 avg=2.95034e+06 std=10798

Inference timings in us: Init: 17187, First inference: 3500, Warmup (avg): 3.5e+06, Inference (avg): 2.95e+06
Peak memory footprint (MB): init=4.5 overall=138.5
"""


def test_what_the_tool_prints() -> None:
    new, old = parse(NEW), parse(OLD)
    assert (new.count, new.median, new.load_ms, new.first_ms) == (400, 20.25, 15.5, 40.1)
    assert new.quantiles[0.95] == 30.5
    assert new.memory_bytes == round(12.25 * 2**20)
    assert (old.count, old.median, old.load_ms) == (50, pytest.approx(2950.34), 17.187)
    assert old.memory_bytes == round(138.5 * 2**20)
    same = parse("count=7 curr=120(all same)\nInference timings in us: Init: 5, First inference: 9, Warmup")
    assert (same.count, same.median, same.memory_bytes) == (7, 0.12, None)
    for nothing in ("", "count=0\n", NEW.replace("Init:", "")):
        with pytest.raises(RunError, match="printed no statistics"):
            parse(nothing)


def test_calls_are_spread_between_known_quantiles() -> None:
    new, old = parse(NEW), parse(OLD)
    calls = np.array(calls_of(new))
    assert len(calls) == 400
    assert np.median(calls) == pytest.approx(20.25, rel=1e-3)
    assert np.percentile(calls, 95) == pytest.approx(30.5, rel=0.1)
    assert set(calls_of(old)) == {old.median}  # the mean stands for all: nothing else is known


def test_what_the_phone_is(phone: Phone) -> None:
    device = find_device(f"adb:{SERIAL}")
    facts = device.facts()
    assert (facts.cpu, facts.architecture, facts.system) == (
        "Acme Phone 9 (AC900)",
        "arm64-v8a",
        "Android 14",
    )
    assert facts.cores == 2.0
    assert len(facts.versions["benchmark_model"]) == 12
    assert any("random inputs" in note for note in facts.notes)
    assert not any("ANSWERS" in note for note in facts.notes)
    device.close()
    assert phone.left() == []


def test_doctor_asks_the_phone(phone: Phone, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", f"adb:{SERIAL}"]) == 0
    told = capsys.readouterr().out
    assert "Acme Phone 9 (AC900), 2 cores" in told
    assert "ready" in told
    assert main(["doctor", "--device", f"adb:{SERIAL}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["system"], found["cores"]) == (True, "Android 14", 2.0)
    phone.set("crash")
    assert main(["doctor", "--device", f"adb:{SERIAL}"]) == 1
    assert "crashed (SIGABRT)" in capsys.readouterr().out
    assert phone.left() == []


def test_a_model_there(phone: Phone, path: Path) -> None:
    bench, here = Bench(device=find_device(f"adb:{SERIAL}")), Bench()
    try:
        assert bench.load(Run(path)) == 12.345
        before = phone.invocations
        for one, other in zip(
            bench.answers(Run(path), feeds(), timeout=60), here.answers(Run(path), feeds(), timeout=60),
            strict=True,
        ):  # fmt: skip
            np.testing.assert_allclose(one[0], other[0], rtol=1e-5, atol=1e-6)
        assert phone.invocations == before + 2  # the answers are the phone's
        found = bench.time(Run(path), Run(path, 2), (feeds(), feeds()), seconds=1, timeout=60, usual=1)
        usual = path.stat().st_size // 10 / 1e3
        assert found.p50 == pytest.approx(usual / 1.5, rel=0.01)  # the stand-in's own figure
        assert found.speedup > 0.9
        assert found.runs > 6
        assert bench.memory(Run(path), feeds(1)[0], timeout=60) == round(3.25 * 2**20)
    finally:
        bench.close()
        here.close()
        bench.device.close()
    assert phone.left() == []


def test_two_models_beside_each_other(phone: Phone, path: Path) -> None:
    big = path.with_name("big.tflite")
    big.write_bytes(path.read_bytes() + bytes(3 * path.stat().st_size))
    bench = Bench(device=find_device(f"adb:{SERIAL}?answers=here"))
    try:
        found = bench.time(Run(big), Run(path), (feeds(), feeds()), seconds=1, timeout=60, usual=1)
        assert found.speedup == pytest.approx(4, rel=0.05)
        assert found.speedup_ci95[0] > 3.5
    finally:
        bench.close()


def test_an_old_tool_lets_this_machine_answer_and_says_so(phone: Phone, path: Path) -> None:
    phone.set("old")
    device = find_device(f"adb:{SERIAL}")
    assert any("ANSWERS ARE NOT THE PHONE'S" in note for note in device.facts().notes)
    bench = Bench(device=device)
    try:
        bench.load(Run(path))
        before = phone.invocations
        assert len(bench.answers(Run(path), feeds(), timeout=60)) == 2
        assert phone.invocations == before
    finally:
        bench.close()
    with pytest.raises(DeviceError, match="too old to write answers"):
        find_device(f"adb:{SERIAL}?answers=there").facts()


def facts_of(text: str) -> None:
    device = find_device(text)
    try:
        device.facts()
    finally:
        device.close()


def test_the_tool_is_copied_where_it_is_named(phone: Phone, path: Path, tmp_path: Path) -> None:
    (phone.tmp / "benchmark_model").unlink()
    with pytest.raises(DeviceError, match=r"it has no benchmark_model; .*\?benchmark=FILE"):
        facts_of(f"adb:{SERIAL}")
    with pytest.raises(DeviceError, match="there is no /nowhere, here or on the phone"):
        facts_of(f"adb:{SERIAL}?benchmark=/nowhere")
    own = tool(tmp_path / "mine")
    bench = Bench(device=find_device(f"adb:{SERIAL}?benchmark={own}"))
    try:
        assert bench.load(Run(path)) == 12.345
    finally:
        bench.close()
        bench.device.close()
    assert phone.left() == []


def test_what_goes_wrong_there(phone: Phone, path: Path, tmp_path: Path) -> None:
    bench = Bench(device=find_device(f"adb:{SERIAL}?answers=here"))
    try:
        phone.set("crash")
        with pytest.raises(WorkerError, match=r"benchmark_model crashed \(SIGABRT\)"):
            bench.load(Run(path))
        (phone.root / "crash").unlink()
        broken = tmp_path / "broken.tflite"
        broken.write_bytes(b"no model")
        with pytest.raises(ModelError):
            bench.load(Run(broken))
        with pytest.raises(UsageError, match="litert only, not reference"):
            bench.load(Run(path, engine="reference"))
        phone.set("full")
        with pytest.raises(StorageError, match="No space left"):
            bench.load(Run(path))
        with pytest.raises(UsageError, match="cannot be done by benchmark_model"):
            bench._worker.call("sanderling.devices.facts:collect", doing="asking for facts")
    finally:
        bench.close()


def test_the_tool_may_be_for_another_processor(phone: Phone, path: Path) -> None:
    (phone.tmp / "benchmark_model").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))
    bench = Bench(device=find_device(f"adb:{SERIAL}?answers=here"))
    try:
        with pytest.raises(DeviceError, match=r"does not run there .*processor"):
            bench.load(Run(path))
    finally:
        bench.close()


@pytest.mark.parametrize(
    "state, message",
    [
        ("unauthorized", "unauthorized.*unlock it"),
        ("offline", "offline.*cable"),
        ("no permissions (user in plugdev group; are your udev rules wrong?)", "no permissions; .*USB"),
    ],
)
def test_phones_that_do_not_let_in(phone: Phone, state: str, message: str) -> None:
    phone.set("state", state)
    with pytest.raises(DeviceError, match=message):
        find_device(f"adb:{SERIAL}")


def test_which_phone(phones: Path, phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_device("adb:").name == f"adb:{SERIAL}"
    Phone(phones, "192.168.1.5:5555")
    assert find_device("adb:192.168.1.5:5555").name == "adb:192.168.1.5:5555"
    with pytest.raises(UsageError, match=f"there are 2 phones: 192.168.1.5:5555, {SERIAL}"):
        find_device("adb:")
    with pytest.raises(DeviceError, match=f"no phone 'wrong'; attached: 192.168.1.5:5555, {SERIAL}"):
        find_device("adb:wrong")
    shutil.rmtree(phones)
    phones.mkdir()
    with pytest.raises(DeviceError, match="no phone is attached"):
        find_device("adb:")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DeviceError, match="no adb program"):
        find_device(f"adb:{SERIAL}")


@pytest.mark.parametrize("text", ["adb:-s x", "adb:$(rm)", "adb:x?speed=3", "adb:x?answers=maybe"])
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(UsageError):
        find_device(text)


def test_addresses() -> None:
    assert Address.parse("adb:host:5555?benchmark=/a b&answers=here") == Address("host:5555", "/a b", "here")


def test_a_phone_that_goes_away_in_the_middle_comes_back(phone: Phone, path: Path) -> None:
    told: list[Any] = []
    bench = Bench(device=find_device(f"adb:{SERIAL}?answers=here"), listen=told.append)
    try:
        bench.load(Run(path))
        phone.set("die", "4 3")  # in the middle of the fourth invocation, for three commands
        found = bench.time(Run(path), Run(path, 2), (feeds(), feeds()), seconds=1, timeout=60, usual=1)
        assert found.runs > 6
        notes = [note.text for note in told if isinstance(note, Note)]
        assert any("was lost while timing" in note and "trying again" in note for note in notes)
    finally:
        bench.close()


def search(phone: Phone, out: Path, listen: Any, **more: Any) -> Any:
    card = zoo.describe("digits")
    return verbs.optimize(
        card.model, card.samples, labels=card.labels, output=out, device=f"adb:{phone.serial}?answers=here",
        seconds=40, limit=60, listen=listen, **more,
    )  # fmt: skip


def test_a_search_on_a_phone_resumes_after_it_was_lost(
    phone: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benches, "MOST_SECONDS", 1.0)
    events: list[Any] = []

    def listen(event: Any) -> None:
        events.append(event)
        if sum(isinstance(seen, TrialFinished) for seen in events) == 3 and not (phone.root / "met").exists():
            phone.set("met")
            phone.set("die", "2 1000000")

    with pytest.raises(ConnectionLost, match=r"trials are kept: see that adb:.* is there.*--resume"):
        search(phone, tmp_path / "out", listen)
    (phone.root / "gone").unlink()
    lost = phone.left()  # nothing could be removed from a phone that was gone
    events.clear()
    result = search(phone, tmp_path / "out", listen, resume=True)
    finished = [event for event in events if isinstance(event, TrialFinished)]
    assert sum(event.resumed for event in finished) >= 3
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["device"]["name"], report["device"]["cores"]) == (f"adb:{SERIAL}", 2)
    assert "ANSWERS ARE NOT THE PHONE'S" in (tmp_path / "out" / "report.html").read_text().replace(
        "&#39;", "'"
    )
    assert "ANSWERS ARE NOT THE PHONE'S" in json.dumps(report)
    assert result.best is not None
    assert phone.left() == lost


def test_bench_on_a_phone(phone: Phone, path: Path) -> None:
    found = verbs.bench(path, device=f"adb:{SERIAL}", threads=(1, 2), seconds=1.0)
    usual = path.stat().st_size // 10 / 1e3
    one, two = found.rows
    assert one.latency is not None
    assert two.latency is not None
    assert one.latency.p50 == pytest.approx(usual, rel=0.01)
    assert two.latency.speedup == pytest.approx(1.5, rel=0.05)
    assert (one.cold_ms, one.peak_memory_bytes) == (12.345, round(3.25 * 2**20))
    assert found.machine["cpu"] == f"adb:{SERIAL}: Acme Phone 9 (AC900)"
    assert any("random inputs" in note for note in found.notes)
    assert phone.left() == []
