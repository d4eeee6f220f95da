"""What gives a quantized model its accuracy back: tried on the whole model, in the order of price.

Each remedy builds on those before it that helped. Candidates are made and run in a process of its own, their
outputs compared with the float model's on samples that took no part in making them, and at the end all are
timed side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sanderling.compress.damage.why import INPUT
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import SanderlingError, WorkerError
from sanderling.graph.types import Array
from sanderling.isolation.client import Worker
from sanderling.measure.error_sum import ErrorSum
from sanderling.measure.results import Latency
from sanderling.measure.serving import Feed

Tell = Callable[[str, int, int], None]
_HELPS = 0.95  # an attempt is kept when the error comes down to this share
_ENOUGH = 0.001  # relative error at which nothing more is tried
_FOR_TIMING = 0.2  # share of the seconds
_TO_TIME = 2.0  # seconds at least: without the costs the rest says little
_FOR_ROUNDING = 0.5  # share of what is left, at most: float and int16 are to have their turn
_FOR_RANKING = 0.3  # share of what is left: which operators cost most once the cheaper remedies are taken
_COUNTS = (1, 2, 4, 8)  # operators that stay float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One remedy.

    Attributes:
        remedy: ``calibration``, ``weights``, ``equalize``, ``rounding``, ``float`` or ``int16``.
        what: which one, in words.
        recipe: as JSON values: with it the model can be made again.
        before, after: relative error of the worst output, before and with it; ``after`` is None where it was
            not tried.
        ms_before, ms: latency; None where it was not timed.
        kept: the later ones build on it.
        note: why it was not tried, or failed.
    """

    remedy: str
    what: str
    recipe: dict[str, Any]
    before: float
    after: float | None = None
    ms_before: float | None = None
    ms: float | None = None
    kept: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Remedies:
    """Attributes:
    attempts: in the order in which they were tried.
    error, ms: relative error of the quantized model's worst output, and its latency.
    float_ms: the float model's latency.
    reached: the smallest error reached.
    seconds: what it took.
    """

    attempts: tuple[Attempt, ...]
    error: float
    ms: float | None
    float_ms: float | None
    reached: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return asdict(self)


@dataclass(slots=True)
class _Base:
    """A way to quantize: steps before it, and its settings."""

    technique: str
    settings: dict[str, Any]
    prefix: tuple[Step, ...] = ()

    def recipe(self, name: str) -> Recipe:
        return Recipe(name, (*self.prefix, Step(self.technique, self.settings)))

    @property
    def learned(self) -> bool:
        return self.settings.get("rounding") == "learned"

    def but(self, **settings: Any) -> _Base:
        return _Base(self.technique, self.settings | settings, self.prefix)


def try_remedies(
    source: Path,
    quantized: Path,
    calibration: Path,
    feeds: Sequence[Feed],
    culprits: Sequence[str],
    folder: Path,
    *,
    bits: int = 8,
    activations: bool = True,
    seconds: float = 60.0,
    tell: Tell = lambda what, done, planned: None,
) -> Remedies:
    """Tries remedies in the order of price until the time is up.

    Args:
        source: the float model.
        quantized: the model to improve on.
        calibration: feeds to make candidates with, as ``calibration.save_feeds`` wrote them.
        feeds: samples to compare on, as the float model takes them.
        culprits: operators that cost accuracy, the worst first.
        folder: for candidates.
        bits: of the quantized model's weights: 8 or 4.
        activations: whether its activations are integers, too; without them only 4 bits can be mended.
        seconds: the time it may take.
        tell: told (what is tried, attempts done, attempts planned).

    Raises:
        SanderlingError: one of the two models cannot be run.
    """
    with Worker(name="engine") as worker:
        shop = _Shop(worker, source, calibration, feeds, folder, time.monotonic() + seconds)
        start = shop.error(quantized)
        attempts, files = _attempts(shop, start, quantized, culprits, _base(bits, activations), tell)
        timed = shop.times([quantized, source, *files], max(_TO_TIME, seconds * _FOR_TIMING))
        took = seconds - (shop.deadline - time.monotonic())
    ms = dict(zip([str(quantized), "float", *map(str, files)], timed, strict=True))
    rows: list[Attempt] = []
    previous: float | None = ms[str(quantized)]
    for attempt, file in attempts:
        own = ms.get(str(file)) if file is not None else None
        rows.append(replace(attempt, ms_before=previous, ms=own))
        previous = own if attempt.kept and own is not None else previous
    reached = min([start, *(a.after for a, _ in attempts if a.after is not None)])
    return Remedies(tuple(rows), start, ms[str(quantized)], ms["float"], reached, took)


class _Shop:
    """Makes candidates, compares their outputs with the float model's, and times them."""

    def __init__(
        self,
        worker: Worker,
        source: Path,
        calibration: Path,
        feeds: Sequence[Feed],
        folder: Path,
        deadline: float,
    ) -> None:
        self._worker, self.source, self._calibration, self._folder = worker, source, calibration, folder
        self._feeds, self.deadline = list(feeds), deadline
        self._seconds = deadline - time.monotonic()
        self._made = 0
        self._wanted = self._answers(source)

    @property
    def left(self) -> float:
        """Seconds until the time is up."""
        return self.deadline - time.monotonic()

    @property
    def usable(self) -> float:
        """Seconds for another attempt."""
        return self.left - max(_TO_TIME, self._seconds * _FOR_TIMING)

    def rank(self, source: Path, quantized: Path) -> list[str]:
        """Returns: the operators that cost most in a candidate, the worst first; none without time."""
        if self.usable * _FOR_RANKING < 1:
            return []
        value = self._worker.call(
            "sanderling.compress.damage.why:explain_in_worker", source=str(source), quantized=str(quantized),
            calibration=str(self._calibration), seconds=self.usable * _FOR_RANKING, helps=False,
            timeout=max(self.usable, 1.0), doing="ranking operators",
        )  # fmt: skip
        return [row["operator"] for row in value["culprits"] if row["kind"] != INPUT]

    def make(self, recipe: Recipe, part: float = 1.0) -> Path:
        """Makes a candidate.

        Args:
            recipe: how.
            part: of the time that is left, at most.

        Raises:
            SanderlingError: it cannot be made, or not in time.
        """
        out = self._folder / f"remedy{self._made}.tflite"
        self._made += 1
        self._worker.call(
            "sanderling.compress.apply:apply_in_worker", recipe=recipe.to_json(), source=str(self.source),
            out=str(out), calibration=str(self._calibration), timeout=max(part * self.usable, 1.0),
            doing=f"trying '{recipe.name}'",
        )  # fmt: skip
        return out

    def error(self, file: Path) -> float:
        """Returns: relative error of the worst output."""
        sums = [ErrorSum() for _ in self._wanted[0]]
        for wanted, got in zip(self._wanted, self._answers(file), strict=True):
            for total, a, b in zip(sums, wanted, got, strict=True):
                total.add(a, b)
        return max((s.relative for s in sums if not s.note), default=0.0)

    def times(self, files: Sequence[Path], seconds: float) -> list[float]:
        """Returns: the latency of each in ms, timed in turn."""
        handles = [self._load(file) for file in files]
        timed = self._worker.call(
            "sanderling.measure.latency:interleave_many", handles=handles, feeds=self._feeds[:2],
            seconds=seconds, timeout=10 * seconds + 60, doing="timing remedies",
        )  # fmt: skip
        # By the ratio to the first, in which the machine's drift cancels.
        first, *others = (Latency.from_json(row) for row in timed)
        return [first.p50, *(first.p50 / other.speedup for other in others)]

    def _load(self, file: Path) -> int:
        loaded = self._worker.call("sanderling.measure.serving:load", path=str(file), timeout=60.0)
        return int(loaded["handle"])

    def _answers(self, file: Path) -> list[list[Array]]:
        handle = self._load(file)
        given: list[list[Array]] = self._worker.call(
            "sanderling.measure.serving:run_many", handle=handle, feeds=self._feeds, dequantize=True,
            timeout=max(self.left, 0.0) + 60, doing=f"running {file.name}",
        )  # fmt: skip
        self._worker.call("sanderling.measure.serving:unload", handle=handle, timeout=60.0)
        return given


def _base(bits: int, activations: bool) -> _Base:
    if bits == 4:
        mode = "static" if activations else "weight_only"
        return _Base("int4_weights", {"mode": mode, "weights": "minmax"})
    return _Base("static_int8", {})


@dataclass(slots=True)
class _Trying:
    """Where a row of attempts stands."""

    shop: _Shop
    base: _Base
    error: float
    best: Path
    # The longest attempt so far in seconds, without and with learned rounding.
    longest: dict[bool, float] = field(default_factory=lambda: {False: 0.0, True: 0.0})

    def attempt(self, remedy: str, ways: Sequence[Way]) -> tuple[Attempt, Path | None]:
        """Tries the ways of one remedy, and goes on from the best if it helps."""
        note = ""
        found: tuple[float, str, _Base, Path] | None = None
        for what, change in ways:
            changed, began = change(self.base), time.monotonic()
            longest = max(self.longest[False], self.longest[changed.learned])
            if not note and self.shop.usable < longest:
                note = f"no time: it may take {longest:.0f} s, {max(self.shop.usable, 0):.0f} s are left"
            if note:
                break
            part = _FOR_ROUNDING if changed.learned and not self.base.learned else 1.0
            try:
                file = self.shop.make(changed.recipe(f"{remedy} {what}"), part)
                after = self.shop.error(file)
            except WorkerError as failed:
                note = failed.what
            except SanderlingError as refused:
                note = refused.what
                continue
            else:
                if found is None or after < found[0]:
                    found = after, what, changed, file
            self.longest[changed.learned] = max(self.longest[changed.learned], time.monotonic() - began)
        if found is None:
            return Attempt(remedy, "", self.base.recipe(remedy).to_json(), self.error, note=note), None
        after, what, changed, file = found
        recipe = changed.recipe(f"{remedy} {what}").to_json()
        kept = after < _HELPS * self.error
        done = Attempt(remedy, what, recipe, self.error, after, kept=kept, note=note)
        if kept:
            self.error, self.base, self.best = after, changed, file
        return done, file

    def remedies(self, culprits: Sequence[str]) -> Iterator[tuple[str, Sequence[Way]]]:
        """Yields: remedies with the ways to apply each, the cheapest first."""
        of_weights = self.base.settings.get("mode") == "weight_only"
        for remedy, ways in _CHEAP.items():
            if remedy != "calibration" or not of_weights:
                yield remedy, ways
        worst = self.worst(culprits)
        for count in (count for count in _COUNTS if count <= len(worst)):
            yield "float", [_kept_float(worst[:count])]
        if not of_weights:
            yield "int16", [_WIDE]

    def worst(self, culprits: Sequence[str]) -> Sequence[str]:
        """Returns: the operators that cost most in the best candidate so far."""
        try:
            source = self.shop.source
            if self.base.prefix:
                source = self.shop.make(Recipe("before quantizing", self.base.prefix))
            return self.shop.rank(source, self.best) or culprits
        except SanderlingError:  # those of the model that was given will do
            return culprits


def _attempts(
    shop: _Shop, start: float, quantized: Path, culprits: Sequence[str], base: _Base, tell: Tell
) -> tuple[list[tuple[Attempt, Path | None]], list[Path]]:
    """Returns: attempts with the file of each, and the files that are worth timing."""
    trying = _Trying(shop, base, start, quantized)
    attempts: list[tuple[Attempt, Path | None]] = []
    planned = len(_CHEAP) + len(_COUNTS) + 1
    for remedy, ways in trying.remedies(culprits):
        if trying.error < _ENOUGH:
            done = Attempt(
                remedy, "and all that is dearer", {}, trying.error, note="the error is small enough"
            )
            attempts.append((done, None))
            break
        tell(remedy, len(attempts), planned)
        attempts.append(trying.attempt(remedy, ways))
    return attempts, list(dict.fromkeys(path for _, path in attempts if path is not None))


Way = tuple[str, Callable[[_Base], _Base]]


def _setting(name: str, value: Any) -> Way:
    return str(value), lambda base: base.but(**{name: value})


def _before(what: str, step: Step) -> Way:
    return what, lambda base: replace(base, prefix=(step,))


def _kept_float(operators: Sequence[str]) -> Way:
    what = f"{len(operators)} operator{'s' if len(operators) > 1 else ''}"
    return what, lambda base: base.but(keep_float=list(operators))


# The cheapest first.
_CHEAP: dict[str, list[Way]] = {
    "calibration": [_setting("calibration", name) for name in ("minmax", "percentile", "mse", "entropy")],
    "weights": [_setting("weights", name) for name in ("mse", "octav")],
    "equalize": [
        _before("", Step("equalize", {})),
        _before("biases kept", Step("equalize", {"bias": "keep"})),
        _before("also behind RELU6", Step("equalize", {"relu6": "samples"})),
    ],
    "rounding": [_setting("rounding", "learned")],
}
# Ranges that cut values off pay with 256 steps, not with 65,536.
_WIDE: Way = (
    "activations",
    lambda base: base.but(activations="int16", calibration="minmax", keep_float=[]),
)
