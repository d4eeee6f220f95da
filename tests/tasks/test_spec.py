"""Tasks as data: JSON both ways, words, and one sentence for what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling import fields
from sanderling.errors import UsageError
from sanderling.tasks.answer import find_task, task_names
from sanderling.tasks.input_kind import find_kind, kind_names
from sanderling.tasks.inputs.image import ImageInput
from sanderling.tasks.labels import fit_labels, read_labels
from sanderling.tasks.spec import (
    Crop,
    TaskSpec,
    crop_from_words,
    from_json,
    from_words,
    read_spec,
)

numbers = st.floats(0.5, 300, allow_nan=False)
images = st.builds(
    ImageInput, mean=st.tuples(numbers), std=st.tuples(numbers),
    resize=st.sampled_from(["stretch", "letterbox", "crop", "keep"]), central=st.floats(0.1, 1),
    colour=st.sampled_from(["rgb", "bgr", "grey"]), fill=st.integers(0, 255), invert=st.booleans(),
)  # fmt: skip
crops = st.builds(
    Crop, model=st.just("faces"), scale=numbers, level=st.none() | st.just((0, 1)), most=st.integers(1, 9)
)
specs = st.builds(
    TaskSpec, name=st.just("classify"), inputs=st.lists(images, max_size=2).map(tuple),
    options=st.fixed_dictionaries({}, optional={"top": st.integers(1, 9), "least": st.floats(0, 1)}),
    labels=st.lists(st.text(max_size=5), max_size=3).map(tuple), crop=st.none() | crops,
)  # fmt: skip


@given(specs)
def test_json_both_ways(spec: TaskSpec) -> None:
    again = from_json(json.loads(json.dumps(spec.to_json())), "a test")
    assert again.to_json() == spec.to_json()
    assert (again.inputs, again.labels, again.crop) == (spec.inputs, spec.labels, spec.crop)
    assert dict(again.options) == dict(spec.options)


@pytest.mark.parametrize("name", task_names())
def test_every_task_is_what_its_file_says(name: str) -> None:
    task = find_task(name)
    assert task.name == name
    assert task.takes in kind_names()
    assert fields.to_json(task.options()) == {}  # every setting has a default
    assert task.what


@pytest.mark.parametrize("name", kind_names())
def test_every_kind_is_what_its_file_says(name: str) -> None:
    kind = find_kind(name)
    assert kind.name == name
    assert fields.to_json(kind.settings()) == {}
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in kind.suffixes)


@pytest.mark.parametrize(
    "value, sentence",
    [
        ({"task": "clasify"}, "there is no task 'clasify'; did you mean 'classify'?"),
        ({"tasks": "classify"}, "there is no key 'tasks'; did you mean 'task'?"),
        ({"task": "classify", "options": {"tops": 1}}, "there is no setting 'tops'; did you mean 'top'?"),
        ({"task": "classify", "options": {"top": 1.5}}, "top: got 1.5, expected a whole number"),
        ({"task": "classify", "options": {"top": True}}, "top: got True, expected a whole number"),
        ({"task": "classify", "options": {"least": float("nan")}}, "least: got nan, expected a number"),
        ({"options": {"top": 1}}, "options must be an object, and belong to a task"),
        ({"inputs": [{"kind": "imag"}]}, "there is no kind of input 'imag'; did you mean 'image'?"),
        ({"inputs": [{"kind": "image", "resize": "fit"}]}, "choose one of: stretch, letterbox, crop, keep"),
        ({"inputs": [{"kind": "image", "std": [0], "mean": [0]}]}, "std must not be zero"),
        ({"inputs": [{"kind": "image", "std": [1]}]}, "mean and std go together, mean is missing"),
        ({"inputs": {"kind": "image"}}, "inputs must be a list"),
        ({"labels": "../names.txt"}, "labels '../names.txt' must name a file beside it"),
        ({"labels": [1]}, "labels must be a list of names"),
        ({"task": "custom", "options": {"function": "evil.py:fn"}}, "a file cannot name code to be run"),
        ({"crop": "faces"}, "expected an object"),
        ([], "got list, expected an object"),
    ],
)
def test_what_does_not_fit_is_one_sentence(value: Any, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_json(value, "card.json")
    assert sentence in str(caught.value)
    assert "card.json" in str(caught.value) or "--task" in str(caught.value)


def test_words() -> None:
    spec = from_words("classify:top=3,mean=123.7,116.3,103.5,std=58,57,57,resize=crop,central=0.875")
    assert spec.name == "classify"
    assert spec.options == {"top": 3}
    image = ImageInput((123.7, 116.3, 103.5), (58.0, 57.0, 57.0), resize="crop", central=0.875)
    assert spec.inputs == (image,)
    assert from_words("detect").inputs == ()
    assert from_words("my.py:fn").options == {"function": "my.py:fn"}
    assert crop_from_words("a:b.tflite") == Crop("a:b.tflite")
    assert crop_from_words("faces:scale=2,level=0,1") == Crop("faces", scale=2.0, level=(0, 1))


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("classify:3", "got '3', expected key=value"),
        ("classify:resise=crop", "classify has no setting 'resise'; did you mean 'resize'?"),
        ("classify:top=many", "top: got 'many', expected a whole number"),
        ("classify:central=2", "central is a share from 0 to 1, got 2"),
        ("nothere.json", "cannot be read"),
    ],
)
def test_wrong_words_are_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence.replace("?", r"\?")):
        from_words(text)


def test_more_trusted_settings_go_over_less_trusted_ones() -> None:
    card = TaskSpec("classify", (ImageInput((1.0,), (2.0,)),), {"output": 1, "top": 9}, ("a",))
    asked = from_words("classify:top=2,invert=true")
    both = asked.over(card)
    assert both.inputs == (ImageInput((1.0,), (2.0,), invert=True),)
    assert both.options == {"output": 1, "top": 2}
    assert both.labels == ("a",)
    assert from_words("embed").over(card).options == {}  # options of another task


def test_a_file_with_labels_beside_it(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    (tmp_path / "task.json").write_text('{"task": "classify", "labels": "names.txt"}')
    assert read_spec(tmp_path / "task.json").labels == ("cat", "dog")
    (tmp_path / "best.json").write_text('{"schema_version": 1, "task": {"name": "segment", "metric": "x"}}')
    assert read_spec(tmp_path / "best.json").name == "segment"


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("a.txt", "cat\ndog", ("cat", "dog")),
        ("a.txt", "0: cat\n2: dog\n", ("cat", "", "dog")),
        ("a.txt", "0 cat\n1 big dog\n", ("cat", "big dog")),
        ("a.txt", "\ufeffcat\n\ndog", ("cat", "", "dog")),
        ("a.csv", "index,label\n1,dog\n0,cat", ("cat", "dog")),
        ("a.json", '["cat", "dog"]', ("cat", "dog")),
        ("a.json", '{"0": ["n01", "cat"], "1": ["n02", "dog"]}', ("cat", "dog")),
    ],
)
def test_label_files(tmp_path: Path, name: str, text: str, expected: tuple[str, ...]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_labels(tmp_path / name) == expected


def test_a_label_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(UsageError, match="is no text"):
        read_labels(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_text("\n\n")
    with pytest.raises(UsageError, match="holds no names"):
        read_labels(tmp_path / "b.txt")


def test_labels_with_and_without_background() -> None:
    thousand = tuple(str(i) for i in range(1000))
    assert fit_labels(thousand, 1001)[0][:2] == ("background", "0")
    assert fit_labels(("???", *thousand), 1000)[0] == thousand
    names, note = fit_labels(("a", "b", "c"), 9)
    assert names == ()
    assert "there are 3, and the model has 9 classes" in note
