"""The output folder: swept, kept to one search, and never mixed up with what was there before."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from sanderling.cli import main
from sanderling.errors import SanderlingError, StorageError, UsageError
from sanderling.search.artifacts import put_aside_best
from sanderling.search.folder import SCRATCH, OutputFolder
from sanderling.search.study import Study


def test_what_a_killed_search_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "candidates").mkdir()
    (tmp_path / SCRATCH / "deep").mkdir(parents=True)
    (tmp_path / SCRATCH / "deep" / "feeds.npz").write_bytes(b"x")
    unfinished = [".best.tflite.ab12", ".report.html.99.tmp", "candidates/.a-1.tflite.77"]
    kept = ["study.db", "best.tflite", ".gitignore", "notes.txt", "candidates/a-1.tflite", "candidates/.keep"]
    for name in (*unfinished, *kept):
        (tmp_path / name).write_text("x")
    with OutputFolder(tmp_path) as folder:
        assert list(folder.scratch.iterdir()) == []
        assert [name for name in unfinished if (tmp_path / name).exists()] == []
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    assert not (tmp_path / SCRATCH).exists()


def test_nothing_is_left_where_nothing_was_written(tmp_path: Path) -> None:
    with OutputFolder(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    with OutputFolder(tmp_path):
        pass
    assert tmp_path.is_dir()


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be locked there")
def test_one_search_at_a_time(tmp_path: Path) -> None:
    with OutputFolder(tmp_path) as first:
        (first.scratch / "in use").write_text("x")
        with pytest.raises(SanderlingError, match="another search is writing into this folder"):
            OutputFolder(tmp_path)
        assert (first.scratch / "in use").exists()
    with OutputFolder(tmp_path):
        pass


def test_an_earlier_winner_is_not_taken_for_this_one(tmp_path: Path) -> None:
    for name in ("best.tflite", "best.json"):
        (tmp_path / name).write_text(name)
    assert {path.name for path in put_aside_best(tmp_path)} == {"earlier-best.tflite", "earlier-best.json"}
    assert (tmp_path / "earlier-best.tflite").read_text() == "best.tflite"
    assert put_aside_best(tmp_path) == []


def test_a_search_without_a_winner_leaves_no_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "best.tflite").write_text("of last week")
    (tmp_path / "mine.txt").write_text("mine")
    command = f"optimize digits --limit 40 --time 3s --max-size 1KB -o {tmp_path}"
    assert main(command.split()) == 1
    assert "the winner of an earlier search is now called earlier-best.tflite" in capsys.readouterr().err
    assert not (tmp_path / "best.tflite").exists()
    assert (tmp_path / "earlier-best.tflite").read_text() == "of last week"
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_study_of_something_else_is_not_resumed(tmp_path: Path) -> None:
    Study.open(tmp_path / "study.db", "of this", resume=False)
    with pytest.raises(UsageError, match="about another model, other samples or another version"):
        Study.open(tmp_path / "study.db", "of that", resume=True)


def test_a_file_that_is_no_study(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("certainly no database, but long enough to look at" * 10)
    with pytest.raises(
        StorageError, match=r"study.db: the study cannot be opened \(file is not a database\)"
    ):
        Study.open(tmp_path / "study.db", "key", resume=True)
    assert (tmp_path / "study.db").exists()


def test_a_damaged_trial(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    study = Study.open(file, "key", resume=False)
    study.begin("a" * 16, "x")
    study._running["a" * 16].set_user_attr("trial", '{"id": 3}')
    with pytest.raises(StorageError, match=r"a trial in the study cannot be read .* leave out --resume"):
        Study.open(file, "key", resume=True)


def test_a_new_study_puts_the_old_one_aside(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    Study.open(file, "key", resume=False).remember("x", 1)
    assert Study.open(file, "other", resume=False).recall("x") is None
    aside = [path for path in tmp_path.iterdir() if path != file]
    assert len(aside) == 1
    with sqlite3.connect(aside[0]) as database:
        assert database.execute("select count(*) from studies").fetchone() == (1,)
    database.close()
