"""The result of a search as plain data: what ``report.json`` holds and what the page is made from."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from sanderling.errors import RecipeError, UsageError
from sanderling.measure.results import Fidelity, Latency
from sanderling.report.lost_accuracy import LostAccuracy
from sanderling.report.parts import (
    Answer,
    Baseline,
    DeviceInfo,
    Example,
    How,
    ModelInfo,
    Rung,
    SamplesInfo,
    Sensitivity,
)
from sanderling.search.budget import Budget
from sanderling.search.trial import Trial

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "Answer",
    "Baseline",
    "DeviceInfo",
    "Example",
    "How",
    "ModelInfo",
    "ReportData",
    "Rung",
    "SamplesInfo",
    "Sensitivity",
]

SCHEMA_VERSION = 1
T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that a search found. ``to_json`` is ``report.json``.

    Attributes:
        trials: every candidate, in the order in which they were tried.
        pareto: ids of the trials that no other beats in everything.
        best: id of the winner; None when nothing fits the budget.
        verdict: the result in one sentence; "" lets ``verdict.compose`` write it.
        confirm: the winner's fidelity on samples that took no part in choosing it; None without a winner.
        lost_accuracy: why plain int8 loses accuracy, and what helps; None where it does not.
        seconds: how long the search took.
        stopped: why the search ended before all that it had in mind was measured; "" when it did not.

    Raises:
        ValueError: ``best`` or ``pareto`` name a trial that is not there, or two trials share an id.
    """

    model: ModelInfo
    device: DeviceInfo
    samples: SamplesInfo
    budget: Budget
    baseline: Baseline
    trials: tuple[Trial, ...] = ()
    pareto: tuple[str, ...] = ()
    best: str | None = None
    verdict: str = ""
    confirm: Fidelity | None = None
    sensitivity: tuple[Sensitivity, ...] = ()
    examples: tuple[Example, ...] = ()
    how: How = field(default_factory=How)
    rungs: tuple[Rung, ...] = ()
    seconds: float = 0.0
    stopped: str = ""
    lost_accuracy: LostAccuracy | None = None

    def __post_init__(self) -> None:
        known = {trial.id for trial in self.trials}
        if len(known) != len(self.trials):
            raise ValueError("two trials share an id")
        missing = ({self.best} if self.best is not None else set()) | set(self.pareto)
        if not missing <= known:
            raise ValueError(f"there is no trial with the id {min(missing - known)!r}")

    @property
    def winner(self) -> Trial | None:
        """The trial that ``best`` names, or None."""
        return next((trial for trial in self.trials if trial.id == self.best), None)

    @property
    def processors(self) -> int:
        """How many kinds of processors trials were timed on."""
        return len({trial.processor for trial in self.trials})

    def time_of(self, trial: Trial) -> float:
        """Returns: what trials are ordered by: milliseconds, or shares of the original's on its own node."""
        if trial.latency is None:
            return float("inf")
        return trial.latency.cost if self.processors > 1 else trial.latency.typical

    def same_processor(self, trial: Trial) -> bool:
        """Returns: whether a trial was timed on the winner's kind of processor, or the original's."""
        return trial.processor == (self.winner or self.trials[0]).processor

    def to_json(self) -> dict[str, Any]:
        """Returns: strict JSON values: NaN is null, infinity the text "Infinity" or "-Infinity"."""
        value: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "model": _flat(asdict(self.model)),
            "device": _flat(asdict(self.device)),
            "samples": asdict(self.samples),
            "budget": self.budget.to_json(),
            "baseline": _baseline_to_json(self.baseline),
            "trials": [trial.to_json() for trial in self.trials],
            "pareto": list(self.pareto),
            "best": self.best,
            "verdict": self.verdict,
            "confirm": self.confirm.to_json() if self.confirm else None,
            "sensitivity": [asdict(row) for row in self.sensitivity],
            "examples": [_example_to_json(example) for example in self.examples],
            "how": asdict(self.how),
            "rungs": [asdict(rung) for rung in self.rungs],
            "seconds": self.seconds,
            "stopped": self.stopped,
            "lost_accuracy": asdict(self.lost_accuracy) if self.lost_accuracy else None,
        }
        strict: dict[str, Any] = _strict(value)
        return strict

    @classmethod
    def from_json(cls, value: object) -> ReportData:
        """Reads what ``to_json`` wrote. Keys that this version does not know are ignored.

        Raises:
            UsageError: the value is no report, or one of a later schema.
        """
        if not isinstance(value, dict) or not isinstance(value.get("schema_version"), int):
            raise UsageError(
                "it holds no report: expected an object with a 'schema_version'",
                where="report.json",
                hint="give the report.json that 'sanderling optimize' wrote",
            )
        if value["schema_version"] > SCHEMA_VERSION:
            raise UsageError(
                f"its schema_version is {value['schema_version']}, expected at most {SCHEMA_VERSION}",
                where="report.json",
                hint="update sanderling",
            )
        try:
            return _report(cls, value)
        except (KeyError, TypeError, ValueError, AttributeError, RecipeError) as error:
            raise UsageError(
                f"the report is damaged ({type(error).__name__}: {error})",
                where="report.json",
                hint="run 'sanderling optimize' again to write a new one",
            ) from error

    def to_text(self) -> str:
        """Returns: the text of ``report.json``."""
        return json.dumps(self.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _report(cls: type[ReportData], value: dict[str, Any]) -> ReportData:
    return cls(
        model=_read(ModelInfo, _nested(value["model"], ModelInfo)),
        device=_read(DeviceInfo, _nested(value["device"], DeviceInfo)),
        samples=_read(SamplesInfo, value["samples"]),
        budget=_read(Budget, value["budget"]),
        baseline=_read(Baseline, {**value["baseline"], "latency": _latency(value["baseline"]["latency_ms"])}),
        trials=tuple(_trial(trial) for trial in value["trials"]),
        pareto=tuple(value["pareto"]),
        best=value["best"],
        verdict=value.get("verdict", ""),
        confirm=_fidelity(value.get("confirm")),
        sensitivity=tuple(
            _read(Sensitivity, _numbers(row, ("drop",))) for row in value.get("sensitivity", ())
        ),
        examples=tuple(_example(example) for example in value.get("examples", ())),
        how=_read(How, value.get("how", {})),
        rungs=tuple(_read(Rung, rung) for rung in value.get("rungs", ())),
        seconds=value.get("seconds", 0.0),
        stopped=value.get("stopped", ""),
        lost_accuracy=_lost(value.get("lost_accuracy")),
    )


def _read(cls: type[T], value: Mapping[str, Any]) -> T:
    """Builds a dataclass from the keys that it knows; JSON's lists become tuples."""
    known = {f.name for f in fields(cls)}
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in value.items() if k in known})


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    extra = value.pop("extra")
    return {**extra, **value}


def _nested(value: Mapping[str, Any], cls: type) -> dict[str, Any]:
    known = {f.name for f in fields(cls)}
    return {
        **{k: v for k, v in value.items() if k in known},
        "extra": {k: v for k, v in value.items() if k not in known},
    }


def _baseline_to_json(baseline: Baseline) -> dict[str, Any]:
    value = asdict(baseline)
    del value["latency"]
    return {**value, "latency_ms": baseline.latency.to_json() if baseline.latency else None}


def _example_to_json(example: Example) -> dict[str, Any]:
    return {
        "name": example.name,
        "thumbnail_png_base64": _encode(example.thumbnail),
        "badness": example.badness,
        "reference": _answer_to_json(example.reference),
        "candidate": _answer_to_json(example.candidate),
    }


def _answer_to_json(answer: Answer) -> dict[str, Any]:
    return {"text": answer["text"], "picture_png_base64": _encode(answer["picture"])}


def _example(value: dict[str, Any]) -> Example:
    value = _numbers(value, ("badness",))
    return Example(
        name=value["name"],
        badness=value["badness"],
        reference=_answer(value["reference"]),
        candidate=_answer(value["candidate"]),
        thumbnail=_decode(value["thumbnail_png_base64"]),
    )


def _answer(value: dict[str, Any]) -> Answer:
    return {"text": value["text"], "picture": _decode(value["picture_png_base64"])}


def _encode(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _decode(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a picture is not base64: {error}") from error


def _strict(value: Any) -> Any:
    """Replaces what JSON has no numbers for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(k): _strict(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(v) for v in value]
    return value


def _number(value: Any) -> Any:
    if value is None:
        return math.nan
    if value in ("Infinity", "-Infinity"):
        return float(value)
    return tuple(_number(v) for v in value) if isinstance(value, list) else value


def _numbers(value: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Turns the stand-ins for NaN and infinity back into numbers, under these keys only."""
    return {k: _number(v) if k in keys else v for k, v in value.items()}


def _latency(value: dict[str, Any] | None) -> Latency | None:
    if value is None:
        return None
    # What was not measured takes the field's own default, NaN.
    optional = {f.name for f in fields(Latency) if f.default is not MISSING}
    known = {k: v for k, v in value.items() if v is not None or k not in optional}
    return Latency.from_json({k: _number(v) for k, v in known.items()})


def _lost(value: dict[str, Any] | None) -> LostAccuracy | None:
    return None if value is None else LostAccuracy.from_json(value)


def _fidelity(value: dict[str, Any] | None) -> Fidelity | None:
    if value is None:
        return None
    outputs = [
        {k: v if k == "name" or v is None else _number(v) for k, v in row.items()}
        for row in value.get("outputs", ())
    ]
    numbers = _numbers(value, ("value", "drop", "ci95", "per_sample"))
    return Fidelity.from_json({**numbers, "outputs": outputs})


def _trial(value: dict[str, Any]) -> Trial:
    latency, fidelity = _latency(value["latency_ms"]), _fidelity(value["fidelity"])
    trial = Trial.from_json({**value, "latency_ms": None, "fidelity": None})
    return replace(trial, latency=latency, fidelity=fidelity)
