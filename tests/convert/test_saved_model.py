"""SavedModels, where TensorFlow is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sanderling as sd
from sanderling.convert.conversion import Wishes


def test_without_tensorflow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"")
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "tensorflow" else found(name)
    )
    with pytest.raises(sd.MissingExtra, match=r"pip install 'sanderling\[tensorflow\]'"):
        sd.convert(tmp_path, tmp_path / "out.tflite")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tf = pytest.importorskip("tensorflow")

    class Module(tf.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.weights = tf.Variable(tf.random.normal((8, 3)))

        @tf.function(input_signature=[tf.TensorSpec((None, 8), name="x"), tf.TensorSpec((None, 3), name="y")])
        def two(self, x: Any, y: Any) -> Any:
            return {"sum": x @ self.weights + y, "product": tf.nn.relu(x @ self.weights) * y}

        @tf.function(input_signature=[tf.TensorSpec((None, None, 3), name="z")])
        def mean(self, z: Any) -> Any:
            return {"mean": tf.reduce_mean(z, 1)}

    class Leak(tf.Module):  # type: ignore[misc,name-defined]
        @tf.function(input_signature=[tf.TensorSpec((), tf.string, name="path")])
        def leak(self, path: Any) -> Any:
            return {"content": tf.io.read_file(path)}

    module, leak = Module(), Leak()
    place = tmp_path_factory.mktemp("saved")
    tf.saved_model.save(module, place / "good", signatures={"two": module.two, "mean": module.mean})
    tf.saved_model.save(leak, place / "bad", signatures={"leak": leak.leak})
    return place


def test_signatures(folder: Path, tmp_path: Path) -> None:
    done = sd.convert(folder / "good", tmp_path / "out.tflite", function="two")
    assert sorted(done.model.input_names()) == ["x", "y"]
    assert sorted(done.model.output_names()) == ["product", "sum"]
    with pytest.raises(sd.UsageError, match="several signatures; choose one of: mean, two"):
        sd.convert(folder / "good", tmp_path / "out.tflite")
    with pytest.raises(sd.UsageError, match="input 'z' leaves sizes open"):
        sd.convert(folder / "good", tmp_path / "out.tflite", function="mean")
    assert sd.convert(folder / "good", tmp_path / "out.tflite", function="mean", shape=(1, 7, 3)).ok


def test_what_reads_files_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(sd.ConvertError, match="is a ReadFile, which reaches out of the model"):
        sd.convert(folder / "bad", tmp_path / "out.tflite")


def test_keras_by_tensorflow(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    import keras

    from sanderling.convert.saved_model import by_tensorflow

    x = keras.Input((6,), name="x")
    keras.Model(x, {"out": keras.layers.Dense(2)(x)}).save(tmp_path / "net.keras")
    done = by_tensorflow("load_keras", tmp_path / "net.keras", Wishes())
    assert (done.model.input_names(), done.model.output_names()) == (["x"], ["out"])
    given = np.ones((1, 6), np.float32)
    assert done.reference([given])[0].shape == (1, 2)
