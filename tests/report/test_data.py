"""``report.json``: strict JSON that reads back equal, and refuses what is no report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.errors import UsageError
from sanderling.measure.results import Fidelity
from sanderling.report.data import Answer, Example, ReportData
from tests.report import made_up

NOTHING = made_up.nothing()


@pytest.mark.parametrize("make", made_up.CASES.values(), ids=made_up.CASES)
def test_round_trip(make: Callable[[], ReportData]) -> None:
    data = make()
    text = data.to_text()
    again = ReportData.from_json(json.loads(text, parse_constant=pytest.fail))
    assert again.to_text() == text
    if make is not made_up.hostile:  # whose NaN is not equal to itself
        assert again == data


def test_it_has_the_keys_of_the_contract() -> None:
    value = made_up.typical().to_json()
    assert {"schema_version", "model", "device", "samples", "budget", "baseline", "trials", "pareto",
            "best"} <= set(value)  # fmt: skip
    trial = value["trials"][0]
    assert {"id", "name", "recipe", "engine", "threads", "size_bytes", "latency_ms", "speedup",
            "peak_memory_bytes", "fidelity", "status", "reason"} <= set(trial)  # fmt: skip
    assert {"p50", "p90", "runs"} <= set(trial["latency_ms"])
    assert {"p50", "p90", "runs"} <= set(value["baseline"]["latency_ms"])
    assert {"metric", "value", "drop", "ci95", "samples"} <= set(trial["fidelity"])
    assert value["model"]["sha256"]
    assert value["device"]["memory"] == "8 GB"  # extras stand beside the known keys


@given(st.floats(), st.floats(), st.lists(st.floats(), max_size=4))
def test_numbers_that_json_lacks_survive(value: float, drop: float, badness: list[float]) -> None:
    strange = Fidelity("m", value, drop, (math.nan, math.inf), 3, "NaN in 3 outputs",
                       ({"name": "Infinity", "sqnr_db": math.inf},), tuple(badness))  # fmt: skip
    data = replace(NOTHING, confirm=strange)
    again = ReportData.from_json(json.loads(data.to_text(), parse_constant=pytest.fail)).confirm
    assert again is not None
    assert repr((again.value, again.drop, again.ci95, again.per_sample)) == repr(
        (strange.value, strange.drop, strange.ci95, strange.per_sample)
    )
    assert again.outputs == strange.outputs


@given(st.binary(max_size=200), st.text(max_size=50))
def test_pictures_and_texts_survive(picture: bytes, text: str) -> None:
    answer: Answer = {"text": text, "picture": picture}
    example = Example(text, 0.5, answer, {"text": "", "picture": None}, picture)
    data = replace(NOTHING, examples=(example,))
    assert ReportData.from_json(json.loads(data.to_text())).examples == (example,)


def damaged() -> list[tuple[str, Any]]:
    def change(**keys: Any) -> dict[str, Any]:
        return {**made_up.one_trial().to_json(), **keys}

    missing = change()
    del missing["trials"]
    picture = change()
    picture["examples"][0]["thumbnail_png_base64"] = "no base64!"
    return [
        ("a list", []),
        ("nothing", None),
        ("no version", {"trials": []}),
        ("later version", change(schema_version=2)),
        ("missing key", missing),
        ("best unknown", change(best="zz")),
        ("pareto unknown", change(pareto=["zz"])),
        ("trials no list", change(trials=3)),
        ("a trial is text", change(trials=["x"])),
        ("recipe", change(trials=[{**change()["trials"][0], "recipe": {"steps": 3}}])),
        ("picture", picture),
        ("baseline", change(baseline=None)),
    ]


@pytest.mark.parametrize("value", [v for _, v in damaged()], ids=[n for n, _ in damaged()])
def test_damaged_reports_are_refused_in_one_sentence(value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        ReportData.from_json(value)
    assert caught.value.where == "report.json"
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_keys_of_later_versions_are_passed_over() -> None:
    value = made_up.one_trial().to_json()
    value |= {"weather": "fine"}
    value["samples"]["weather"] = value["how"]["weather"] = "fine"
    assert ReportData.from_json(value) == made_up.one_trial()


def test_a_winner_that_is_no_trial_is_refused() -> None:
    with pytest.raises(ValueError, match="no trial with the id 'zz'"):
        replace(made_up.typical(), best="zz")
    with pytest.raises(ValueError, match="share an id"):
        replace(made_up.typical(), trials=made_up.typical().trials[:1] * 2, best=None, pareto=())
