"""A cascade at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sanderling.cli import main
from sanderling.cli.show_result import show
from sanderling.report.result import Result
from tests.report.test_cascade_view import report
from tests.runtime.test_cascade_file import INPUTS, cascade


def test_a_result_names_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("best.json", "best-1.tflite", "best-2.tflite", "report.json"):
        (tmp_path / name).touch()
    result = Result(report(), tmp_path)
    show(result)
    out = capsys.readouterr().out
    assert "best-1.tflite" in out
    assert "best-2.tflite" in out
    assert "best.tflite" not in out.replace("best-", "")
    assert result.best is not None
    assert result.best.file == tmp_path / "best.json"


def test_it_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = cascade(tmp_path)
    np.save(tmp_path / "x.npy", INPUTS[0])
    assert main(["run", str(path), str(tmp_path / "x.npy"), "--task", "classify", "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)


@pytest.mark.parametrize("command", ["analyze", "profile", "bench"])
def test_what_looks_at_one_model_says_so(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(cascade(tmp_path))]) == 1
    err = capsys.readouterr().err
    assert "name the model beside it" in err
    assert len(err.strip().splitlines()) == 1


def test_it_is_not_deployed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, bundle = cascade(tmp_path), tmp_path / "bundle"
    for target in ("raspberry-pi", "microcontroller", "web", "android"):
        assert main(["deploy", str(path), "--to", target, "-o", str(bundle)]) == 1
        assert "deploy its parts: best-1.tflite or best-2.tflite" in capsys.readouterr().err
        assert not bundle.exists()
