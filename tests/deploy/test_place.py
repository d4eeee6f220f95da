"""A bundle's folder is whole, or not there at all."""

import os
from pathlib import Path

import pytest

from sanderling.deploy.place import new_folder
from sanderling.errors import DeployError


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "bundle"
    with new_folder(target) as place:
        (place / "file").write_text("x")
        assert not target.exists()
    assert [p.name for p in target.iterdir()] == ["file"]
    assert [p.name for p in target.parent.iterdir()] == ["bundle"]


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    with new_folder(target) as place:
        (place / "file").write_text("x")
    assert (target / "file").exists()


def test_nothing_is_left_where_building_fails(tmp_path: Path) -> None:
    target = tmp_path / "bundle"

    def build() -> None:
        with new_folder(target) as place:
            (place / "file").write_text("x")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        build()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_is_there_stays(tmp_path: Path, what: str) -> None:
    target = tmp_path / "bundle"
    if what == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    words = "is a file" if what == "file" else "is not empty"
    with pytest.raises(DeployError, match=words), new_folder(target):
        raise AssertionError("nothing must be built")
    assert (target if what == "file" else target / "mine").read_text() == "mine"


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(DeployError, match="cannot be written") as caught,
        new_folder(tmp_path / "file" / "bundle"),
    ):
        raise AssertionError("nothing must be built")
    assert "-o" in (caught.value.hint or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_locked_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DeployError, match="Permission denied"), new_folder(tmp_path / "bundle"):
        raise AssertionError("nothing must be built")


def test_a_relative_place_is_built_in_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with new_folder(Path("a/b")) as folder:
        assert folder.is_absolute()
    assert (tmp_path / "a" / "b").is_dir()
