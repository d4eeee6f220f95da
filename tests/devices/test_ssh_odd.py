"""Machines reached by ssh that are set up unlike ours: greetings, other shells, paths from home, no room."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from sanderling.cli import main
from sanderling.devices.find import find_device
from sanderling.devices.ssh import Ssh
from sanderling.errors import DeviceError
from sanderling.search.bench import Bench, Run
from tests.devices.conftest import Machine
from tests.engines import models


def python(machine: Machine, folder: Path, text: str) -> str:
    """Returns: the address of the machine with another Python: a script that starts the usual one."""
    file = folder / "python"
    file.write_text(f'#!/bin/sh\n{text}\nexec {machine.folder / "python"} "$@"\n')
    file.chmod(0o755)
    return f"ssh://pi?config={machine.folder / 'client'}&python={file}"


def test_a_greeting_does_not_get_between(machine: Machine, tmp_path: Path) -> None:
    facts = Ssh(python(machine, tmp_path, "echo Welcome to the machine")).facts()
    assert facts.cores == 1.0


def test_unloading_from_a_machine_that_was_switched_off(machine: Machine, tmp_path: Path) -> None:
    path = Path(models.save(models.convolution(8), tmp_path, "net"))
    bench = Bench(device=find_device(machine.url))
    try:
        bench.load(Run(path))
        machine.stop()
        bench.unload(path)
    finally:
        bench.close()


def test_a_python_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("there is no ssh here: install openssh-client")
    (tmp_path / "it's").mkdir()
    own = tmp_path / "it's" / "python"
    own.write_text('#!/bin/sh\necho "$1|$2"\nexit 3\n')
    own.chmod(0o755)
    command = Ssh("ssh://pi")._ssh(["~/it's/python", "a b", "~/c"])[-1]
    monkeypatch.setenv("HOME", str(tmp_path))
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (f"a b|{tmp_path}/c\n", 3)


def test_a_machine_that_cannot_keep_our_worker(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    address = python(machine, tmp_path, f"export SANDERLING_CACHE={tmp_path}/file/cache")
    with pytest.raises(DeviceError, match=r"copying our worker failed .*Not a directory"):
        Ssh(address).facts()


def test_doctor_asks_the_machine(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--device", machine.url, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["device"], found["cores"]) == (True, "ssh://pi", 1.0)
    machine.stop()
    assert main(["doctor", "--device", machine.url]) == 1
    told = capsys.readouterr().err
    assert "cannot be reached" in told
    assert "Traceback" not in told


def test_bench_on_a_machine(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "digits", "--device", machine.url, "--seconds", "1s", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["cores"] == 1.0
    assert found["machine"]["cpu"].startswith("ssh://pi: ")
    assert found["rows"][0]["latency_ms"]["p50"] > 0
    assert found["rows"][0]["peak_memory_bytes"] > 0
    assert main(["bench", "digits", "--device", machine.url, "--power-meter", "true"]) == 2
    assert "measures this machine" in capsys.readouterr().err
