"""Which remedy a trial stands for, and which trials are held against each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sanderling.compress.recipe import Recipe, Step
from sanderling.report.lost_accuracy import lost_accuracy, remedies, remedy_of
from sanderling.search.explaining import plain, plain_int8
from tests.report import made_up

STATIC = "static_int8"


@pytest.mark.parametrize(
    "before, settings, remedy",
    [
        ((), {}, ""),
        ((), {"calibration": "minmax", "io": "int8"}, ""),
        ((), {"calibration": "mse"}, "calibration"),
        ((), {"calibration": "octav"}, "weight ranges"),
        ((), {"calibration": "mse", "weights": "octav"}, "weight ranges"),
        (("equalize",), {"calibration": "mse"}, "equalize"),
        (("rewrite", "equalize"), {"rounding": "learned"}, "learned rounding"),
        ((), {"minutes": 3}, "training"),
        ((), {"activations": "int16"}, "16 bits"),
        ((), {"calibration": "mse", "keep_float": ["a"]}, "float"),
        (("slim",), {"calibration": "mse"}, ""),
    ],
)
def test_the_most_expensive_part_names_a_recipe(
    before: tuple[str, ...], settings: dict[str, object], remedy: str
) -> None:
    recipe = Recipe("r", (*(Step(name) for name in before), Step(STATIC, settings)))
    assert remedy_of(recipe) == remedy
    assert plain(recipe) == (remedy == "" and "slim" not in before)


def test_other_techniques_are_no_remedies() -> None:
    for recipe in (Recipe("as it is"), Recipe("r", (Step("float16"),))):
        assert remedy_of(recipe) == ""
        assert not plain(recipe)


def test_the_best_trial_of_each_kind_is_shown_against_the_same_engine() -> None:
    data = made_up.typical()
    subject = type("Subject", (), {"name": data.trials[5].model})()
    base = plain_int8(data.trials, subject)
    assert base is not None
    assert base.name == "static int8 (min-max)"
    found = {row.remedy: row for row in remedies(base, data.trials)}
    assert list(found) == ["calibration", "float"]
    assert found["calibration"].name == "static int8 (percentile 99.99)"
    assert found["float"].after == min(
        t.fidelity.drop for t in data.trials
        if t.fidelity and t.threads == 1 and t.recipe.steps and t.recipe.steps[-1].settings.get("keep_float")
    )  # fmt: skip
    assert found["float"].ms_before == base.latency.p50
    assert remedies(replace(base, engine="other"), data.trials) == ()


def test_why_there_are_no_operators_is_told() -> None:
    data = made_up.typical()
    told = lost_accuracy(data.trials[5], data.trials, None, "there was no time left to look into it")
    assert told.culprits == ()
    assert told.note == "there was no time left to look into it"
