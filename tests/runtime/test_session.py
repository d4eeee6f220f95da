"""The session: NumPy in, NumPy out."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.errors import (
    FormatError,
    InputMismatch,
    RecipeError,
    RunError,
    UnsupportedOperator,
    UsageError,
)
from sanderling.runtime.session import Session
from sanderling.tflite import read
from tests.engines import models
from tests.models import classifier, save

X = np.array([[1, 2, 3, 4]], np.float32)


def test_one_array_in_one_array_out(tmp_path: Path) -> None:
    with Session(models.save(models.add_one(), tmp_path)) as session:
        got = session(X)
        assert isinstance(got, np.ndarray)
        np.testing.assert_array_equal(got, X + 1)
        np.testing.assert_array_equal(session(X.tolist()), X + 1)
        np.testing.assert_array_equal(session(x=X)["y"], X + 1)
        assert session(np.zeros((3, 4), np.float32)).shape == (3, 4)  # type: ignore[union-attr]


def test_several_inputs_and_outputs_go_by_name(tmp_path: Path) -> None:
    session = Session(str(models.save(models.two_by_two(), tmp_path)))
    for got in (
        session(X, 2 * X),
        session({"b": 2 * X, "a": X}),
        session(a=X, b=2 * X),
        session({"a": X}, b=2 * X),
    ):
        assert list(got) == ["sum", "product"]
        np.testing.assert_array_equal(got["sum"], 3 * X)
        np.testing.assert_array_equal(got["product"], 2 * X * X)
    assert [p.name for p in session.inputs] == ["a", "b"]
    assert [p.name for p in session.outputs] == ["sum", "product"]
    session.close()


def test_wrong_names_are_answered_with_the_right_ones(tmp_path: Path) -> None:
    with Session(models.save(models.two_by_two(), tmp_path)) as session:
        with pytest.raises(InputMismatch, match=r"model: there is no input 'c'; the inputs are: a, b"):
            session({"a": X, "c": X})
        with pytest.raises(InputMismatch, match="input 'b' is missing"):
            session(a=X)
        with pytest.raises(InputMismatch, match="got 1 inputs in order, expected 2"):
            session(X)
        with pytest.raises(InputMismatch, match="got 1 inputs in order and 1 by name, expected 2"):
            session(X, b=X)
        with pytest.raises(InputMismatch, match="model: input 'a' has shape"):
            session(X[0], X)


def test_placement_has_a_row_per_operator(tmp_path: Path) -> None:
    with Session(models.save(models.two_by_two(), tmp_path)) as session:
        assert [(row.index, row.operator, row.engine) for row in session.placement] == [
            (0, "ADD", "litert"),
            (1, "MUL", "litert"),
        ]
        assert all(row.reason for row in session.placement)


def test_a_model_edited_in_memory_is_run_as_edited(tmp_path: Path) -> None:
    model = read(models.save(models.add_one(), tmp_path))
    tensors = list(model.main.tensors)
    tensors[1] = replace(tensors[1], data=np.full((1, 4), 10, np.float32))
    edited = model.with_main(replace(model.main, tensors=tuple(tensors)))
    session = Session(edited)
    temporary = session.model.source
    assert temporary is not None
    np.testing.assert_array_equal(session(X), X + 10)
    session.reset()
    session.close()
    assert not temporary.exists()


def test_state_is_kept_until_reset(tmp_path: Path) -> None:
    with Session(models.running_sum()) as session:
        session(X)
        np.testing.assert_array_equal(session(X), 2 * X)
        session.reset()
        np.testing.assert_array_equal(session(X), X)


def test_closed_sessions_say_so(tmp_path: Path) -> None:
    session = Session(models.save(models.add_one(), tmp_path))
    session.close()
    session.close()
    for use in (lambda: session(X), lambda: session(x=X), session.reset):
        with pytest.raises(RunError, match="the session is closed"):
            use()


def test_threads_share_a_session(tmp_path: Path) -> None:
    session = Session(models.save(models.add_one(), tmp_path))
    wrong: list[int] = []

    def work(number: int) -> None:
        x = np.full((1 + number % 3, 4), number, np.float32)  # resizing in between as well
        wrong.extend(number for _ in range(50) if not np.array_equal(session(x), x + 1))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    session.close()
    assert not wrong


def recipe(folder: Path, **fields: object) -> Path:
    path = folder / "best.json"
    path.write_text(json.dumps({"model": "model.tflite", **fields}))
    return path


def test_a_recipe_file_is_run_as_measured(tmp_path: Path) -> None:
    models.save(models.add_one(), tmp_path)
    with Session(recipe(tmp_path, engine="litert", threads=2, precision="auto", other=[1])) as session:
        assert (session.engine, session.threads) == ("litert", 2)
        np.testing.assert_array_equal(session(X), X + 1)
    with Session(recipe(tmp_path, threads=2), threads=1) as session:
        assert session.threads == 1


@pytest.mark.parametrize(
    "name", ["../model.tflite", "/etc/passwd", "a/../../model.tflite", "", None, 3, "x\0y"]
)
def test_a_recipe_file_cannot_lead_out_of_its_folder(tmp_path: Path, name: object) -> None:
    folder = tmp_path / "result"
    folder.mkdir()
    models.save(models.add_one(), tmp_path)
    with pytest.raises(RecipeError, match="'model' is"):
        Session(recipe(folder, model=name))


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    folder.mkdir()
    (folder / "model.tflite").symlink_to(models.save(models.add_one(), tmp_path))
    with pytest.raises(RecipeError, match="outside of the recipe's folder"):
        Session(recipe(folder))


@pytest.mark.parametrize(
    "text, message",
    [("{", "is not JSON"), ("[" * 100_000, "is not JSON"), ("[]", "holds a list"),
     ('{"model": "m.tflite", "threads": "2"}', "'threads' is '2', expected int")],
)  # fmt: skip
def test_malformed_recipe_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "best.json"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        Session(path)


def test_what_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(FormatError, match="no such file"):
        Session(tmp_path / "none.tflite")
    with pytest.raises(RecipeError, match="cannot be read"):
        Session(tmp_path / "none.json")
    with pytest.raises(FormatError, match=r"expected .tflite; convert it first: sanderling convert"):
        Session("net.onnx")
    with pytest.raises(UsageError, match="there is no engine 'tpu'"):
        Session(models.save(models.add_one(), tmp_path), engine="tpu")
    with pytest.raises(UnsupportedOperator, match="Mine"):
        Session(models.custom("Mine"))
    assert not list(tmp_path.glob("sanderling-*"))


def test_the_environment_sets_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_THREADS", "2")
    with Session(models.save(models.add_one(), tmp_path)) as session:
        assert session.threads == 2


@pytest.mark.parametrize(
    "wish, sentence",
    [
        ({"threads": "two"}, "threads is 'two', expected a whole number"),
        ({"threads": 1.5}, "threads is 1.5, expected a whole number"),
        ({"trust": "no"}, "trust is 'no', expected True or False"),
        ({"pin": {"SOFTMX": "cpu"}}, "pin has 'SOFTMX', which is no operator of the model"),
    ],
)
def test_a_wrong_wish_is_told_in_a_sentence(tmp_path: Path, wish: dict[str, Any], sentence: str) -> None:
    """Whether there is a GPU that would follow it or not."""
    path = save(classifier(), tmp_path / "m.tflite")
    with pytest.raises(UsageError, match=re.escape(sentence)):
        Session(path, engine="auto", **wish)


def test_debugging_tells_where_every_operator_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SANDERLING_DEBUG", "1")
    path = save(classifier(), tmp_path / "m.tflite")
    with Session(path, engine="litert") as session:
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 + len(session.placement)
        assert lines[0] == "m: litert, chosen by the caller"
        assert lines[1].startswith("  0 CONV_2D ")
