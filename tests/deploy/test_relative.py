"""Every target takes a model and a folder that are named from the working directory."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import sanderling as sd
from sanderling.deploy.names import target_names
from tests.deploy.made import integers

_NEEDED = {"microcontroller": "tflite_micro", "ethos-u": "ethosu", "openvino": "openvino"}
_SLOW = {"web", "hexagon"}  # a browser and an emulator; they are given the same folder


@pytest.mark.parametrize("target", sorted(set(target_names()) - _SLOW))
def test_relative_paths(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = _NEEDED.get(target)
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    model = integers(tmp_path).relative_to(tmp_path)
    done = sd.deploy(model, target, "here/bundle")
    assert done.folder == Path("here/bundle")
    assert (tmp_path / "here" / "bundle" / "bundle.json").is_file()
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["bundle"]
