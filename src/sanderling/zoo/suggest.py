"""Chooses among the zoo's models for a task by timing them on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sanderling import zoo
from sanderling.errors import SanderlingError, UsageError
from sanderling.measure.bench import JUST_LATENCY, BenchRow, bench
from sanderling.runtime.loading import read_model
from sanderling.zoo.card import Bundled, Published, Quality
from sanderling.zoo.choose import Choice, Limits, Measured, choose, judge, nearest
from sanderling.zoo.figures import reference

Tell = Callable[[str], None]
# Processors differ in which operators they are good at: only a model that is expected to be slower than the
# limit by more than this factor is not even downloaded.
_DOUBT = 3.0
_CALIBRATION_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What was found for a task.

    Attributes:
        task: the task.
        limits: what the models had to keep.
        engine, threads: what ran them.
        rows: every model of the task, the fastest first, those that were not timed last.
        choices: the model to take, one per subject; empty when none fits.
        nearest: the model that comes closest where none fits, and by how much it misses, in words.
        notes: what a reader must know.
    """

    task: str
    limits: Limits
    engine: str
    threads: int
    rows: tuple[Measured, ...]
    choices: tuple[Choice, ...]
    nearest: str = ""
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True when a model fits."""
        return bool(self.choices)

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return {
            "ok": self.ok,
            "task": self.task,
            "limits": self.limits.to_json(),
            "engine": self.engine,
            "threads": self.threads,
            "choices": [choice.to_json() for choice in self.choices],
            "nearest": self.nearest,
            "rows": [row.to_json() for row in self.rows],
            "notes": list(self.notes),
        }


@dataclass(slots=True)
class _Search:
    """A suggestion in the making."""

    limits: Limits
    engine: str
    threads: int
    seconds: float
    offline: bool
    find: Callable[[str], Path]
    tell: Tell
    rows: dict[str, Measured] = field(default_factory=dict)

    def waiting(self) -> list[str]:
        """Returns: the models that nothing speaks against so far, the fastest by their cards first."""
        known = reference().figures
        left = [name for name, row in self.rows.items() if row.verdict == "waiting"]
        return sorted(left, key=lambda name: known[name].p50 if name in known else float("inf"))

    def drop(self, name: str, verdict: str, reason: str) -> None:
        """Takes a model out, aloud."""
        self.rows[name] = replace(self.rows[name], verdict=verdict, reason=reason)
        self.tell(f"{name}: {verdict}, {reason}")


def suggest(
    task: str,
    words: str = "",
    *,
    limits: Limits,
    engine: str = "litert",
    threads: int = 1,
    seconds: float = 5.0,
    offline: bool = False,
    find: Callable[[str], Path],
    tell: Tell,
) -> Suggestion:
    """Chooses the model for a task that keeps all limits on this machine.

    Args:
        task: the task's name: ``detect``.
        words: only models whose name, subject, summary or classes hold all of these.
        limits: what the model must keep.
        engine: name of the engine that will run it.
        threads: CPU threads.
        seconds: for timing all of them together, interleaved, in a process of its own.
        offline: choose among what is in the cache.
        find: from the name of a model that is here to the file that engines run, which may convert it.
        tell: is called with lines for people.

    Raises:
        UsageError: the zoo has no model for this task, or none that the words fit.
    """
    names = _named(task, words)
    search = _Search(limits, engine, threads, seconds, offline, find, tell)
    for name in names:
        search.rows[name] = _unmeasured(name)
    _skip_by_card(search)
    files = _bring(search, _skip_by_speed(search))
    _time(search, files)
    rows = sorted(search.rows.values(), key=lambda row: row.p50 if row.p50 is not None else float("inf"))
    choices = choose(rows, limits)
    return Suggestion(
        task, limits, engine, threads, tuple(rows), choices, "" if choices else nearest(rows, limits),
        () if choices or any(row.p50 for row in rows) else ("no model could be timed",),
    )  # fmt: skip


def _named(task: str, words: str) -> list[str]:
    """Returns: the models of a task that are about the words: by name and subject, else by their summary."""
    cards = [zoo.describe(name) for name in zoo.names()]
    tasks = sorted({card.task for card in cards})
    if task not in tasks:
        hint = f"choose one of: {', '.join(tasks)}"
        raise UsageError(f"the zoo has no model for {task!r}", where="task", hint=hint)
    cards = [card for card in cards if card.task == task]
    asked = words.lower().split()
    words_of = {card.name: (card.name, card.subject, *card.classes) for card in cards}
    for texts in (words_of, {card.name: (card.summary,) for card in cards}):
        said = {name: " ".join(text).lower() for name, text in texts.items()}
        if found := [name for name, text in said.items() if all(word in text for word in asked)]:
            return found
    hint = f"they are about: {', '.join(sorted({card.subject for card in cards}))}"
    raise UsageError(f"no {task} model is about {words!r}", where="words", hint=hint)


def _unmeasured(name: str) -> Measured:
    card = zoo.describe(name)
    size = card.model.stat().st_size if isinstance(card, Bundled) else card.model.size_bytes
    quality: Quality | None = card.quality if isinstance(card, Published) else None
    return Measured(name, card.subject, size, card.input_shape, quality)


def _skip_by_card(search: _Search) -> None:
    """Takes out what the cards alone rule out."""
    for name, row in list(search.rows.items()):
        reason = judge(row, search.limits)
        if reason:
            search.drop(name, "skipped", reason)
        elif search.offline and zoo.cached(name) is None:
            search.drop(name, "skipped", "it is not in the cache, and nothing is downloaded offline")


def _skip_by_speed(search: _Search) -> list[str]:
    """Times the fastest model, and takes out those that cannot be fast enough by their cards.

    Returns: the models left.
    """
    limit, known = search.limits.max_latency_ms, reference()
    left = search.waiting()
    if limit is None or (search.engine, search.threads) != (known.engine, known.threads):
        return left
    for name in left:
        if name not in known.figures:
            return left
        files = _bring(search, [name])
        if not files:
            continue
        [row] = _bench(search, list(files.values()), _CALIBRATION_SECONDS)
        if row.latency is None:
            continue  # why is told when all are timed
        factor = row.latency.p50 / known.figures[name].p50
        search.tell(f"{name} takes {row.latency.p50:.3g} ms here, {factor:.2g} times the reference machine's")
        _skip_slow(search, factor, limit)
        break
    return search.waiting()


def _skip_slow(search: _Search, factor: float, limit: float) -> None:
    known = reference().figures
    for name in search.waiting():
        if name not in known:
            continue
        expected = known[name].p50 * factor
        search.rows[name] = replace(search.rows[name], expected=expected)
        if expected > limit * _DOUBT:
            reason = f"some {expected:.2g} ms are expected here, and at most {limit:g} ms is allowed"
            search.drop(name, "skipped", reason)


def _bring(search: _Search, names: Sequence[str]) -> dict[str, Path]:
    """Fetches models and converts them where they have to be. Returns: the files by name."""
    files: dict[str, Path] = {}
    for name, found in zoo.fetch_all(names, offline=search.offline):
        try:
            if isinstance(found, SanderlingError):
                raise found
            file = search.find(name)
            read_model(file)  # one that cannot be read must not keep the others from being timed
            files[name] = file
        except SanderlingError as error:
            search.drop(name, "failed", str(error))
    return files


def _time(search: _Search, files: dict[str, Path]) -> None:
    """Times all models against each other, and judges them."""
    if not files:
        return
    search.tell(f"timing {len(files)} models on {search.engine}, interleaved, for {search.seconds:g} s")
    for name, found in zip(files, _bench(search, list(files.values()), search.seconds), strict=True):
        if found.latency is None:
            search.drop(name, "failed", found.reason)
            continue
        row = replace(
            search.rows[name], p50=found.latency.p50, p90=found.latency.p90, p50_ci95=found.p50_ci95,
            size_bytes=found.size_bytes,
        )  # fmt: skip
        reason = judge(row, search.limits)
        search.rows[name] = replace(row, verdict="no" if reason else "fits", reason=reason)


def _bench(search: _Search, files: Sequence[Path], seconds: float) -> tuple[BenchRow, ...]:
    return bench(
        files, engines=[search.engine], threads=[search.threads], seconds=seconds, wanted=JUST_LATENCY
    ).rows
