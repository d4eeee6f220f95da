"""The study keeps what was finished, whatever ends the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sanderling.compress.recipe import Recipe
from sanderling.errors import SanderlingError, UsageError
from sanderling.search.study import Study
from sanderling.search.trial import Trial


def trial(identity: str) -> Trial:
    return Trial(identity, f"trial {identity}", "m", Recipe("r"), "litert", 1, size_bytes=7, reason="why not")


def test_finished_trials_come_back(tmp_path: Path) -> None:
    study = Study.open(tmp_path / "study.db", "key", resume=False)
    for identity in "abc":
        study.begin(identity, identity)
        study.finish(trial(identity))
    study.begin("d", "d")
    study.abandon("d")
    study.begin("e", "left running")
    study.remember("sizes", [1, 2])
    again = Study.open(tmp_path / "study.db", "key", resume=True)
    assert list(again.finished) == ["a", "b", "c"]
    assert again.finished["b"] == trial("b")
    assert again.recall("sizes") == [1, 2]
    assert again.recall("nothing") is None


def test_without_resume_the_old_study_is_put_aside(tmp_path: Path) -> None:
    study = Study.open(tmp_path / "study.db", "key", resume=False)
    study.begin("a", "a")
    study.finish(trial("a"))
    assert not Study.open(tmp_path / "study.db", "key", resume=False).finished
    old = list(tmp_path.glob("study-*.db"))
    assert len(old) == 1
    assert list(Study.open(old[0], "key", resume=True).finished) == ["a"]


def test_a_study_of_something_else_is_not_resumed(tmp_path: Path) -> None:
    Study.open(tmp_path / "study.db", "this", resume=False)
    with pytest.raises(UsageError, match="another model"):
        Study.open(tmp_path / "study.db", "that", resume=True)


def test_a_file_that_is_no_study(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("this is no database, and long enough to look like a file" * 50)
    with pytest.raises(SanderlingError, match="cannot be opened"):
        Study.open(tmp_path / "study.db", "key", resume=True)


def test_kill_between_storing_and_telling_loses_nothing(tmp_path: Path) -> None:
    code = """
import sys, os, signal
from pathlib import Path
from sanderling.search.study import Study
from tests.search.test_study import trial
study = Study.open(Path(sys.argv[1]), "key", resume=False)
study.begin("a", "a")
study._tell = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
study.finish(trial("a"))
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "study.db")],
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    assert list(Study.open(tmp_path / "study.db", "key", resume=True).finished) == ["a"]
