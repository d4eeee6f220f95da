"""A disk that fills up ends a search with one sentence, and what was measured is still there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sanderling import zoo
from sanderling.cli import main
from sanderling.errors import StorageError
from sanderling.search import workshop
from sanderling.search.study import Study

ROOT = Path(__file__).parents[2]
SEARCH = "optimize digits --limit 40 --time 10s -o"


def _may_mount() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None or os.geteuid() != 0:
        return False
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="a small file system can only be mounted as root on Linux")
def test_a_really_full_disk(tmp_path: Path) -> None:
    """300 KB suffice for the study, not for the first candidate. With more space the search goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    start = "import sys; from sanderling.cli import main; sys.exit(main())"
    search = f"{sys.executable} -c '{start}' {SEARCH} {disk}/out"
    script = f"""
        mount -t tmpfs -o size=300k none {disk} || exit 99
        {search}; echo first $?; find {disk} -name '.*'; ls {disk}
        mount -o remount,size=50m {disk}
        {search} --resume; echo second $?
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script],
        capture_output=True, text=True, env=environment, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "first 1\n" in done.stdout
    assert "second 0\n" in done.stdout, done.stderr
    assert "/." not in done.stdout, "hidden files were left"
    sentence = next(line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert "cannot be written (No space left on device)" in sentence
    assert "free some space, then run the same command with --resume" in sentence
    assert "Traceback" not in done.stderr
    assert "1 trial is kept" in sentence
    assert "known from the study" in done.stderr


@pytest.fixture
def small_databases() -> Iterator[Callable[[int], None]]:
    """Bounds every database that is opened from now on: SQLite itself then says that the disk is full."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    most = [1 << 30]

    def limit(connection: sqlite3.Connection, record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={most[0]}")

    event.listen(Engine, "connect", limit)
    yield lambda pages: most.__setitem__(0, pages)
    event.remove(Engine, "connect", limit)


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert lines == err.splitlines()[-1:]
    return lines[0]


def test_a_study_that_cannot_be_made(
    tmp_path: Path, small_databases: Callable[[int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    small_databases(5)
    out = tmp_path / "out"
    assert main([*SEARCH.split(), str(out)]) == 1
    sentence = one_sentence(capsys)
    assert "study.db: the study cannot be opened (database or disk is full); free some space" in sentence
    assert not out.exists()


def test_a_study_that_cannot_grow(tmp_path: Path, small_databases: Callable[[int], None]) -> None:
    file = tmp_path / "study.db"
    Study.open(file, "key", resume=False).remember("before", 1)
    small_databases(1)  # no smaller than it is
    study = Study.open(file, "key", resume=True)
    with pytest.raises(
        StorageError, match=r"cannot be written \(database or disk is full\); free some space"
    ):
        study.remember("much", "x" * 1_000_000)
    small_databases(1 << 30)
    again = Study.open(file, "key", resume=True)
    assert again.recall("before") == 1
    assert again.recall("much") is None


def test_no_space_for_the_samples_to_calibrate_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(feeds: object, path: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workshop, "save_feeds", full)
    assert main([*SEARCH.split(), str(tmp_path / "out")]) == 1
    sentence = one_sentence(capsys)
    assert sentence.startswith(f"error: {tmp_path / 'out'}: cannot be written to (No space left on device); ")
    assert "1 trial is kept: free some space" in sentence


def test_the_report_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(data: object, folder: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sanderling.report.result.write_report", full)
    assert main(["optimize", "digits", "--limit", "40", "--time", "3s", "-o", str(tmp_path / "out")]) == 1
    assert "the report cannot be written (No space left on device); free some space" in one_sentence(capsys)


def test_a_model_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sanderling import tflite

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    model = tflite.read(zoo.describe("digits").model)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="No space left on device"):
        tflite.write(model, tmp_path / "copy.tflite")
    assert list(tmp_path.iterdir()) == []
