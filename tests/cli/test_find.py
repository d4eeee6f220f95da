"""From what a user names to what is searched with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling import zoo
from sanderling.errors import FormatError, SampleError, UsageError
from sanderling.search.request import Reading
from sanderling.tasks.spec import TaskSpec
from sanderling.verbs.answering import known_of
from sanderling.verbs.find import as_list, class_names, find_model, find_samples, one_of, zoo_name


def test_a_path_wins_over_a_zoo_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_model("digits") == zoo.model_path("digits")
    monkeypatch.chdir(tmp_path)
    Path("digits").write_bytes(b"mine")
    assert find_model("digits") == Path("digits")
    assert class_names("digits") == ()


def test_a_folder_that_is_no_model_does_not_hide_a_zoo_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = zoo.describe("digits")
    monkeypatch.chdir(tmp_path)
    folder = Path("digits")
    folder.mkdir()
    (folder / "run.log").touch()
    assert find_model("digits") == card.model
    assert class_names("digits") == card.classes
    assert find_samples(None, Reading(), "digits")[0] == card.samples
    assert known_of("digits").labels == card.classes
    assert known_of("./digits") == TaskSpec()
    with pytest.raises(FormatError, match="is a folder"):
        find_model("./digits")  # that is no name
    assert find_samples("digits", Reading(), "digits")[0] == folder  # as samples, a folder is what it says
    (folder / "saved_model.pb").touch()
    assert zoo_name("digits") == ""


def test_a_file_close_by_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "mobilenet_v2.tflite").write_bytes(b"")
    with pytest.raises(FormatError, match=r"did you mean .*mobilenet_v2\.tflite\?"):
        find_model(tmp_path / "mobilenet_v3.tflite")
    with pytest.raises(FormatError, match=r"check the path"):
        find_model(tmp_path / "zzz.tflite")  # only the ending is alike


def test_a_zoo_model_brings_its_samples() -> None:
    samples, reading = find_samples(None, Reading(), "digits")
    card = zoo.describe("digits")
    assert samples == card.samples
    assert reading.labels == card.labels
    assert (reading.mean, reading.std, reading.scale) == (
        card.normalization.mean,
        card.normalization.std,
        card.normalization.scale,
    )


def test_what_is_stated_is_kept() -> None:
    _, reading = find_samples("digits", Reading(labels=Path("own.csv"), mean=1.0), "digits")
    assert reading.labels == Path("own.csv")
    assert (reading.mean, reading.std, reading.scale) == (1.0, None, None)


def test_other_samples_are_passed_on(tmp_path: Path) -> None:
    array = np.zeros((2, 3))
    assert find_samples(array, Reading(), "digits")[0] is array
    assert find_samples(str(tmp_path), Reading(), "some.tflite") == (tmp_path, Reading())
    assert find_samples(None, Reading(), "some.tflite") == (None, Reading())


def test_missing_samples_suggest_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(SampleError, match=r"did you mean .*photos\?"):
        find_samples(str(tmp_path / "photo"), Reading(), "digits")


def test_choices() -> None:
    assert one_of("a", ("a", "b"), "--x") == "a"
    with pytest.raises(UsageError, match=r"--x: there is no 'c'; choose one of: a, b"):
        one_of("c", ("a", "b"), "--x")


def test_no_model_at_all() -> None:
    assert as_list("a") == ["a"]
    with pytest.raises(UsageError, match="no model was given"):
        as_list([])


def test_a_card_says_how_pictures_become_inputs(tmp_path: Path) -> None:
    own = Reading(mean=(127.5,), std=(127.5,), scale=1.0)
    for samples in (tmp_path, tmp_path / "a.PNG"):
        samples.parent.mkdir(exist_ok=True)
        (tmp_path / "a.PNG").touch()
        assert find_samples(samples, Reading(), "face_detection_short_range") == (samples, own)
    for reading in (Reading(std=2.0), Reading(preprocess="file.py:fn")):
        assert find_samples(tmp_path, reading, "face_detection_short_range") == (tmp_path, reading)
    assert find_samples(tmp_path, Reading(), "basic_pitch") == (tmp_path, Reading())
    (tmp_path / "a.npy").touch()  # may hold what is normalized already
    arrays = tmp_path / "a.npy"
    assert find_samples(arrays, Reading(), "face_detection_short_range") == (arrays, Reading())
