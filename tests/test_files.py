"""Files appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sanderling import files


def test_a_file_gets_its_content_and_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    files.write_text(tmp_path / "a", "é \udc80")
    files.copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == "é ?".encode()
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1


def test_until_it_is_whole_the_old_one_stays(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    with files.whole(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_text() == "old"
        assert next(path.name for path in tmp_path.iterdir() if path != target).startswith(".a.")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_what_goes_wrong_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")

    def interrupted() -> None:
        with files.whole(target) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_disk_that_is_full_at_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a"
    target.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        files.write_text(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
