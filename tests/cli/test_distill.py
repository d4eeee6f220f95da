"""``sanderling distill``: from two files and samples to a third file, and what is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling import tflite
from sanderling.cli import main
from sanderling.compress.learning.stream import blocks
from tests.compress.transformer_nets import transformer
from tests.models import classifier, save

pytest.importorskip("torch", reason="the extra 'train' is not installed")


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str, str]:
    teacher = save(transformer(4), tmp_path / "teacher.tflite")
    other = save(classifier(), tmp_path / "other.tflite")
    values = np.random.default_rng(0).standard_normal((40, 6, 8)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", x=values)
    return str(teacher), str(other), str(tmp_path / "samples.npz")


def test_layers_go_and_the_rest_learns(
    files: tuple[str, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher, _, samples = files
    out = tmp_path / "new" / "student.tflite"
    command = ["distill", teacher, teacher, "--samples", samples, "-o", str(out), "--layers", "2"]
    assert main([*command, "--time", "3s", "--rate", "0.02", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["samples"] == [32, 8]
    assert told["after"][0]["cosine"] >= told["before"][0]["cosine"]
    assert told["steps"] > 0
    assert told["size_bytes"] == out.stat().st_size
    assert len(blocks(tflite.read(out).main)) == 2
    assert [file.name for file in out.parent.iterdir()] == ["student.tflite"]
    assert main([*command[:-2], "--time", "1s"]) == 0  # the same model, and a table
    shown = capsys.readouterr().out
    assert "cosine before" in shown
    assert "8 samples that were not trained on" in shown


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["{teacher}", "{other}", "--samples", "{samples}"], "of the same inputs"),
        (["{teacher}", "{teacher}"], "needs samples"),
        (["{teacher}", "{teacher}", "--samples", "{samples}", "--layers", "9"], "from 0 to 4"),
        (["{teacher}", "{teacher}", "--samples", "{samples}", "--limit", "3"], "too few to learn from"),
        (["{teacher}", "nothing.tflite", "--samples", "{samples}"], "no such file"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], told: str, files: tuple[str, str, str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    names = dict(zip(("teacher", "other", "samples"), files, strict=True))
    given = [argument.format(**names) for argument in arguments]
    assert main(["distill", *given, "-o", str(tmp_path / "o.tflite"), "--time", "2s"]) != 0
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not (tmp_path / "o.tflite").exists()


def test_a_sample_that_is_no_number_is_named(files: tuple[str, str, str], tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((20, 6, 8)).astype(np.float32)
    values[7, 2, 1] = np.nan
    with pytest.raises(sd.SampleError, match="the first is row 7"):
        sd.distill(files[0], files[0], {"x": values}, out=tmp_path / "o.tflite")


def test_samples_that_are_all_the_same_end_well(files: tuple[str, str, str], tmp_path: Path) -> None:
    same = {"x": np.ones((12, 6, 8), np.float32)}
    done = sd.distill(files[0], files[0], same, out=tmp_path / "o.tflite", layers=3, steps=8, minutes=1)
    assert np.isfinite([row.cosine for row in done.after]).all()
    assert done.after[0].cosine >= done.before[0].cosine - 1e-6


def test_only_a_tflite_is_written(files: tuple[str, str, str], tmp_path: Path) -> None:
    teacher, _, samples = files
    with pytest.raises(sd.UsageError, match="a name that ends in"):
        sd.distill(teacher, teacher, samples, out=tmp_path / "o.onnx")
    with pytest.raises(sd.UsageError, match="more than 0"):
        sd.distill(teacher, teacher, samples, out=tmp_path / "o.tflite", minutes=0)
