"""Limits of a deployment: what is refused, what is skipped before it is made, what wins all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sanderling import verbs, zoo
from sanderling.analysis.summary import summarize
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import UsageError
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.measure.results import Latency
from sanderling.runtime.loading import read_model
from sanderling.search import ladder
from sanderling.search.budget import Budget
from sanderling.search.events import RungSkipped
from sanderling.search.limits import Allowed, Limits
from sanderling.search.targets import missing, others
from sanderling.search.trial import Trial
from sanderling.tflite.releases import parse, too_new
from sanderling.verbs import deployment

CONV = Allowed(frozenset({"CONV_2D"}))


def test_operators() -> None:
    model = read_model(zoo.model_path("digits"))
    kinds = {node.kind for node in model.main.nodes}
    assert Limits(Allowed(frozenset(kinds))).refusal(model) == ""
    told = Limits(Allowed(frozenset(kinds - {"SOFTMAX"}))).refusal(model)
    assert told == "needs SOFTMAX, which --allow-ops does not allow"


def test_the_oldest_runtime_names_the_operator() -> None:
    model = read_model(zoo.model_path("digits"))
    assert Limits(oldest_runtime=parse("2.0")).refusal(model) == ""
    assert Limits(oldest_runtime=parse("litert-1.0")).refusal(model) == ""
    told = Limits(oldest_runtime=parse("1.14")).refusal(model)
    needed = "FULLY_CONNECTED version 5 needs TensorFlow Lite 2.0 or LiteRT 1.0"
    assert told == f"{needed}, --oldest-runtime is TensorFlow Lite 1.14"


@pytest.mark.parametrize(
    "limits, rung, why",
    [
        (Limits(), ladder.STATIC, ""),
        (Limits(io="int8"), ladder.STATIC, ""),
        (Limits(io="int8"), ladder.DYNAMIC, "is float32, --io asks for int8"),
        (Limits(CONV), ladder.STATIC, "needs DEQUANTIZE, QUANTIZE, which --allow-ops does not allow"),
        (Limits(CONV, io="int8"), ladder.STATIC, ""),
        (Limits(CONV, io="int8"), ladder.MIXED, "needs DEQUANTIZE, QUANTIZE"),
        (Limits(Allowed(frozenset({"CONV_2D", "QUANTIZE"}))), ladder.FLOAT16, "needs DEQUANTIZE,"),
        (Limits(CONV), ladder.SLIM, ""),
        (Limits(Allowed(engine="tflite_micro")), ladder.STATIC, ""),
        (Limits(Allowed(engine="tflite_micro")), ladder.FLOAT16, "DEQUANTIZE on float16"),
        (
            Limits(oldest_runtime=parse("1.13.1")),
            ladder.STATIC,
            "QUANTIZE version 1 needs TensorFlow Lite 1.14",
        ),
        (Limits(oldest_runtime=parse("1.14")), ladder.STATIC, ""),
        (
            Limits(oldest_runtime=parse("2.6")),
            ladder.WEIGHTS,
            "version 5 needs TensorFlow Lite 2.7",
        ),
        (Limits(oldest_runtime=parse("litert-1.0")), ladder.WEIGHTS, ""),
    ],
)
def test_what_cannot_pay_is_known_before(limits: Limits, rung: str, why: str) -> None:
    told = limits.pointless(rung, read_model(zoo.model_path("digits")))
    assert (why in told) if why else told == ""


def test_ends_that_are_no_real_numbers_may_stay() -> None:
    """Token ids in, real numbers out: the ids stay, the numbers must become integers."""
    model = read_model(zoo.model_path("digits"))
    ids, out = model.main.inputs[0], model.main.outputs[0]
    tensors = list(model.main.tensors)
    tensors[ids] = replace(tensors[ids], type=TensorType(tensors[ids].shape, DType.INT32))
    asked = Limits(io="int8")
    assert asked.wrong_ends(model.with_main(replace(model.main, tensors=tuple(tensors)))).startswith(
        f"{tensors[out].name} is float32"
    )
    tensors[out] = replace(tensors[out], type=TensorType(tensors[out].shape, DType.INT64))
    assert asked.wrong_ends(model.with_main(replace(model.main, tensors=tuple(tensors)))) == ""
    byte = TensorType(tensors[out].shape, DType.UINT8, Quant.of(1 / 256))
    tensors[out] = replace(tensors[out], type=byte)
    assert "is uint8" in asked.wrong_ends(model.with_main(replace(model.main, tensors=tuple(tensors))))


def test_lists_of_operators(tmp_path: Path) -> None:
    file = tmp_path / "there.txt"
    file.write_text("conv_2d  # the big one\nRELU, SOFTMAX\n\nMyOwn\n")
    expected = Allowed(frozenset({"CONV_2D", "RELU", "SOFTMAX", "MyOwn"}))
    assert deployment.allowed(str(file)) == deployment.allowed(file) == expected
    assert deployment.allowed("conv_2d,RELU , softmax,MyOwn") == expected
    assert deployment.allowed(["CONV_2D", "RELU", "SOFTMAX", "MyOwn"]) == expected
    assert deployment.allowed("microcontroller") == Allowed(engine="tflite_micro")
    assert deployment.allowed("litert-gpu") == Allowed(engine="litert_gpu")
    assert deployment.allowed(None) is None


@pytest.mark.parametrize(
    "given, told",
    [
        ("CONV2D", "there is no operator 'CONV2D'; did you mean CONV_2D?"),
        (" , ", "the list names no operator; for example CONV_2D,RELU"),
        ("lists/gone.txt", "there is no file lists/gone.txt; check the path, or for example CONV_2D,RELU"),
        ("webgpuu", "there is no 'webgpuu'; did you mean webgpu?"),
        ("microcontroler", "there is no 'microcontroler'; did you mean microcontroller?"),
        ([], "the list names no operator; for example CONV_2D,RELU"),
    ],
)
def test_wrong_lists_are_one_sentence(given: Any, told: str) -> None:
    with pytest.raises(UsageError) as error:
        deployment.allowed(given)
    assert str(error.value) == f"allow_ops: {told}"


def test_files_that_are_no_lists(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UsageError, match="is no text; a name a line"):
        deployment.allowed(file)
    file.write_text("# nothing\n")
    with pytest.raises(UsageError, match="names no operator"):
        deployment.allowed(file)
    file.write_text("CONV2D")
    with pytest.raises(UsageError, match=r"no operator 'CONV2D' \(.*list\); did you mean CONV_2D\?"):
        deployment.allowed(file)


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
    assert too_new(best, parse("2.10")) == []
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
    with pytest.raises(
        UsageError,
        match=r"'newest' is no release; for example 2\.14 \(TensorFlow Lite\) or",
    ):
        verbs.optimize("digits", oldest_runtime="newest")


def test_targets() -> None:
    assert others("raspberry-pi") == ()
    assert missing("raspberry-pi") == "on a Raspberry Pi LiteRT runs it"
    assert all(engine.startswith("openvino") for engine in others("openvino"))
    assert not any(engine.partition(":")[0] in ("webgpu", "litert_gpu") for engine in others("cpu"))


def test_stored_trials_are_judged_by_the_limits_of_today(tmp_path: Path) -> None:
    """What was good may not be any more, what was turned away may be good, and nothing is measured twice."""
    out = tmp_path / "out"
    first, _ = search(out, 8, oldest_runtime="1.14")
    turned_away = {t.name for t in first.trials if "needs" in t.reason and t.rung != ladder.AS_IS}
    assert first.trials[0].reason.startswith("FULLY_CONNECTED version 5 needs TensorFlow Lite 2.0")
    assert first.exit_code == 1

    again, _ = search(out, 8, resume=True)
    by_name = {t.name: t for t in again.trials}
    assert by_name["float, as it is"].status == "ok"
    assert all(by_name[name].latency is not None for name in turned_away if name in by_name)
    assert again.trials[0].seconds == first.trials[0].seconds  # not measured again
    assert again.exit_code == 0

    # So few bytes that no candidate of a longer search fits either.
    third, _ = search(out, 8, resume=True, max_size_bytes=1000)
    assert {t.status for t in third.trials if t.latency} <= {"rejected", "failed"}
    assert third.exit_code == 1


def test_a_gate_keeps_the_limits() -> None:
    kept = verbs.check("digits", "digits", oldest_runtime="2.0", allow_ops="litert")
    assert kept.ok, kept.reason
    old = verbs.check("digits", "digits", oldest_runtime="1.14", limit=20)
    assert not old.ok
    assert old.reason.startswith("FULLY_CONNECTED version 5 needs TensorFlow Lite 2.0")
    ends = verbs.check("digits", "digits", io="int8", limit=20)
    assert ends.reason == "image is float32, --io asks for int8"


def test_what_cannot_win_is_no_measure_of_what_can() -> None:
    """A float candidate that is fast must not end the search for integers, where only these can win."""
    model = read_model(zoo.model_path("digits"))
    fast = Latency(1.0, 1.0, 10, 2.0, (2.0, 2.0), 2.0)
    state = ladder.State(summarize(model), Budget(), 1, (), "int8", (), lambda recipe: [])
    integers = Recipe("int8", (Step("static_int8", {"io": "int8"}),))
    state.measured = [
        Trial("0", "float", "m", Recipe("float", (Step("rewrite"),)), "litert", 1, latency=fast),
        Trial("1", "int8", "m", integers, "litert", 1, latency=replace(fast, speedup=1.5)),
    ]
    assert state.best_speedup() == 2.0
    state.wrong_ends = True
    assert state.best_speedup() == 1.5
