"""Whatever a user gives: one clear sentence, the right exit code, and nothing half-written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sanderling.cli import main
from tests.robust.made import make_code, make_models, make_samples

# What is typed after ``sanderling``, the exit code, and what the sentence must say.
MODELS = [
    ("optimize missing.tflite", 1, "missing.tflite: there is no such file or zoo model"),
    ("optimize empty.tflite", 1, "empty.tflite: the file is empty"),
    ("optimize nothing", 1, "nothing: is a folder, expected a .tflite file"),
    ("optimize cut.tflite", 1, "cut.tflite: byte 10032 is needed, the file has 5040; the file is damaged"),
    ("optimize head.tflite", 1, "head.tflite: is not a .tflite model"),
    ("optimize picture.tflite", 1, "picture.tflite: is not a .tflite model"),
    ("optimize newer.tflite", 1, "newer.tflite: has schema version 4, this version reads 3; update"),
    ("optimize custom.tflite", 1, "LiteRT has no kernel for the custom operator Landmarks2Nowhere"),
    ("optimize zero.tflite", 1, "input 'input' of shape [1, 0] holds no values"),
    ("optimize noinput.tflite", 1, "the model has no inputs to feed"),
    ("optimize net.tflite seven.tflite --samples x.npy", 2, "alternatives must answer the same question"),
    ("optimize net.tflite net.tflite --samples x.npy", 2, "net.tflite: the model is given twice"),
    ("check net.tflite seven.tflite --samples x.npy", 2, "gives outputs of shape [(1, 7)]"),
]
SAMPLES = [
    ("--samples missing", 1, "missing: there are no such samples"),
    ("--samples nothing", 1, "nothing: the folder is empty"),
    ("--samples texts", 1, "sentences feed a model that takes token ids"),
    ("--samples texts/a.txt", 1, "sentences feed a model that takes token ids"),
    ("--samples flat.npy", 1, "flat.npy: an array of shape [40, 30] does not fit input 'x'"),
    ("--samples scalar.npy", 1, "an array of shape [] does not fit input 'x'"),
    ("--samples complex.npy", 1, "takes numbers, got an array of complex64"),
    ("--samples text.npy", 1, "takes numbers, got an array of"),
    ("--samples objects.npy", 1, "holds Python objects, which are never read"),
    ("--samples junk.npy", 1, "is no .npy file, or holds Python objects"),
    ("--samples junk.npz", 1, "cannot read the .npz file"),
    ("--samples cut.npy", 1, "cannot read the .npy file"),
    ("--samples none.npy", 1, "has no rows"),
    ("--samples several.npz", 1, "cannot tell which array feeds input 'x'"),
    ("--samples nan.npy", 1, "nan.npy: NaN or infinity in 1 of 40 rows for input 'x', the first is row 17"),
    ("--samples damaged", 1, "damaged/11.jpg: cannot read the image"),
    ("--samples x.npy --labels short.csv", 1, "got 3 labels for 40 samples; give one per sample"),
    ("--samples pictures --labels half.csv", 1, "10 of 20 samples have no label, the first is 10.jpg"),
    ("--samples x.npy --labels empty.csv", 1, "the label file is empty"),
    ("--samples x.npy --labels binary.csv", 1, "binary.csv: is no text in UTF-8"),
    ("--samples x.npy --labels missing.csv", 1, "missing.csv: cannot be read (No such file or directory)"),
    ("--samples x.npy --std 0", 2, "std and scale not zero"),
    ("--samples x.npy --mean 1,2,3", 2, "got 3 means or stds, input 'x' has 1 channels"),
]
CODE = [
    ("--preprocess missing.py:f", 2, "--preprocess: there is no file missing.py"),
    ("--preprocess user.py:missing", 2, "user.py has no function 'missing'; it has: raising,"),
    ("--preprocess user.py", 2, "expected file.py:function"),
    ("--preprocess syntax.py:f", 2, "syntax.py fails when it is loaded (SyntaxError"),
    ("--preprocess dividing.py:f", 2, "dividing.py fails when it is loaded (ZeroDivisionError"),
    ("--preprocess leaving.py:f", 2, "leaving.py fails when it is loaded (SystemExit: 7)"),
    ("--preprocess user.py:raising", 1, "row 0: preprocess failed (ValueError: no way)"),
    ("--preprocess user.py:leaving", 1, "row 0: preprocess failed (SystemExit: 3)"),
    ("--preprocess user.py:misshapen", 1, "takes float32[1,12,12,1], got float32[3, 3]"),
    ("--preprocess user.py:nothing", 1, "input 'x' takes float32[1,12,12,1]"),
    ("--preprocess user.py:nan", 1, "144 of 144 values for input 'x' are NaN or infinite"),
    ("--metric user.py:metric_raising", 1, "user.py:metric_raising: the metric failed (KeyError: 'x')"),
    ("--metric user.py:metric_leaving", 1, "the metric failed (SystemExit: 3)"),
    ("--metric user.py:metric_nan", 1, "the metric gave nan, a number was expected"),
    ("--metric user.py:metric_text", 1, "the metric failed (ValueError"),
    ("--metric user.py:metric_two", 1, "the metric failed (TypeError"),
    ("--metric user.py:metric_upside_down", 2, "gives a drop of 1 to the original's own answers, expected 0"),
    ("--recipe magic.json", 1, "magic.json: there is no technique 'magic'; the techniques are"),
    ("--recipe cut.json", 1, "cut.json: is not JSON"),
    ("--recipe list.json", 1, "list.json: a recipe is an object with a list of steps"),
    ("--recipe deep.json", 1, "deep.json: is not JSON"),
    ("--recipe nothing", 1, "nothing: cannot be read (Is a directory)"),
]
OPTIONS = [
    ("--threads 0", 2, "--threads: "),
    ("--threads 100000", 2, "--threads: got 100000, expected at most 1024"),
    ("--time 0s", 2, "--time: got '0s', expected a time above 0"),
    ("--seed -1", 2, "seed: got -1, expected 0 or more"),
    ("--limit 0", 2, "--limit: got 0, expected at least 1"),
    ("--task segment", 2, "--task: the outputs (y [1,5]) cannot be read as 'segment'"),
    ("--colour red", 2, "there is no option --colour"),
    ("-o file", 1, "file: the output folder cannot be written to (file is a file); choose another with -o"),
    ("-o file/below", 1, "(file is a file); choose another with -o"),
    pytest.param(
        "-o /proc/x", 1, "/proc/x: the output folder cannot be written to",
        marks=pytest.mark.skipif(not os.path.isdir("/proc"), reason="there is no /proc"),
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    make_models(folder)
    make_samples(folder)
    make_code(folder)
    return folder


@pytest.fixture(autouse=True)
def inside(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)


def refused(command: str, code: int, said: str, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(made.rglob("*"))
    arguments = command.split()
    assert main(arguments) == code, capsys.readouterr()
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:], err
    assert said in lines[-1]
    assert "internal error" not in err
    after = {path for path in made.rglob("*") if "__pycache__" not in path.parts}
    assert after <= before, "something was left behind"


@pytest.mark.parametrize("command, code, said", MODELS)
def test_models(command: str, code: int, said: str, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(command, code, said, made, capsys)


@pytest.mark.parametrize("options, code, said", SAMPLES)
def test_samples(options: str, code: int, said: str, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(f"optimize net.tflite {options} --time 4s", code, said, made, capsys)


@pytest.mark.parametrize("options, code, said", CODE)
def test_code_and_recipes(
    options: str, code: int, said: str, made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(f"optimize net.tflite --samples x.npy {options} --time 4s", code, said, made, capsys)


@pytest.mark.parametrize("options, code, said", OPTIONS)
def test_options(options: str, code: int, said: str, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(f"optimize net.tflite --samples x.npy {options}", code, said, made, capsys)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_only_be_read(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made / "readonly"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o555)
    refused("optimize net.tflite -o readonly/out", 1, "Permission denied", made, capsys)


def test_sizes_that_may_change_need_no_samples(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["optimize", "dynamic.tflite", "--time", "2s", "-o", str(tmp_path / "out")]) == 0
    assert "warning: SYNTHETIC NOISE" in capsys.readouterr().err
    assert (tmp_path / "out" / "best.tflite").exists()
