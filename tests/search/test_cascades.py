"""A search of several models finds a cascade, measures it like any other candidate, and hands it back."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import sanderling as sd
from sanderling.cli import main
from sanderling.errors import BudgetError, RecipeError, UsageError
from sanderling.measure.results import Fidelity, Latency
from sanderling.report.data import ReportData
from sanderling.report.result import Result
from sanderling.search import laboratory, ladder
from sanderling.search.bench import Run
from sanderling.search.budget import Budget
from sanderling.search.cascades import why_none
from sanderling.search.pairs import Member, worth_a_look
from sanderling.search.trial import Trial
from tests.models import Net
from tests.search.pairs import pair, samples

RUNG = "cascade"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models as they are, no other candidates; timed just well enough to tell what is many times faster."""
    monkeypatch.setattr(ladder, "LADDER", ((ladder.AS_IS, ladder.as_is),))
    monkeypatch.setattr(laboratory, "TIMING_SECONDS", 0.8)


def search(models: list[Path], output: Path, **wishes: Any) -> Result:
    wanted: dict[str, Any] = {
        "samples": {"x": samples()},
        "max_drop": 0.03,
        "threads": 1,
        **wishes,
    }
    return sd.optimize(models, output=output, **wanted)


def skipped(result: Result) -> str:
    """Returns: why there is no cascade."""
    assert not any(trial.cascade for trial in result.trials)
    return next(rung.skipped_reason for rung in result.data.rungs if rung.name == RUNG)


def test_it_is_found_confirmed_and_handed_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models, output = pair(tmp_path), tmp_path / "out"
    result = search(models, output)
    assert result.best is not None
    trial, data = result.best.trial, result.data
    assert trial.cascade is not None
    assert trial.latency is not None
    assert trial.speedup is not None
    assert [name.split(":")[0] for name in trial.cascade.names] == ["small", "large"]
    assert trial.size_bytes == sum(model.stat().st_size for model in models)
    assert trial.peak_memory_bytes is None or trial.peak_memory_bytes > models[0].stat().st_size / 2
    assert trial.speedup > 1.2
    assert trial.latency.mean < trial.latency.baseline_p50
    assert data.confirm is not None
    assert data.confirm.drop <= 0.03
    best = json.loads((output / "best.json").read_text())
    assert "model" not in best
    assert [part["model"] for part in best["cascade"]["models"]] == ["best-1.tflite", "best-2.tflite"]
    assert (output / "best-1.tflite").read_bytes() == models[1].read_bytes()
    assert not (output / "best.tflite").exists()

    # It runs as one session, as good as was said, on samples that nobody has seen.
    unseen = np.random.default_rng(9).standard_normal((600, 1, 12)).astype(np.float32)
    with sd.Session(output / "best.json") as session, sd.Session(models[0], "litert") as large:
        same = [np.argmax(np.asarray(session(x))) == np.argmax(np.asarray(large(x))) for x in unseen]
        asked = session.calls[1] / session.calls[0]
    assert np.mean(same) > 0.95
    assert asked == pytest.approx(1 - trial.cascade.chosen.kept, abs=0.1)

    # The report says what it is.
    assert "a cascade:" in data.verdict or "a cascade:" in (output / "report.html").read_text()
    again = ReportData.from_json(json.loads((output / "report.json").read_text()))
    assert again.winner is not None
    assert again.winner.cascade == trial.cascade

    assert Trial.from_json(json.loads(json.dumps(trial.to_json()))).to_json() == trial.to_json()

    # A resumed search measures nothing twice.
    resumed = search(models, output, resume=True)
    assert resumed.best is not None
    assert resumed.best.trial.to_json() == trial.to_json()

    # It is saved as a folder, checked, and not deployed.
    with pytest.raises(UsageError, match="several files"):
        result.best.save(tmp_path / "best.tflite")
    result.best.save(tmp_path / "copy")
    with sd.Session(tmp_path / "copy" / "best.json") as session:
        assert session(unseen[0]).shape == (1, 4)  # type: ignore[union-attr]
    np.save(tmp_path / "x.npy", samples(200))
    check = [str(models[0]), str(output / "best.json"), "--samples", str(tmp_path / "x.npy")]
    assert main(["check", *check, "--max-drop", "8%", "--max-memory", "100MB"]) == 0
    capsys.readouterr()
    assert (
        main(["deploy", str(output / "best.json"), "--to", "raspberry-pi", "-o", str(tmp_path / "pi")]) == 1
    )
    assert "deploy its parts: best-1.tflite or best-2.tflite" in capsys.readouterr().err
    assert not (tmp_path / "pi").exists()
    for command in ("analyze", "bench"):
        assert main([command, str(output / "best.json")]) == 1
        assert "is a .json file" in capsys.readouterr().err
    with pytest.raises(RecipeError, match="holds a cascade"):
        search(models, tmp_path / "other", recipe=output / "best.json")

    # A winner that is one model takes its place, and nothing of it stays under a winner's name.
    alone = search(models[:1], output)
    assert alone.best is not None
    assert (output / "best.tflite").exists()
    assert not (output / "best-1.tflite").exists()
    assert (output / "earlier-best-1.tflite").exists()
    assert RUNG not in {rung.name for rung in alone.data.rungs}


def test_logits_are_taken_for_what_they_are(tmp_path: Path) -> None:
    result = search(pair(tmp_path, softmax=False), tmp_path / "out")
    assert result.best is not None
    assert result.best.trial.cascade is not None
    assert result.best.trial.cascade.rule.scores == "logits"


def test_a_small_model_that_is_never_right_pays_nothing(tmp_path: Path) -> None:
    assert "no threshold for “small" in skipped(search(pair(tmp_path, noise=20), tmp_path / "out"))


def test_a_small_model_that_is_good_enough_wins_alone(tmp_path: Path) -> None:
    result = search(pair(tmp_path, noise=0.0), tmp_path / "out")
    assert result.best is not None
    assert result.best.trial.model == "small"
    assert skipped(result) == "no candidate is faster than one that keeps the budget"


def asked(**changes: Any) -> Any:
    """Returns: what ``why_none`` looks at of a search that may try cascades."""
    known = {"target": "cpu", "evaluate": None, "task": "classify", "minimize": "latency", "confirm": (3, 4)}
    known |= {"synthetic": False, **changes}
    model = Net((1, 4)).dense(2).model()
    kind = {"sequential": False, "synthetic": known["synthetic"]}
    parts = [SimpleNamespace(indices=indices, **kind) for indices in ((1, 2), known["confirm"])]
    subject = SimpleNamespace(model=model, split=SimpleNamespace(search=parts[0], confirm=parts[1]))
    return SimpleNamespace(
        request=SimpleNamespace(target=known["target"], evaluate=known["evaluate"]),
        task=SimpleNamespace(name=known["task"]),
        budget=Budget(minimize=known["minimize"]),
        subjects=(subject, subject),
        device="ssh://pi@host",
    )


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"minimize": "size"}, "it takes more size"),
        ({"minimize": "memory"}, "it takes more memory"),
        ({"target": "android"}, "there is none on an Android phone"),
        ({"evaluate": lambda model: 1.0}, "a score of whole models"),
        ({"task": "segment"}, "only a class tells"),
        ({"confirm": (1, 2)}, "too few samples"),
        ({"synthetic": True}, "noise does not show"),
    ],
)
def test_it_says_why_it_tries_none(changes: dict[str, Any], reason: str) -> None:
    assert reason in why_none(asked(**changes), local=True)
    assert why_none(asked(), local=True) == ""
    assert "ssh://pi@host" in why_none(asked(), local=False)


def member(cost: float, drop: float, low: float | None = None) -> Member:
    latency = Latency(cost, cost, 9, 1 / cost, (1 / cost, 1 / cost), 1.0)
    fidelity = Fidelity("1 - top-1 agreement", 1 - drop, drop, (drop if low is None else low, drop), 100)
    trial = Trial(f"{cost}-{drop}", "", "", None, "litert", 1, latency=latency, fidelity=fidelity)  # type: ignore[arg-type]
    return Member(trial, None, Run(Path()), cost)  # type: ignore[arg-type]


def test_what_cannot_pay_is_known_before_anybody_is_asked() -> None:
    """Each sample that the large model is asked for makes good one loss at most."""
    members = [member(1.0, 0.0), member(0.2, 0.5), member(0.1, 0.9), member(0.3, 0.6)]
    pairs = worth_a_look(members, Budget(max_drop=0.01))
    found = {(p.small.cost, p.large.cost): p.least for p in pairs}
    assert set(found) == {(0.2, 1.0), (0.1, 1.0)}  # 0.3 is beaten by 0.2 in both
    assert found[0.2, 1.0] == pytest.approx(0.2 + 0.49)
    assert [p.least for p in pairs] == sorted(found.values())


def test_two_models_are_joined(tmp_path: Path) -> None:
    large, small = pair(tmp_path)
    joined = sd.cascade(small, large, {"x": samples()}, max_drop=0.03)
    assert joined.fidelity.drop <= 0.03
    assert joined.latency.speedup > 1.2
    assert joined.chosen_on + joined.fidelity.samples == len(samples())
    x = samples(1)
    with sd.Session(joined.save(tmp_path / "saved")) as session:
        answer = session(x)
        assert session.calls[0] == 1
    assert isinstance(answer, np.ndarray)
    assert answer.shape == (1, 4)


def test_models_that_cannot_be_joined(tmp_path: Path) -> None:
    large, small = pair(tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / "noise").mkdir()
    with pytest.raises(UsageError, match="gives outputs of shape"):
        sd.cascade(pair(tmp_path / "more", classes=5)[1], large, {"x": samples()})
    with pytest.raises(UsageError, match="noise does not show"):
        sd.cascade(small, large)
    with pytest.raises(UsageError, match="too few samples"):
        sd.cascade(small, large, {"x": samples(5)})
    with pytest.raises(UsageError, match="only a class"):
        sd.cascade(small, large, {"x": samples(60)}, task="other")
    with pytest.raises(BudgetError, match="no threshold is sure to keep"):
        sd.cascade(pair(tmp_path / "noise", noise=20)[1], large, {"x": samples(300)})
