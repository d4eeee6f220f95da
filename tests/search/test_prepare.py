"""What is settled before anything is measured: names, labels; and which examples are shown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.search.confirm import worst_first
from sanderling.search.prepare import _names, unused_labels
from sanderling.search.request import Request
from sanderling.tasks.classify import classify
from sanderling.tasks.embed import embed
from sanderling.tasks.task import Task

PART = st.text("ab.", min_size=1, max_size=2).filter(lambda s: s.strip("."))


@given(st.lists(st.lists(PART, min_size=1, max_size=3), min_size=1, max_size=5))
def test_no_two_models_are_called_the_same(paths: list[list[str]]) -> None:
    """Also files of one name in different folders, and one file given several times."""
    names = _names([Path("/models", *parts).with_suffix(".tflite") for parts in paths])
    assert len(names) == len(paths)
    assert len(set(names)) == len(names)


def test_a_model_is_called_by_its_file_with_no_more_of_the_path_than_it_takes() -> None:
    assert _names([Path("/m/a/net.tflite")]) == ["net"]
    assert _names([Path("/m/a/net.tflite"), Path("/m/a/other.tflite")]) == ["net", "other"]
    assert _names([Path("/m/a/net.tflite"), Path("/m/b/net.tflite")]) == ["a/net", "b/net"]


def why(labels: Any, task: Task, **request: Any) -> str:
    subject: Any = SimpleNamespace(split=SimpleNamespace(search=SimpleNamespace(labels=labels)))
    return unused_labels(Request((Path("a"),), None, Path("o"), **request), subject, task)


@pytest.mark.parametrize(
    "labels,task,said",
    [
        (None, classify(), ""),
        ([1, 2], classify(labelled=True), ""),
        ([7, 900], classify(), "they reach from 7 to 900, and not all of these are classes"),
        (["cat", "dog"], classify(), "neither class numbers nor names"),
        ([1, 2], embed(), "answers of this kind (embed) are compared with the original's only"),
    ],
)
def test_labels_that_take_no_part_have_a_reason(labels: Any, task: Task, said: str) -> None:
    assert said in why(labels, task)
    assert bool(why(labels, task)) == bool(said)


def test_a_users_own_metric_is_given_the_labels() -> None:
    assert why([7, 900], classify(), metric="f.py:fn") == ""


@given(st.lists(st.floats(0, 1, allow_nan=False), max_size=30), st.integers(0, 5))
def test_examples_are_the_worst_ones(badness: list[float], seed: int) -> None:
    order = worst_first(badness, seed)
    assert sorted(order) == list(range(len(badness)))
    assert [badness[p] for p in order] == sorted(badness, reverse=True)


def test_equal_examples_are_not_all_neighbours() -> None:
    shown = worst_first([0.0] * 300, 0)[:12]
    assert shown == worst_first([0.0] * 300, 0)[:12]
    assert max(shown) - min(shown) > 100
    assert worst_first([0.0] * 300, 1)[:12] != shown
