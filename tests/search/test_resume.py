"""What failed for a passing reason is tried once more when a search is resumed; what cannot work is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sanderling import verbs, zoo
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import OutOfMemory, RecipeError, WorkerError
from sanderling.report.result import Result
from sanderling.search import ladder
from sanderling.search.rungs import Proposal, Skipped, State
from sanderling.search.trial import Trial
from sanderling.search.workshop import Workshop


def half(state: State) -> Iterator[Proposal | Skipped]:
    yield Proposal("half", Recipe("half", (Step("float16"),)), "half", state.threads)


class Breaking:
    """Makes every candidate fail with an error, as long as there is one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        self.made = 0
        usual = Workshop.make

        def make(shop: Workshop, subject: Any, recipe: Recipe, **more: Any) -> Any:
            if recipe.steps:
                self.made += 1
                if self.error is not None:
                    raise self.error
            return usual(shop, subject, recipe, **more)

        monkeypatch.setattr(Workshop, "make", make)
        monkeypatch.setattr(ladder, "LADDER", ((ladder.AS_IS, ladder.as_is), ("half", half)))


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Breaking:
    return Breaking(monkeypatch)


def search(output: Path, card: zoo.Card, *, resume: bool) -> Trial:
    result: Result = verbs.optimize(
        str(card.name), output=output, limit=40, seconds=60, resume=resume, threads=1
    )
    return next(trial for trial in result.trials if trial.rung == "half")


def slow() -> WorkerError:
    error = WorkerError("the compressor did not finish within 300 s")
    error.passing = True
    return error


@pytest.mark.parametrize("error", [slow(), OutOfMemory("the worker ran out of memory")])
def test_a_passing_failure_is_tried_again(
    error: Exception, breaking: Breaking, tmp_path: Path, digits: zoo.Card
) -> None:
    breaking.error = error
    failed = search(tmp_path, digits, resume=False)
    assert (failed.status, failed.passing) == ("failed", True)
    breaking.error = None
    again = search(tmp_path, digits, resume=True)
    assert (again.id, again.passing) == (failed.id, False)
    assert again.status != "failed"
    assert search(tmp_path, digits, resume=True).to_json() == again.to_json()
    assert breaking.made == 2


def test_what_fails_again_is_left_alone(breaking: Breaking, tmp_path: Path, digits: zoo.Card) -> None:
    breaking.error = slow()
    search(tmp_path, digits, resume=False)
    assert not search(tmp_path, digits, resume=True).passing
    assert search(tmp_path, digits, resume=True).status == "failed"
    assert breaking.made == 2


def test_a_lasting_failure_is_not_tried_again(breaking: Breaking, tmp_path: Path, digits: zoo.Card) -> None:
    breaking.error = RecipeError("there is nothing to halve")
    assert not search(tmp_path, digits, resume=False).passing
    breaking.error = None
    assert search(tmp_path, digits, resume=True).status == "failed"
    assert breaking.made == 1
