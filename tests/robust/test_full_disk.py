"""A disk that fills up ends a search with one sentence, and what was measured is still there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sanderling import zoo
from sanderling.cli import main
from sanderling.errors import StorageError
from sanderling.search import workshop

ROOT = Path(__file__).parents[2]
SEARCH = "optimize digits --limit 40 --time 6s -o"


def _may_mount() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None or os.geteuid() != 0:
        return False
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="a small file system can only be mounted as root on Linux")
@pytest.mark.parametrize(
    "size, said",
    [("60k", "the study cannot be opened"), ("300k", "cannot be written (No space left on device)")],
)
def test_a_really_full_disk(size: str, said: str, tmp_path: Path) -> None:
    """60 KB are too few for the study, 300 KB for the first candidate. With more space it goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()
    start = "import sys; from sanderling.cli import main; sys.exit(main())"
    search = f"{sys.executable} -c '{start}' {SEARCH} {disk}/out"
    script = f"""
        mount -t tmpfs -o size={size} none {disk} || exit 99
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
    assert said in sentence
    assert "free some space, then run the same command with --resume" in sentence
    assert "Traceback" not in done.stderr
    if "study" not in said:
        assert "1 trial is kept" in sentence
        assert "known from the study" in done.stderr


@pytest.fixture
def small_database() -> Iterator[None]:
    """SQLite itself says that the disk is full, a little after the study was made."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def limit(connection: object, record: object) -> None:
        connection.execute("PRAGMA max_page_count=29")  # type: ignore[attr-defined]

    event.listen(Engine, "connect", limit)
    yield
    event.remove(Engine, "connect", limit)


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert lines == err.splitlines()[-1:]
    return lines[0]


def test_a_study_that_cannot_grow(
    tmp_path: Path, small_database: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*SEARCH.split(), str(out)]) == 1
    sentence = one_sentence(capsys)
    assert "the study cannot be written (database or disk is full)" in sentence
    assert "free some space, then run the same command with --resume" in sentence
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []
    assert not (out / "best.tflite").exists()


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
    assert main([*"optimize digits --limit 40 --time 3s -o".split(), str(tmp_path / "out")]) == 1
    assert "the report cannot be written (No space left on device); free some space" in one_sentence(capsys)


def test_a_model_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sanderling import tflite

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    model = tflite.read(zoo.describe("digits").model)
    monkeypatch.setattr("sanderling.tflite.write.os.replace", full)
    with pytest.raises(StorageError, match="No space left on device"):
        tflite.write(model, tmp_path / "copy.tflite")
    assert list(tmp_path.iterdir()) == []
