"""A ``best.json`` that holds a cascade is run as one session, and is untrusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling import Session
from sanderling.errors import InputMismatch, ModelError, RecipeError, RunError, UsageError
from sanderling.runtime.cascade_file import read_cascade
from sanderling.tflite import write
from tests.models import Net

INPUTS = [np.random.default_rng(i).standard_normal((1, 6)).astype(np.float32) * 2 for i in range(30)]


def cascade(folder: Path, threshold: float = 0.6, **changes: Any) -> Path:
    """Writes two models and a file that joins them; ``changes`` go into the field ``cascade``."""
    for name, seed in (("best-1", 0), ("best-2", 1)):
        write(Net((1, 6), seed).dense(4).softmax().model(), folder / f"{name}.tflite")
    models = [{"model": f"best-{i}.tflite", "engine": "litert", "threads": 1} for i in (1, 2)]
    value = {"models": models, "rules": [{"threshold": threshold}], **changes}
    path = folder / "best.json"
    path.write_text(json.dumps({"schema_version": 1, "cascade": value}))
    return path


def test_it_is_one_session(tmp_path: Path) -> None:
    path = cascade(tmp_path)
    with Session(path) as session, Session(tmp_path / "best-1.tflite", "litert") as small:
        large = Session(tmp_path / "best-2.tflite", "litert")
        for x in INPUTS:
            first = small(x)
            assert isinstance(first, np.ndarray)
            assert np.array_equal(session(x), first if first.max() >= 0.6 else large(x))
        assert session.calls[0] == len(INPUTS)
        assert 0 < session.calls[1] < len(INPUTS)
        assert [row.index for row in session.placement] == list(range(4))
        assert {row.reason[:12] for row in session.placement} == {"model 1 of 2", "model 2 of 2"}
        assert "60 % sure" in session.reason
        assert repr(session) == "Session('best.json', cascade of 2, engine='litert', threads=1)"
        with pytest.raises(InputMismatch, match="shape"):
            session(np.zeros((1, 5), np.float32))
    with pytest.raises(RunError, match="closed"):
        session(INPUTS[0])


@pytest.mark.parametrize("where", ["threads", "processes"])
def test_it_is_mapped(tmp_path: Path, where: str) -> None:
    with Session(cascade(tmp_path)) as session:
        mapped = list(session.map(INPUTS, 2, where=where))
        assert all(np.array_equal(session(x), y) for x, y in zip(INPUTS, mapped, strict=True))
        with pytest.raises(UsageError, match="not one model that could be cut"):
            session.map(INPUTS, stages=2)


def test_a_caller_may_state_engine_and_threads(tmp_path: Path) -> None:
    with Session(cascade(tmp_path), "litert", 2) as session:
        assert session.threads == 2
    with pytest.raises(UsageError, match="cannot be pinned"):
        Session(tmp_path / "best.json", pin={0: "cpu"})


def test_it_is_loaded_again(tmp_path: Path) -> None:
    with Session(cascade(tmp_path)) as session:
        before = session(INPUTS[0])
        session.rebuild()
        assert np.array_equal(session(INPUTS[0]), before)


ONE = {"model": "best-1.tflite"}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"models": [ONE]}, "a list of 2 to 8 models"),
        ({"models": [ONE] * 9, "rules": [{"threshold": 1}] * 8}, "a list of 2 to 8 models"),
        ({"models": "both"}, "'cascade.models' is 'both'"),
        ({"models": [ONE, "x"]}, r"models\[1\]' is 'x', expected an object"),
        ({"models": [ONE, {"model": "../a.tflite"}]}, r"models\[1\].model.*outside"),
        ({"models": [ONE, {"model": "/etc/passwd"}]}, "outside"),
        ({"models": [ONE, {"model": "a\0b"}]}, "expected a file name"),
        ({"models": [ONE, {"model": 3}]}, "expected a file name"),
        ({"models": [ONE, {"model": "best.json"}]}, "expected a model, no recipe file"),
        ({"models": [ONE, {**ONE, "threads": 0}]}, r"models\[1\].threads' is '0', expected 1 to"),
        ({"models": [ONE, {**ONE, "threads": True}]}, "expected int"),
        ({"models": [ONE, {**ONE, "engine": 7}]}, "expected str"),
        ({"rules": []}, "a list of 1"),
        ({"rules": [{}]}, "expected a number of 0 to 1"),
        ({"rules": [{"threshold": 1.5}]}, "expected a number of 0 to 1"),
        ({"rules": [{"threshold": float("nan")}]}, "expected a number of 0 to 1"),
        ({"rules": [{"threshold": float("inf")}]}, "expected a number of 0 to 1"),
        ({"rules": [{"threshold": 10**400}]}, "expected a number of 0 to 1"),
        ({"rules": [{"threshold": "0.5"}]}, "expected a number of 0 to 1"),
        ({"rules": [{"threshold": True}]}, "expected a number of 0 to 1"),
        ({"rules": [{"threshold": 0.5, "output": -1}]}, "the number of an output"),
        ({"rules": [{"threshold": 0.5, "output": 10**9}]}, "the number of an output"),
        ({"rules": [{"threshold": 0.5, "scores": "odds"}]}, "probabilities or logits"),
        ({"rules": [0.5]}, "expected an object"),
    ],
)
def test_every_field_is_checked(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Session(cascade(tmp_path, **changes))


def test_a_link_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = cascade(folder)
    (folder / "best-1.tflite").rename(tmp_path / "out.tflite")
    (folder / "best-1.tflite").symlink_to(tmp_path / "out.tflite")
    with pytest.raises(RecipeError, match="outside"):
        Session(path)


def test_an_output_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="give 1 outputs, a rule reads 2"):
        Session(cascade(tmp_path, rules=[{"threshold": 0.5, "output": 2}]))


def test_models_that_do_not_fit_together(tmp_path: Path) -> None:
    path = cascade(tmp_path)
    write(Net((1, 6)).dense(5).softmax().model(), tmp_path / "best-1.tflite")
    with pytest.raises(ModelError, match="differ in their outputs"):
        Session(path)


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    path = cascade(tmp_path)
    (tmp_path / "best-2.tflite").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"best-2\.tflite"):
        Session(path)


def test_its_size_is_that_of_all_models(tmp_path: Path) -> None:
    found = read_cascade(cascade(tmp_path))
    assert found is not None
    assert found.size_bytes == sum((tmp_path / f"best-{i}.tflite").stat().st_size for i in (1, 2))
