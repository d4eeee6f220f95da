"""What the page shows, as ready texts: the template only lays them out."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite

from sanderling.compress.recipe import Step
from sanderling.errors import UsageError
from sanderling.measure.results import Latency
from sanderling.report import pictures
from sanderling.report.data import Answer, Example, ReportData, Sensitivity
from sanderling.report.format import (
    MISSING,
    format_bytes,
    format_interval,
    format_joules,
    format_ms,
    format_ratio,
    format_share,
)
from sanderling.report.plot import Measure
from sanderling.report.verdict import breaches, nearest
from sanderling.search.trial import Trial

_RANK = {"ok": 1, "undecided": 2, "rejected": 3, "failed": 4}
_PICTURE_BYTES = 900_000
_EXAMPLES = 24
_LONG_REASON = 180


@dataclass(frozen=True, slots=True)
class Figure:
    """One big figure: ``before`` is "" where there is nothing to compare with."""

    name: str
    value: str
    before: str = ""
    note: str = ""
    good: bool | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure of the table: its text, a second line, and the number to sort by ("" sorts last)."""

    text: str
    note: str = ""
    sort: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A trial in the table. ``reason`` is split so that a long one can be folded."""

    anchor: str
    number: int
    name: str
    how: str
    status: str
    best: bool
    front: bool
    reason: str
    rest: str
    cells: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """An operator's sensitivity: ``percent`` of the longest bar."""

    operator: str
    kind: str
    percent: float
    drop: str
    cost: str
    saved: str
    keep_float: bool
    note: str


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer with its picture as a data URI ("" for none) and what is wrong with the picture, if so."""

    text: str
    picture: str
    problem: str


@dataclass(frozen=True, slots=True)
class Pair:
    """One sample with both answers."""

    name: str
    badness: str
    thumbnail: Shown
    reference: Shown
    candidate: Shown
    same: bool


def subject(data: ReportData) -> Trial | None:
    """Returns: the trial that the big figures are about: the winner, else the nearest."""
    return data.winner or nearest(data)


def measures(data: ReportData) -> tuple[Measure, Measure]:
    """Returns: what is drawn against the drop."""
    if any(trial.estimated for trial in data.trials):
        return ("latency", "size")
    return ("arena", "size") if any(trial.imitated for trial in data.trials) else ("latency", "size")


def figures(data: ReportData) -> list[Figure]:
    """Returns: the big figures of the winner, else of the nearest trial; empty when nothing was measured."""
    trial = subject(data)
    if trial is None:
        return []
    broken = {breach.what for breach in breaches(trial, data.budget)}
    if trial.estimated:
        return [*_estimates(trial, broken), *_drop_figure(data, trial)]
    if trial.imitated:
        return [*_microcontroller_figures(trial, broken), *_drop_figure(data, trial)]
    found = []
    if trial.latency:
        latency = trial.latency
        low, high = (format_ratio(v) for v in latency.speedup_ci95)
        good = True if latency.speedup_ci95[0] > 1 else False if latency.speedup_ci95[1] < 1 else None
        found.append(
            Figure(
                "speed-up",
                format_ratio(latency.speedup),
                note=f"95 % interval {format_interval(low, high)}" + _same_threads(trial, data),
                good=good,
            )
        )
        found.append(
            Figure(
                "latency per call",
                format_ms(latency.typical),
                format_ms(latency.baseline_p50),
                _over_calls(trial, latency),
                False if {"latency", "throughput"} & broken else None,
            )
        )
    if trial.size_bytes:
        ratio = data.baseline.size_bytes / trial.size_bytes
        note = f"{format_ratio(ratio)} smaller" if ratio > 1.005 else "no smaller"
        good = False if "size" in broken else None
        size, before = format_bytes(trial.size_bytes), format_bytes(data.baseline.size_bytes)
        of = "size of the file" if trial.cascade is None else "size of both files"
        found.append(Figure(of, size, before, note, good))
    if trial.energy:
        idle = format_joules(trial.energy.above_idle)
        compared = isfinite(trial.energy.relative) and trial.energy.relative not in (0, 1)
        before = format_joules(trial.energy.joules / trial.energy.relative) if compared else ""
        note = f"{idle} of it above idle; measured by {trial.energy.meter}"
        found.append(Figure("energy per call", format_joules(trial.energy.joules), before, note))
    return [*found, *_drop_figure(data, trial)]


def _over_calls(trial: Trial, latency: Latency) -> str:
    most = f"90 % within {format_ms(latency.p90)}"
    if trial.cascade is not None:
        return f"mean over the samples of {latency.runs} runs; half within {format_ms(latency.p50)}, {most}"
    return f"median of {latency.runs} runs, {most}"


def _microcontroller_figures(trial: Trial, broken: Collection[str]) -> list[Figure]:
    """Returns: what a model takes where TFLite Micro runs it."""
    found = []
    if trial.size_bytes:
        good = False if "size" in broken else None
        note = "of the model; the program’s code comes on top"
        found.append(Figure("flash", format_bytes(trial.size_bytes), note=note, good=good))
    if trial.peak_memory_bytes is not None:
        good = False if "memory" in broken else None
        note = "as TFLite Micro’s allocator recorded it, with 64-bit pointers"
        found.append(Figure("arena", format_bytes(trial.peak_memory_bytes), note=note, good=good))
    if trial.latency:
        note = "portable kernels on this machine’s processor, not the microcontroller’s"
        found.append(Figure("time per call here", format_ms(trial.latency.p50), note=note))
    return found


def _estimates(trial: Trial, broken: Collection[str]) -> list[Figure]:
    """Returns: what an NPU's compiler estimates, which nobody measured."""
    note = f"estimated by {trial.estimated}; not measured"
    found = []
    if trial.latency:
        slow = False if "latency" in broken or "throughput" in broken else None
        found.append(Figure("time of a call, estimated", format_ms(trial.latency.p50), note=note, good=slow))
    if trial.peak_memory_bytes is not None:
        large = False if "memory" in broken else None
        taken = format_bytes(trial.peak_memory_bytes)
        found.append(Figure("SRAM, estimated", taken, note=note, good=large))
    if trial.size_bytes:
        whole = "before Vela compiles it"
        large = False if "size" in broken else None
        found.append(Figure("size of the file", format_bytes(trial.size_bytes), note=whole, good=large))
    return found


def _same_threads(trial: Trial, data: ReportData) -> str:
    return f", both on {trial.threads} threads" if trial.threads != data.baseline.threads else ""


def _drop_figure(data: ReportData, trial: Trial) -> list[Figure]:
    fidelity = data.confirm if data.winner and data.confirm else trial.fidelity
    if fidelity is None:
        return []
    low, high = (format_share(v) for v in fidelity.ci95)
    unseen = "unseen samples" if data.winner and data.confirm else "samples"
    allowed = data.budget.max_drop
    good = None if allowed is None else fidelity.drop <= allowed
    note = f"95 % interval {format_interval(low, high)}, {fidelity.samples} {unseen}"
    return [Figure("drop", format_share(fidelity.drop), note=note, good=good)]


def rows(data: ReportData) -> list[Row]:
    """Returns: the trials, the winner first, then by status and latency."""

    def order(item: tuple[int, Trial]) -> tuple[int, float, int]:
        index, trial = item
        return 0 if trial.id == data.best else _RANK[trial.status], data.time_of(trial), index

    return [_row(data, index, trial) for index, trial in sorted(enumerate(data.trials), key=order)]


def _row(data: ReportData, index: int, trial: Trial) -> Row:
    model = trial.model if len({t.model for t in data.trials}) > 1 else ""
    threads = f"{trial.threads} thread{'s' if trial.threads != 1 else ''}"
    how = [model, trial.engine, threads, f"step {trial.rung}" if trial.rung else ""]
    if trial.precision != "auto":
        how.insert(3, trial.precision)
    reason, rest = _folded(trial.reason)
    return Row(
        anchor=f"trial-{index + 1}",
        number=index + 1,
        name=trial.name,
        how=" · ".join(part for part in how if part),
        status=trial.status,
        best=trial.id == data.best,
        front=trial.id in data.pareto,
        reason=reason,
        rest=rest,
        cells=tuple(_cells(data, trial).items()),
    )


def _cells(data: ReportData, trial: Trial) -> dict[str, Cell]:
    """Returns: the figures by column; for a microcontroller those that it has, under their names there."""
    found = cells(trial, energy=any(t.energy for t in data.trials))
    if data.processors > 1:  # milliseconds of two processors do not belong in one column
        hidden = {} if data.same_processor(trial) else dict.fromkeys(("p50", "p90"), Cell(MISSING))
        found |= {**hidden, "where": Cell(trial.processor or MISSING, trial.where, trial.processor)}
    if any(t.estimated for t in data.trials):
        if not trial.estimated:  # times of this machine are no measure there
            found |= {"p50": Cell(MISSING), "memory": Cell(MISSING)}
        names = {"p50": "estimated ms", "memory": "estimated SRAM"}
        return {names.get(n, n): cell for n, cell in found.items() if n not in ("speed-up", "p90")}
    if any(t.imitated for t in data.trials):
        names = {"size": "flash", "memory": "arena"}
        return {names.get(name, name): cell for name, cell in found.items() if name != "speed-up"}
    return found


def cells(trial: Trial, *, energy: bool = False) -> dict[str, Cell]:
    """Returns: the measured figures of a trial by column; ``energy`` where some trial's was measured."""
    latency, fidelity = trial.latency, trial.fidelity
    p50 = p90 = speed = drop = none = Cell(MISSING)
    if latency:
        mean = f"mean {format_ms(latency.mean)}" if isfinite(latency.mean) else ""
        p50 = Cell(format_ms(latency.p50), mean, _sort(latency.typical))
        p90 = Cell(format_ms(latency.p90), "", _sort(latency.p90))
        interval = format_interval(*(format_ratio(v) for v in latency.speedup_ci95))
        speed = Cell(format_ratio(latency.speedup), interval, _sort(latency.speedup))
    if fidelity:
        interval = format_interval(*(format_share(v) for v in fidelity.ci95))
        drop = Cell(format_share(fidelity.drop), interval, _sort(fidelity.drop))
    size, memory = trial.size_bytes, trial.peak_memory_bytes
    return {
        "p50": p50,
        "p90": p90,
        "speed-up": speed,
        "size": Cell(format_bytes(size), "", str(size)) if size else none,
        **({"energy": _energy_cell(trial)} if energy else {}),
        "memory": none if memory is None else Cell(format_bytes(memory), "", str(memory)),
        "drop": drop,
    }


def _energy_cell(trial: Trial) -> Cell:
    if trial.energy is None:
        return Cell(MISSING)
    share, joules = format_share(trial.energy.relative), trial.energy.joules
    return Cell(format_joules(joules), f"{share} of the original’s", _sort(joules))


def bars(rows: Sequence[Sensitivity]) -> list[Bar]:
    """Returns: the operators, the most sensitive first."""
    longest = max((row.drop for row in rows if isfinite(row.drop)), default=0.0)
    ordered = sorted(rows, key=lambda row: -row.drop if isfinite(row.drop) else -inf)
    return [
        Bar(
            operator=row.operator,
            kind=row.kind,
            percent=_percent(row.drop, longest),
            drop=format_share(row.drop),
            cost=format_share(row.cost_share),
            saved=format_ms(row.ms_saved),
            keep_float=row.keep_float,
            note=row.note,
        )
        for row in ordered
    ]


def pairs(examples: Sequence[Example]) -> list[Pair]:
    """Returns: at most 24 samples, the worst first; pictures until they would make the page too large."""
    ordered = sorted(examples, key=lambda e: -e.badness if isfinite(e.badness) else inf)
    room = _PICTURE_BYTES
    found = []
    for example in ordered[:_EXAMPLES]:
        sample: Answer = {"text": "", "picture": example.thumbnail}
        thumbnail, reference, candidate = (
            _shown(answer, room) for answer in (sample, example.reference, example.candidate)
        )
        room -= sum(len(shown.picture) for shown in (thumbnail, reference, candidate))
        same = example.reference["text"] == example.candidate["text"] and example.badness == 0
        badness = f"{example.badness:.3g}" if isfinite(example.badness) else MISSING
        found.append(Pair(example.name, badness, thumbnail, reference, candidate, same))
    return found


def _shown(answer: Answer, room: int) -> Shown:
    if answer["picture"] is None:
        return Shown(answer["text"], "", "")
    try:
        uri = pictures.data_uri(answer["picture"])
    except UsageError as error:
        return Shown(answer["text"], "", error.what)
    if len(uri) > room:
        return Shown(answer["text"], "", "picture left out to keep the page small")
    return Shown(answer["text"], uri, "")


def step_text(step: Step) -> str:
    """Returns: a step of a recipe in words: ``static_int8: calibration percentile, 3 kept float``."""
    parts = []
    for key, value in step.settings.items():
        name = key.replace("_", " ")
        if isinstance(value, list | tuple):
            few = ", ".join(str(v) for v in value[:4])
            parts.append(f"{name}: {few}" + (f" and {len(value) - 4} more" if len(value) > 4 else ""))
        elif isinstance(value, Mapping):
            parts.append(f"{name}: {len(value)} entries")
        else:
            parts.append(f"{name}: {str(value).lower() if isinstance(value, bool) else value}")
    return step.technique.replace("_", " ") + (f" — {'; '.join(parts)}" if parts else "")


def recipe_json(trial: Trial) -> str:
    """Returns: the recipe as it stands in ``best.json``."""
    return json.dumps(trial.recipe.to_json(), indent=2, ensure_ascii=False)


def _folded(reason: str) -> tuple[str, str]:
    """The start of a reason and the rest that is folded away, cut between words."""
    if len(reason) <= _LONG_REASON * 1.25:
        return reason, ""
    cut = reason.rfind(" ", _LONG_REASON // 2, _LONG_REASON)
    cut = cut if cut > 0 else _LONG_REASON
    return reason[:cut], reason[cut:]


def _sort(value: float) -> str:
    return repr(float(value)) if isfinite(value) else ""


def _percent(value: float, longest: float) -> float:
    if not isfinite(value) or longest <= 0 or value <= 0:
        return 0.0
    return round(max(0.6, 100 * value / longest), 1)
