"""What is fetched for trying apps is what was tried before, and whole or not there."""

import base64
import hashlib
import importlib.util
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sanderling.errors import DeployError

TOOL = Path(__file__).parents[2] / "tools" / "phone_tools.py"


@pytest.fixture(scope="module")
def fetch() -> Callable[[str, str, Path], None]:
    spec = importlib.util.spec_from_file_location("phone_tools", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fetch  # type: ignore[no-any-return]


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program in npm's place that gives an archive, whose digest this is."""
    archive = tmp_path / "archive.tgz"
    with tarfile.open(archive, "w:gz") as target:
        for name in ("package/bin/run", "package/lib/a.jar"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            target.addfile(entry, io.BytesIO(b"abc"))
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(
        f'#!/bin/sh\ncase "$2" in thing@1) cp {archive} thing-1.tgz;; *) echo 404 >&2; exit 1;; esac\n'
    )
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:/usr/bin:/bin")
    return base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()


def test_an_archive_becomes_a_folder(fetch: Callable[..., None], digest: str, tmp_path: Path) -> None:
    fetch("thing@1", digest, tmp_path / "out" / "thing")
    assert (tmp_path / "out/thing/lib/a.jar").read_text() == "abc"
    assert (tmp_path / "out/thing/bin/run").stat().st_mode & 0o100
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thing"]


def test_another_archive_is_refused(fetch: Callable[..., None], digest: str, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="not the one that was tried"):
        fetch("thing@1", digest[::-1], tmp_path / "out" / "thing")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_fetched_is_said(fetch: Callable[..., None], digest: str, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="npm cannot fetch it: 404"):
        fetch("other@1", digest, tmp_path / "out" / "other")
    assert list((tmp_path / "out").iterdir()) == []
