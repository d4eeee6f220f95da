"""Limits of a deployment: what is refused, what is skipped before it is made, what wins all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sanderling import verbs, zoo
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import UsageError
from sanderling.runtime.loading import read_model
from sanderling.search import ladder
from sanderling.search.events import RungSkipped
from sanderling.search.limits import Limits
from sanderling.search.targets import LATER, TARGETS, missing, others
from sanderling.tflite.releases import too_new


def test_operators() -> None:
    model = read_model(zoo.model_path("digits"))
    kinds = {node.kind for node in model.main.nodes}
    assert Limits(tuple(kinds)).refusal(model) == ""
    told = Limits(tuple(kinds - {"SOFTMAX"})).refusal(model)
    assert told == "needs SOFTMAX, which --allow-ops does not allow"


def test_the_oldest_runtime_names_the_operator() -> None:
    model = read_model(zoo.model_path("digits"))
    assert Limits(oldest_runtime=(2, 0)).refusal(model) == ""
    told = Limits(oldest_runtime=(1, 14)).refusal(model)
    assert told == "FULLY_CONNECTED version 5 needs TensorFlow Lite 2.0, --oldest-runtime is 1.14"


@pytest.mark.parametrize(
    "limits, rung, why",
    [
        (Limits(), ladder.STATIC, ""),
        (Limits(io="int8"), ladder.STATIC, ""),
        (Limits(io="int8"), ladder.DYNAMIC, "take and give floats"),
        (Limits(("CONV_2D",)), ladder.STATIC, "need QUANTIZE and DEQUANTIZE"),
        (Limits(("CONV_2D",), io="int8"), ladder.STATIC, ""),
        (Limits(("CONV_2D", "QUANTIZE")), ladder.FLOAT16, "need DEQUANTIZE"),
        (Limits(("CONV_2D",)), ladder.SLIM, ""),
    ],
)
def test_what_cannot_pay_is_known_before(limits: Limits, rung: str, why: str) -> None:
    assert (why in limits.pointless(rung)) if why else limits.pointless(rung) == ""


def search(out: Path, seconds: float | None, **more: Any) -> tuple[Any, list[RungSkipped]]:
    card = zoo.describe("digits")
    skipped: list[RungSkipped] = []

    def listen(event: Any) -> None:
        if isinstance(event, RungSkipped):
            skipped.append(event)

    found = verbs.optimize(
        card.model, card.samples, labels=card.labels, output=out, seconds=seconds, listen=listen, **more
    )
    return found, skipped


def test_a_winner_keeps_the_oldest_runtime_and_the_asked_ends(tmp_path: Path) -> None:
    step = Step("static_int8", {"calibration": "minmax", "io": "int8"})
    result, _ = search(
        tmp_path / "out", None, oldest_runtime="2.10", io="int8", recipe=Recipe("int8", (step,))
    )
    best = read_model(tmp_path / "out" / "best.tflite")
    assert too_new(best, (2, 10)) == []
    ends = [best.main.tensors[i].dtype.value for i in (*best.main.inputs, *best.main.outputs)]
    assert set(ends) == {"int8"}
    assert result.data.to_json()["trials"][0]["status"] == "rejected"  # the original takes floats


def test_the_original_may_break_a_limit_that_a_candidate_keeps(tmp_path: Path) -> None:
    """Without SOFTMAX nothing of this model is left: it is searched, told, and nothing is offered."""
    model = read_model(zoo.model_path("digits"))
    kinds = {node.kind for node in model.main.nodes} - {"SOFTMAX"}
    result, skipped = search(tmp_path / "out", 10, allow_ops=sorted(kinds))
    assert any(event.rung == ladder.STATIC and "--allow-ops" in event.reason for event in skipped)
    assert result.exit_code == 1
    first = result.data.to_json()["trials"][0]
    assert first["latency_ms"]["p50"] > 0  # everything is compared with it
    assert first["reason"] == "needs SOFTMAX, which --allow-ops does not allow"


def test_wrong_releases_are_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"is no release of TensorFlow Lite; for example 2\.14"):
        verbs.optimize("digits", oldest_runtime="newest")


def test_targets() -> None:
    assert not set(TARGETS) & set(LATER)
    assert others("raspberry-pi") == ()
    assert missing("raspberry-pi") == "on a Raspberry Pi LiteRT runs it"
    assert all(engine.startswith("openvino") for engine in others("openvino"))
    assert not any(engine.partition(":")[0] in ("webgpu", "litert_gpu") for engine in others("cpu"))
