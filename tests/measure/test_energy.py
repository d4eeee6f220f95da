"""Meters of energy: RAPL on trees as kernels show them, programs that print watts, and what is there."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sanderling.errors import MeterError, UsageError
from sanderling.measure.energy.command import PowerMeter
from sanderling.measure.energy.meter import Together, open_meter
from sanderling.measure.energy.nvml import Nvml, find_nvml
from sanderling.measure.energy.rapl import find_rapl
from sanderling.measure.energy.use import energy, idle_watts
from sanderling.measure.steady import Steady

RANGE = 262_143_328_850  # µJ: what a Xeon's package begins again at
DRAM_RANGE = 65_712_999_613


def zone(root: Path, place: str, name: str, energy_uj: int, most: int = RANGE) -> Path:
    """Makes one of powercap's folders: under the root, and linked with its parent as the kernel does it."""
    folder = root / place
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    (folder / "enabled").write_text("1\n")
    if place.count(":") == 2:
        parent = root / place.rpartition(":")[0]
        (parent / place).symlink_to(folder)
        (folder / place.rpartition(":")[0]).symlink_to(parent)
    return folder


def set_energy(folder: Path, value: int) -> None:
    (folder / "energy_uj").write_text(f"{value}\n")


@pytest.fixture
def server(tmp_path: Path) -> dict[str, Path]:
    """Two sockets with memory, a laptop's psys and integrated graphics, and the same package over MMIO."""
    root = tmp_path / "powercap"
    (root / "intel-rapl").mkdir(parents=True)  # the control type, which is no zone
    (root / "intel-rapl" / "enabled").write_text("1\n")
    return {
        "root": root,
        "package0": zone(root, "intel-rapl:0", "package-0", 5_000_000),
        "core0": zone(root, "intel-rapl:0:0", "core", 3_000_000),
        "uncore0": zone(root, "intel-rapl:0:1", "uncore", 100_000),
        "dram0": zone(root, "intel-rapl:0:2", "dram", 700_000, DRAM_RANGE),
        "package1": zone(root, "intel-rapl:1", "package-1", RANGE - 1_000_000),
        "dram1": zone(root, "intel-rapl:1:0", "dram", DRAM_RANGE - 500_000, DRAM_RANGE),
        "psys": zone(root, "intel-rapl:2", "psys", 9_000_000),
        "mmio": zone(root, "intel-rapl-mmio:0", "package-0", 5_000_000),
    }


def rapl(root: Path) -> Any:
    found = find_rapl(root)
    assert not isinstance(found, str), found
    return found


def test_rapl_adds_packages_and_memory_and_nothing_twice(server: dict[str, Path]) -> None:
    meter = rapl(server["root"])
    assert meter.name == "RAPL: package-0, dram of package-0, package-1, dram of package-1"
    assert meter.joules() == 0
    set_energy(server["package0"], 5_000_000 + 2_000_000)
    set_energy(server["dram0"], 700_000 + 300_000)
    for part in ("core0", "uncore0", "psys", "mmio"):  # they hold the same again
        set_energy(server[part], 800_000_000)
    assert meter.joules() == pytest.approx(2.3)


def test_rapl_counts_on_past_its_range(server: dict[str, Path]) -> None:
    meter = rapl(server["root"])
    set_energy(server["package1"], 500_000)  # from RANGE - 1 J over 0 to 0.5 J
    set_energy(server["dram1"], 250_000)
    assert meter.joules() == pytest.approx(1.5 + 0.75)
    set_energy(server["package1"], RANGE - 1)
    before = meter.joules()
    set_energy(server["package1"], 999_999)  # and once more
    assert meter.joules() - before == pytest.approx(1.0)


def test_rapl_of_amd_has_no_memory(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 10, 65_532_610_987)
    zone(tmp_path, "intel-rapl:0:0", "core", 5)
    meter = rapl(tmp_path)
    set_energy(package, 4_000_010)
    assert meter.name == "RAPL: package-0"
    assert meter.joules() == 4.0


def test_rapl_of_several_dies(tmp_path: Path) -> None:
    dies = [zone(tmp_path, f"intel-rapl:{i}", f"package-{i // 2}-die-{i % 2}", 0) for i in range(4)]
    meter = rapl(tmp_path)
    for die in dies:
        set_energy(die, 1_000_000)
    assert meter.joules() == 4.0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_rapl_that_only_root_may_read(server: dict[str, Path]) -> None:
    (server["dram0"] / "energy_uj").chmod(0)
    found = find_rapl(server["root"])
    assert isinstance(found, str)
    assert "sudo chmod a+r" in found


def test_rapl_that_may_not_be_read_says_what_to_do(
    server: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_text

    def refused(self: Path, *args: Any, **more: Any) -> str:
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(self))
        return read(self, *args, **more)

    monkeypatch.setattr(Path, "read_text", refused)
    found = find_rapl(server["root"])
    assert isinstance(found, str)
    assert "may only be read by root" in found
    assert "sudo chmod a+r" in found


@pytest.mark.parametrize("text", ["", "nonsense", "-5", "1e9", "\N{SUPERSCRIPT TWO}"])
def test_rapl_that_reads_nonsense(tmp_path: Path, text: str) -> None:
    folder = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    (folder / "energy_uj").write_text(text)
    found = find_rapl(tmp_path)
    assert isinstance(found, str)
    assert "cannot be read" in found


def test_rapl_that_vanishes(tmp_path: Path) -> None:
    folder = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = rapl(tmp_path)
    (folder / "energy_uj").unlink()
    with pytest.raises(MeterError, match="cannot be read"):
        meter.joules()


def test_no_meter_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sanderling.measure.energy.nvml.find_nvml", lambda: "NVML: there is no NVIDIA driver")
    meter, why = open_meter(None, tmp_path)
    assert meter is None
    assert "RAPL" in why
    assert "no NVIDIA driver" in why


def program(tmp_path: Path, text: str) -> str:
    file = tmp_path / "meter.py"
    file.write_text(text)
    return f"'{sys.executable}' '{file}'"


STEADY = """
import time
while True:
    print(WATTS, flush=True)
    time.sleep(0.02)
"""


@pytest.mark.parametrize("shown, watts", [("12.5", 12.5), ("'  40 W'", 40.0), ("'1e1 watts'", 10.0)])
def test_a_program_that_prints_watts(tmp_path: Path, shown: str, watts: float) -> None:
    with PowerMeter(program(tmp_path, STEADY.replace("WATTS", shown))) as meter:
        start, before = time.monotonic(), meter.joules()
        time.sleep(0.5)
        taken = time.monotonic() - start
        assert meter.joules() - before == pytest.approx(watts * taken, rel=0.05)
        assert idle_watts(meter, 0.2) == pytest.approx(watts, rel=0.05)


def test_power_that_changes_is_integrated(tmp_path: Path) -> None:
    """A ramp from 0 W by 100 W a second: 50 J in its first second, by the times that it prints itself."""
    text = (
        "import time\nt = time.monotonic()\n"
        "while True:\n    print(100 * (time.monotonic() - t), flush=True)\n    time.sleep(0.01)\n"
    )
    with PowerMeter(program(tmp_path, text)) as meter:
        time.sleep(1.0)
        first = meter.joules()
        time.sleep(0.5)
        second = meter.joules()
    watts = math.sqrt(2 * 100 * first)  # E = P² / (2 · slope), whenever it was read
    assert second - first == pytest.approx(0.5 * (watts + 25), rel=0.1)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "ended by itself, with exit code 0"),
        ("import sys; sys.exit('no such plug')", "exit code 1 (its last words: no such plug)"),
        ("import time; time.sleep(60)", "printed nothing within 0.6 s"),
        ("import time; print('watt is it', flush=True); time.sleep(60)", "printed 'watt is it'"),
        ("import time; print('nan', flush=True); time.sleep(60)", "printed 'nan'"),
        ("import time; print('-3', flush=True); time.sleep(60)", "printed '-3'"),
        ("import time; print('1,5', flush=True); time.sleep(60)", "printed '1,5'"),
        ("import time; print('9' * 400, flush=True); time.sleep(60)", "expected a number of watts"),
    ],
)  # fmt: skip
def test_a_program_that_is_no_meter(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MeterError) as caught:
        PowerMeter(program(tmp_path, text), patience=0.6 if "60)" in text and "print" not in text else 5.0)
    assert said in str(caught.value)
    assert caught.value.where == "--power-meter"


@pytest.mark.parametrize(
    "then, said",
    [
        ("sys.exit(3)", "exit code 3"),
        ("time.sleep(60)", "nothing for"),
        ("print('?', flush=True); time.sleep(60)", "'?'"),
    ],
)  # fmt: skip
def test_a_program_that_stops_being_one(tmp_path: Path, then: str, said: str) -> None:
    text = f"import sys, time\nprint(5, flush=True)\ntime.sleep(0.3)\n{then}\n"
    with PowerMeter(program(tmp_path, text), patience=0.8) as meter:
        assert meter.joules() >= 0
        time.sleep(1.5)
        with pytest.raises(MeterError, match=said):
            meter.joules()


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(MeterError, match="cannot be started"):
        PowerMeter("/no/such/program --watts")
    with pytest.raises(UsageError, match="cannot be understood"):
        PowerMeter("'open")
    with pytest.raises(UsageError, match="is empty"):
        PowerMeter("  ")


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="groups of processes are POSIX's")
def test_what_a_program_started_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    text = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "while True:\n    print(1, flush=True)\n    time.sleep(0.05)\n"
    )
    with PowerMeter(program(tmp_path, text)):
        child = int(note.read_text())
        os.kill(child, 0)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.02)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # nobody may be there to fetch its end


class Counts:
    """A meter that says what it is told to."""

    name = "made up"

    def __init__(self, *, counts_cpu: bool = True) -> None:
        self.counts_cpu = counts_cpu

    def joules(self) -> float:
        return 1.0

    def close(self) -> None:
        pass

    def __enter__(self) -> Counts:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_energy_of_a_call() -> None:
    found = energy(Steady(calls=400, seconds=2.0, joules=100.0), 20.0, Counts())
    assert found is not None
    assert found.joules == 0.25  # 100 J / 400
    assert found.above_idle == pytest.approx((100 - 2 * 20) / 400)
    assert found.watts == 50


def test_a_meter_that_does_not_move_measures_nothing() -> None:
    with pytest.raises(MeterError, match="counted nothing"):
        energy(Steady(calls=400, seconds=2.0, joules=0.0), 0.0, Counts())


def test_an_idle_gpu_is_not_what_ran_the_model() -> None:
    meter = Counts(counts_cpu=False)
    assert energy(Steady(calls=9, seconds=2.0, joules=101.0), 50.0, meter) is None
    assert energy(Steady(calls=9, seconds=2.0, joules=200.0), 50.0, meter) is not None


def test_several_meters_are_added() -> None:
    both = Together([Counts(), Counts(counts_cpu=False)])
    assert both.joules() == 2.0
    assert both.counts_cpu
    assert not Together([Counts(counts_cpu=False)]).counts_cpu


class FakeNvml:
    """NVML with two GPUs, of which the first is too old to count."""

    class NVMLError(Exception):
        pass

    class NVMLError_LibraryNotFound(NVMLError):  # noqa: N801 - NVML's name
        pass

    millijoules = 5_000_000

    def nvmlDeviceGetTotalEnergyConsumption(self, device: int) -> int:  # noqa: N802
        if device == 0:
            raise self.NVMLError("Not Supported")
        return self.millijoules

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return {
            "nvmlInit": lambda: None,
            "nvmlShutdown": lambda: None,
            "nvmlDeviceGetCount": lambda: 2,
            "nvmlDeviceGetHandleByIndex": lambda number: number,
            "nvmlDeviceGetName": lambda device: f"GPU {device}",
        }[name]


def test_nvml_counts_the_gpus_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    library = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", library)
    with find_nvml() as meter:  # type: ignore[union-attr]
        assert isinstance(meter, Nvml)
        assert meter.name == "NVML: GPU 1"
        assert not meter.counts_cpu
        library.millijoules += 1500
        assert meter.joules() == 1.5


def test_a_real_meter_counts_what_running_takes() -> None:
    """More work takes more energy than none: on whatever this machine has."""
    meter, why = open_meter()
    if meter is None or not meter.counts_cpu:
        pytest.skip(f"NO REAL ENERGY METER HERE: {why or meter.name + ' counts no processor'}")
    with meter:
        idle = idle_watts(meter, 1.0)
        start, before = time.monotonic(), meter.joules()
        while time.monotonic() - start < 1.0:
            sum(i * i for i in range(10_000))
        busy = (meter.joules() - before) / (time.monotonic() - start)
    assert 0 < idle < busy
