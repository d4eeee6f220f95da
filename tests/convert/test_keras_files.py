"""Files that are no honest Keras models: one sentence each, and nothing in them is run."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import sanderling as sd
from sanderling.convert.keras.archive import check
from tests.convert.networks import stacked


def saved(folder: Path, ending: str = ".keras") -> Path:
    path = folder / f"model{ending}"
    stacked(keras.Input((4,)), layers.Dense(3, name="dense")).save(path)
    return path


def rewritten(path: Path, change: Callable[[dict[str, Any]], object], entry: str = "config.json") -> Path:
    """Changes the JSON of an archive."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    value = json.loads(content[entry])
    change(value)
    content[entry] = json.dumps(value).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def with_weights(path: Path, write: Callable[[h5py.File], object]) -> Path:
    """Puts other weights into an archive."""
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        write(file)
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", held.getvalue())
    return path


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("ending", [".keras", ".h5", ".hdf5"])
def test_a_pickle_is_not_opened(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{ending}"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(sd.FormatError, match="a pickle, which is never opened"):
        sd.convert(path, tmp_path / "out.tflite")
    assert not (tmp_path / "sprung").exists()
    assert not (tmp_path / "out.tflite").exists()


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("cut", [0, 3, 100, 2000])
def test_a_cut_file_is_told(ending: str, cut: int, tmp_path: Path) -> None:
    path = saved(tmp_path, ending)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(sd.FormatError):
        check(path)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_an_honest_file_passes(ending: str, tmp_path: Path) -> None:
    check(saved(tmp_path, ending))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_lambda_layer_is_named(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{ending}"
    stacked(keras.Input((4,)), layers.Lambda(lambda x: x * 2, name="doubled")).save(path)
    with pytest.raises(sd.ConvertError, match="layer 'doubled' is a Lambda, which holds Python code"):
        sd.convert(path, tmp_path / "out.tflite")


def test_a_lambda_inside_of_another_layer(tmp_path: Path) -> None:
    inner = layers.Lambda(lambda x: x * 2, name="inner")
    model = stacked(keras.Input((3, 4)), layers.TimeDistributed(inner))
    model.save(tmp_path / "model.keras")
    with pytest.raises(sd.ConvertError, match="layer 'inner' is a Lambda"):
        check(tmp_path / "model.keras")


def dense(config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = config["config"]["layers"][1]
    return found


@pytest.mark.parametrize(
    "change, says",
    [
        ({"module": "os", "class_name": "system"}, "a system of os, a class that is not in the file"),
        ({"registered_name": "mine>Own"}, "of mine, a class that is not in the file"),
        ({"class_name": "TFSMLayer"}, "reads another folder"),
        ({"class_name": "TorchModuleWrapper"}, "holds a pickle"),
    ],
)
def test_foreign_classes_are_refused(change: dict[str, str], says: str, tmp_path: Path) -> None:
    path = rewritten(saved(tmp_path), lambda config: dense(config).update(change))
    with pytest.raises(sd.ConvertError, match=says):
        check(path)


def test_a_vocabulary_of_another_file_is_refused(tmp_path: Path) -> None:
    path = rewritten(saved(tmp_path), lambda config: dense(config)["config"].update(vocabulary="/etc/passwd"))
    with pytest.raises(sd.ConvertError, match="takes its vocabulary from '/etc/passwd'"):
        check(path)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(8 << 20))
    with pytest.raises(sd.FormatError, match="would unpack to 8"):
        check(path)


def test_arrays_that_are_not_there(tmp_path: Path) -> None:
    def write(file: h5py.File) -> None:
        file.create_dataset("layers/dense/vars/0", shape=(1 << 20, 1 << 10), dtype="f4", chunks=(64, 64))

    with pytest.raises(sd.FormatError, match="declares arrays of 4294967296"):
        check(with_weights(saved(tmp_path), write))


def test_links_out_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(16))

    def external(file: h5py.File) -> None:
        file.create_dataset("v", shape=(4,), dtype="f4", external=[(str(tmp_path / "secret"), 0, 16)])

    def link(file: h5py.File) -> None:
        file["v"] = h5py.ExternalLink(str(tmp_path / "secret"), "/x")

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret"), "x", (4,))
        file.create_virtual_dataset("v", layout)

    for write, says in (
        (external, "keeps its data in another file"),
        (link, "is a link to another file"),
        (virtual, "keeps its data in another file"),
    ):
        with pytest.raises(sd.FormatError, match=says):
            check(with_weights(saved(tmp_path), write))


def test_a_config_without_the_weights_it_asks_for(tmp_path: Path) -> None:
    def huge(config: dict[str, Any]) -> None:
        dense(config)["config"]["units"] = 1 << 28
        dense(config)["build_config"] = {"input_shape": [None, 4]}

    with pytest.raises(sd.FormatError, match="describes weights of more than"):
        sd.convert(rewritten(saved(tmp_path), huge), tmp_path / "out.tflite")


def test_weights_alone_are_told(tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    stacked(keras.Input((4,)), layers.Dense(3)).save_weights(path)
    with pytest.raises(sd.FormatError, match="holds weights but no architecture"):
        check(path)


def test_deep_json(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "[" * 50_000 + "]" * 50_000)
    with pytest.raises(sd.FormatError, match="its config is not JSON"):
        check(path)


def test_damaged_weights(tmp_path: Path) -> None:
    """Whatever the damage, it ends in one of our errors, or in a model that is proven."""
    path = saved(tmp_path)
    rng = np.random.default_rng(3)
    content = bytearray(path.read_bytes())
    for place in rng.integers(0, len(content), 40):
        content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(bytes(content))
    with pytest.raises(sd.SanderlingError):
        sd.convert(path, tmp_path / "out.tflite")
