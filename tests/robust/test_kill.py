"""Killed at any moment, a search goes on where it was: the small version of benchmarks/kill_and_resume.py."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from benchmarks.kill_and_resume import Experiment, descendants, outliving, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the children of a process")
SEARCH = ["digits", "--limit", "60", "--time", "6s"]


def test_killed_twice_and_resumed(tmp_path: Path) -> None:
    trial = Experiment(tmp_path, SEARCH)
    assert trial.kill(0.5, whole=False, after="\nok ")
    assert trial.kill(2.5, whole=True)
    trial.finish(120)
    trial.check_trials()
    trial.check_files()
    assert trial.violations == []
    assert trial.kills[0].stored >= 1


def test_ctrl_c_in_the_middle(tmp_path: Path) -> None:
    trial = Experiment(tmp_path, SEARCH)
    log = tmp_path / "run-00.log"
    process = trial.start(trial.output, log, resume=False)
    wait_for(log, "\nok ", process)
    family = descendants(process.pid)
    assert family, "there was no worker"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    said = log.read_text().splitlines()
    assert said[-1].startswith("interrupted: ")
    assert "run the same command with --resume to go on" in said[-1]
    assert "Traceback" not in log.read_text()
    assert outliving(family, 5) == []
    assert [path for path in trial.output.rglob("*") if path.name.startswith(".")] == []
    resumed = trial.start(trial.output, tmp_path / "final.log", resume=True)
    assert resumed.wait(60) == 0
    trial.check_trials()
    trial.check_files()
    assert trial.violations == []


def test_a_second_search_does_not_disturb_the_first(tmp_path: Path) -> None:
    trial = Experiment(tmp_path, SEARCH)
    first = trial.start(trial.output, tmp_path / "run-00.log", resume=False)
    wait_for(tmp_path / "run-00.log", "asking the original", first)
    second = trial.start(trial.output, tmp_path / "run-01.log", resume=False)
    assert second.wait(30) == 1
    assert (
        "another search is writing into this folder; wait for its end"
        in (tmp_path / "run-01.log").read_text()
    )
    assert first.wait(60) == 0
