"""``sanderling convert``, and other frameworks' files where a command takes a model."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from sanderling.cli import main

os.environ.setdefault("KERAS_BACKEND", "jax")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    path = tmp_path_factory.mktemp("keras") / "net.keras"
    x = keras.Input((8,), name="x")
    keras.Model(x, keras.layers.Dense(3, name="y")(x)).save(path)
    return path


def test_a_table_and_a_sentence(net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(net), "-o", str(tmp_path / "net.tflite"), "--shape", "2,8"]) == 0
    out, err = capsys.readouterr()
    assert "matches its source on 8 samples: largest error" in out
    assert "2×3" in out
    assert "SYNTHETIC NOISE" in err
    assert (tmp_path / "net.tflite").is_file()


def test_json_and_samples(net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32))
    arguments = [
        "convert",
        str(net),
        "-o",
        str(tmp_path / "net.tflite"),
        "--samples",
        str(tmp_path / "x.npy"),
    ]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"]
    assert found["proof"]["samples"] == 5
    assert found["proof"]["outputs"][0]["name"] == "y"
    assert found["inputs"] == [{"name": "x", "shape": [1, 8], "dtype": "float32"}]


def test_exit_1_without_a_file(net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "net.tflite"
    code = main(["convert", str(net), "-o", str(out), "--tolerance", "0.000000000001%"])
    assert code in (0, 1)  # a dense layer may come out equal to the last bit
    assert out.exists() is (code == 0)
    assert ("does not match" in capsys.readouterr().out) is (code == 1)


@pytest.mark.parametrize(
    "source, arguments, says, code",
    [
        ("missing.keras", [], "there is no such file", 1),
        ("trap.h5", [], "a pickle, which is never opened", 1),
        ("trap.txt", [], "is nothing that can be converted", 1),
        ("trap.h5", ["--shape", "1,x"], "--shape", 2),
    ],
)
def test_errors_are_one_sentence(
    source: str, arguments: list[str], says: str, code: int, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if source.startswith("trap"):
        (tmp_path / source).write_bytes(pickle.dumps({"weights": 1}))
    assert main(["convert", str(tmp_path / source), "-o", str(tmp_path / "o.tflite"), *arguments]) == code
    err = capsys.readouterr().err
    assert says in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_the_output_must_be_tflite(net: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(net), "-o", str(tmp_path / "net.bin")]) == 2
    assert ".tflite" in capsys.readouterr().err


def test_commands_take_keras_files(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    assert main(["analyze", str(net)]) == 0
    out, err = capsys.readouterr()
    assert "FULLY_CONNECTED" in out
    assert "net.keras was converted to .tflite" in err
    assert main(["analyze", str(net)]) == 0
    assert "was converted" not in capsys.readouterr().err
