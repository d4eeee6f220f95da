"""Running by names, on LiteRT's interpreter and on ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert

from sanderling import lite
from tests.engines import models
from tests.lite import networks
from tests.lite.both import BACKENDS, assert_same, assert_same_outcome, assert_says, ours, outcome, theirs

X = np.array([[1, -2, 3, 4]], np.float32)

CALLS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "call": (lambda run: run(a=X, b=X), ""),
    "other order": (lambda run: run(b=X, a=X * 2), ""),
    "twice": (lambda run: (run(a=X, b=X), run(a=X * 3, b=X)), ""),
    "details": (lambda run: (run.get_input_details(), run.get_output_details()), ""),
    "one missing": (lambda run: run(a=X), "Invalid number of inputs.*expected 2 vs provided 1"),
    "one too many": (lambda run: run(a=X, b=X, c=X), "expected 2 vs provided 3"),
    "wrong name": (lambda run: run(a=X, c=X), r"Invalid Input name \(c\)"),
    "wrong dtype": (
        lambda run: run(a=X.astype(float), b=X),
        "FLOAT64 but expected type FLOAT32 for input 0",
    ),
    "a list": (lambda run: run(a=X.tolist(), b=X), "'list' object has no attribute 'shape'"),
    "by position": (lambda run: run(X, X), "takes 1 positional argument but 3 were given"),
    "does not fit": (lambda run: run(a=np.ones((2, 4), np.float32), b=np.ones((3, 4), np.float32)), ""),
    "after failing": (
        lambda run: (
            outcome(lambda: run(a=np.ones((2, 4), np.float32), b=np.ones((3, 4), np.float32))).kind,
            run(a=X, b=X),
        ),
        "",
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", CALLS)
def test_a_signature(tmp_path: Path, name: str, backend: str) -> None:
    call, words = CALLS[name]
    path = models.save(models.two_by_two(), tmp_path)
    a, b = (outcome(lambda i=i: call(i.get_signature_runner())) for i in (theirs(path), ours(path, backend)))
    assert_same_outcome(a, b, name)
    for side in (a, b):
        assert_says(side, words)


def test_shapes_follow_the_arguments(tmp_path: Path) -> None:
    path = models.save(models.two_by_two(), tmp_path)
    a, b = theirs(path).get_signature_runner(), ours(path).get_signature_runner("serving_default")
    for rows in (3, 1, 0, 7, 3):
        arrays = {"a": np.full((rows, 4), 2, np.float32), "b": X}
        assert_same(a(**arrays), b(**arrays))


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_entries_into_several_graphs(tmp_path: Path, backend: str) -> None:
    path = models.save(networks.two_entries(), tmp_path)
    a, b = theirs(path), ours(path, backend)
    assert_same(a.get_signature_list(), b.get_signature_list())
    assert_same_outcome(outcome(a.get_signature_runner), outcome(b.get_signature_runner))
    assert_same(a.get_signature_runner("double")(x=X), b.get_signature_runner("double")(x=X))
    if backend != "itself":
        with pytest.raises(ValueError, match=f"engine {backend} runs the main graph only, got subgraph 1"):
            b.get_signature_runner("square")(x=X)
        return
    wide = np.repeat(X, 3, axis=0)
    runners = [i.get_signature_runner("square") for i in (a, b)]
    assert_same(runners[0](x=wide), runners[1](x=wide))
    assert_same(runners[0].get_output_details(), runners[1].get_output_details())
    assert_same(a.get_tensor(1, 1), b.get_tensor(1, 1))
    assert_same(a.get_tensor_details(1), b.get_tensor_details(1))


def test_the_interpreter_can_be_used_beside_its_signature(tmp_path: Path) -> None:
    """LiteRT's refuses from then on, as if a view were held."""
    interpreter = ours(models.save(models.two_by_two(), tmp_path))
    runner = interpreter.get_signature_runner()
    interpreter.allocate_tensors()
    for index in (0, 1):
        interpreter.set_tensor(index, X)
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_tensor(2), runner(a=X, b=X)["sum"])


def test_made_by_hand(tmp_path: Path) -> None:
    path = models.save(models.two_by_two(), tmp_path)
    for arguments, words in (
        ((None, "x"), "None interpreter provided"),
        ((True, None), "None signature_key provided"),
        ((True, "x"), 'Invalid signature_key provided: "x"'),
    ):
        for module, make in ((litert, theirs), (lite, ours)):
            given = (make(path) if arguments[0] else None, arguments[1])
            with pytest.raises(ValueError, match=words):
                module.SignatureRunner(*given)
