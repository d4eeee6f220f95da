"""The project for Android: its files, and what is refused. See ``test_android_code`` for its code."""

import json
import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling.deploy.android.jvm import off
from sanderling.deploy.app import packed, unpacked
from sanderling.deploy.deploying import Deployed
from sanderling.errors import DeployError, UsageError
from sanderling.tasks.answer import Answer
from sanderling.tflite import read
from sanderling.tflite.metadata import label_names, read_metadata
from tests.models import Net, save

ASSETS, CODE = "app/src/main/assets", "app/src/main/kotlin/deployed"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return sd.deploy("digits", "android", tmp_path_factory.mktemp("android") / "bundle")


def test_it_is_a_project(deployed: Deployed) -> None:
    folder = deployed.folder
    manifest = ElementTree.parse(folder / "app/src/main/AndroidManifest.xml").getroot()
    assert manifest.find("uses-permission") is None
    build = (folder / "app/build.gradle.kts").read_text()
    assert 'applicationId = "com.example.digits"' in build
    assert "implementation(libs.litert.gpu)" in build
    catalog = tomllib.loads((folder / "gradle/libs.versions.toml").read_text())
    assert set(catalog["versions"]) == {row["version"]["ref"] for kind in ("libraries", "plugins")
                                        for row in catalog[kind].values()}  # fmt: skip
    for name in ("settings.gradle.kts", "gradle.properties", "gradle/wrapper/gradle-wrapper.properties"):
        assert (folder / name).is_file()


def test_what_was_not_tried_is_said(deployed: Deployed) -> None:
    told = json.loads((deployed.folder / "bundle.json").read_text())
    assert told["checks"][0]["passed"]
    assert told["checks"][-1]["reason"].startswith("not built here")
    readme = (deployed.folder / "README.md").read_text()
    assert "**Not built here**" in readme
    assert "{{" not in readme
    assert str(Path(sd.__file__).parent) not in json.dumps(told)


def test_the_model_says_what_it_is(deployed: Deployed) -> None:
    model = read(deployed.folder / ASSETS / "model.tflite")
    metadata = read_metadata(model)
    assert metadata is not None
    (image,), (scores,) = metadata.inputs, metadata.outputs
    assert (image.content, image.mean, image.std) == ("image", (0.0,), (255.0,))
    assert scores.label_files == ("labels.txt",)
    assert label_names(model) == tuple("0123456789")


def test_a_table_turns_pixels_into_values(deployed: Deployed) -> None:
    table = unpacked(deployed.folder / ASSETS / "model/pixels.bin", np.dtype(np.float32))
    np.testing.assert_array_equal(table, np.arange(256, dtype=np.float32)[None] / np.float32(255))


@pytest.mark.parametrize(
    "array", [np.float32(3.5), np.zeros((0, 2), np.int64), np.arange(6, dtype=np.int8).reshape(1, 2, 3)]
)
def test_arrays_come_back(array: np.ndarray, tmp_path: Path) -> None:
    array = np.asarray(array)
    (tmp_path / "a.bin").write_bytes(packed(array))
    found = unpacked(tmp_path / "a.bin", array.dtype)
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("name", ["class", "1st", "Ünïcode näme", 'a b;c"$d', "x" * 200])
def test_any_name_gives_an_id(name: str, tmp_path: Path) -> None:
    file = save(Net((1, 8)).dense(4).model(), tmp_path / f"{name}.tflite")
    done = sd.deploy(file, "android", tmp_path / "bundle")
    build = (done.folder / "app/build.gradle.kts").read_text()
    (found,) = re.findall(r'applicationId = "([^"]*)"', build)
    assert re.fullmatch(r"com\.example\.[a-z][a-z0-9_]*", found)
    assert not found.endswith(".class")


@pytest.mark.parametrize("name", ["example", "com.class.x", "com.9.x", "com.exa mple", "../x"])
def test_an_id_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no id of an app"):
        sd.deploy("digits", "android", tmp_path / "bundle", options={"package": name})
    assert not (tmp_path / "bundle").exists()


def test_a_model_without_pictures_is_only_tested(tmp_path: Path) -> None:
    file = save(Net((1, 8)).dense(4).model(), tmp_path / "net.tflite")
    done = sd.deploy(file, "android", tmp_path / "bundle")
    assert any("which the app has no way to give" in note for note in done.bundle["notes"])
    plans = (done.folder / CODE / "Plans.kt").read_text()
    assert "picture = null" in plans
    assert 'const val WHY = "the model takes' in plans


def test_a_compiler_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="there is no such program"):
        sd.deploy("digits", "android", tmp_path / "bundle", options={"kotlinc": "/nowhere/kotlinc"})
    assert not (tmp_path / "bundle").exists()


def test_another_answer_is_off() -> None:
    right = Answer((), {"classes": [{"class": 3, "score": 0.9}, {"class": 1, "score": 0.1}]})
    assert off({"classes": [[3, 0.9], [1, 0.1]]}, right) == 0
    assert off({"classes": [[3, 0.8], [1, 0.1]]}, right) > 1
    assert off({"classes": [[1, 0.9], [3, 0.1]]}, right) > 1
    assert off({"classes": [[3, 0.9]]}, right) == float("inf")
    boxes = Answer((), {"boxes": [{"class": 0, "score": 0.5, "box": [0, 0, 9, 9], "keypoints": []}]})
    assert off({"boxes": [[0, 0.5, 0, 0, 9.04, 9]]}, boxes) <= 1
    assert off({"boxes": []}, boxes) == float("inf")
