"""The ladder: which candidates are tried, in which order, and which are not worth their time.

A rung looks at what is known so far and proposes candidates one at a time; each is measured before the next
is asked for. A rung that cannot pay says so instead. Cheap and likely rungs come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sanderling.analysis.summary import Summary
from sanderling.compress.recipe import Recipe, Step
from sanderling.search.budget import Budget
from sanderling.search.trial import Trial


@dataclass(frozen=True, slots=True)
class Proposal:
    """A candidate to measure."""

    name: str
    recipe: Recipe
    rung: str
    threads: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rung, or a part of one, that is not climbed."""

    rung: str
    reason: str


@dataclass(slots=True)
class State:
    """What the ladder may know.

    Attributes:
        summary: what is in the model.
        budget: the user's limits, with the drop's default filled in.
        threads: the thread count at which candidates are compared.
        more_threads: other counts worth trying at the end.
        io: what static quantization does to the model's inputs and outputs.
        rewrites: what the lossless passes would do, one line each.
        trials: measured so far, in order.
        mixed_plans: gives lists of operators to keep float, shortest first; slow, so asked for only
            when static int8 is fast enough but not good enough. None when it cannot be had.
    """

    summary: Summary
    budget: Budget
    threads: int
    more_threads: tuple[int, ...]
    io: str
    rewrites: tuple[str, ...]
    mixed_plans: Callable[[Recipe], list[list[str]]]
    trials: list[Trial] = field(default_factory=list)

    @property
    def baseline(self) -> Trial:
        """The model as it is: always the first trial."""
        return self.trials[0]

    def of_rung(self, rung: str) -> list[Trial]:
        return [t for t in self.trials if t.rung == rung]

    def size_matters(self) -> bool:
        """True when a candidate that is not faster may still win."""
        return self.budget.minimize in ("size", "memory") or self.budget.max_size_bytes is not None


Rung = Callable[[State], Iterator[Proposal | Skipped]]

AS_IS, STATIC, DYNAMIC, FLOAT16, WEIGHTS, INT4, MIXED, LOSSLESS, THREADS = (
    "as it is", "static int8", "dynamic int8", "float16 weights", "weight-only int8", "int4 weights",
    "mixed int8 and float", "lossless rewrites", "more threads",
)  # fmt: skip
# Faster than the best so far by less than this is not worth a search of its own.
WORTH = 1.10
MIXED_TRIALS = 6


def _proposal(state: State, rung: str, name: str, *steps: Step) -> Proposal:
    return Proposal(name, Recipe(name, steps), rung, state.threads)


def as_is(state: State) -> Iterator[Proposal | Skipped]:
    """The model itself: what everything is compared with."""
    yield _proposal(state, AS_IS, "float, as it is" if state.summary.is_float else "as it is")


def _static(state: State, calibration: str, **settings: float) -> Proposal:
    label = calibration if not settings else f"{calibration} {settings['percentile']:g}"
    step = Step("static_int8", {"calibration": calibration, "io": state.io, **settings})
    return _proposal(state, STATIC, f"static int8, {label}", step)


def static_int8(state: State) -> Iterator[Proposal | Skipped]:
    """Integer weights and activations: the usual winner. The ranges differ, the speed does not."""
    if not state.summary.is_float:
        yield Skipped(STATIC, "the model is quantized already")
        return
    first = _static(state, "minmax")
    yield first
    measured = state.trials[-1]
    if measured.status == "failed":
        yield Skipped(STATIC, f"other ranges were not tried, min-max failed: {measured.reason}")
        return
    slow = measured.speedup is not None and measured.speedup < 1 / WORTH
    if slow and not state.size_matters():
        yield Skipped(STATIC, "other ranges were not tried: they change the answers, not the speed")
        return
    yield _static(state, "percentile", percentile=99.99)
    yield _static(state, "mse")
    yield _static(state, "octav")
    if not any(t.status == "ok" for t in state.of_rung(STATIC)):
        yield _static(state, "percentile", percentile=99.9)
        yield _static(state, "percentile", percentile=99.999)


def dynamic_int8(state: State) -> Iterator[Proposal | Skipped]:
    """Integer weights, activations quantized on the fly: needs no samples."""
    if not state.summary.is_float:
        yield Skipped(DYNAMIC, "the model is quantized already")
        return
    heavy = {"CONV_2D", "FULLY_CONNECTED"}
    present = {kind for kind, _ in state.summary.operators}
    if "DEPTHWISE_CONV_2D" in present and heavy & present:
        step = Step("dynamic_int8", {"operators": sorted(heavy)})
        yield _proposal(state, DYNAMIC, "dynamic int8, conv + fc", step)
    yield _proposal(state, DYNAMIC, "dynamic int8", Step("dynamic_int8"))


def float16(state: State) -> Iterator[Proposal | Skipped]:
    """Half the file, the same speed: weights are unpacked when the model is loaded."""
    if not state.summary.is_float:
        yield Skipped(FLOAT16, "the model is quantized already")
        return
    yield _proposal(state, FLOAT16, "float16 weights", Step("float16"))


def weight_only(state: State) -> Iterator[Proposal | Skipped]:
    """A quarter of the file; float arithmetic."""
    if not state.summary.is_float:
        yield Skipped(WEIGHTS, "the model is quantized already")
        return
    yield _proposal(state, WEIGHTS, "weight-only int8", Step("weight_only_int8"))


def int4(state: State) -> Iterator[Proposal | Skipped]:
    """The smallest file; answers usually suffer without training."""
    if not state.summary.is_float:
        yield Skipped(INT4, "the model is quantized already")
        return
    yield _proposal(state, INT4, "int4 weights", Step("int4_weights"))


def lossless(state: State) -> Iterator[Proposal | Skipped]:
    """Rewrites that keep the answers."""
    if not state.rewrites:
        yield Skipped(LOSSLESS, "there is nothing to fold or to remove in this model")
        return
    yield _proposal(state, LOSSLESS, "lossless rewrites", Step("lossless"))


def mixed(state: State) -> Iterator[Proposal | Skipped]:
    """Static int8 with the most damaging operators kept in float."""
    static = [t for t in state.of_rung(STATIC) if t.fidelity and t.latency and not t.fidelity.failure]
    if not static:
        yield Skipped(MIXED, "static int8 gave nothing to start from")
        return
    if any(t.status == "ok" for t in static):
        yield Skipped(MIXED, "static int8 keeps the budget without it")
        return
    fastest = max(t.speedup or 0.0 for t in static)
    best_ok = max((t.speedup or 0.0 for t in state.trials if t.status == "ok"), default=1.0)
    if fastest < best_ok * WORTH and not state.size_matters():
        yield Skipped(MIXED, f"static int8 is {fastest:.2f}x: keeping parts in float could only be slower")
        return
    start = min(static, key=lambda t: t.fidelity.drop if t.fidelity else float("inf"))
    plans = state.mixed_plans(start.recipe)
    if not plans:
        yield Skipped(MIXED, "there was no time to measure which operators do the damage")
        return
    yield from _bisect(state, start.recipe, plans)


def _bisect(state: State, recipe: Recipe, plans: list[list[str]]) -> Iterator[Proposal | Skipped]:
    """Looks for the shortest plan that keeps the budget: more operators in float, better and slower."""
    low, high, best = 0, len(plans) - 1, -1
    for _ in range(MIXED_TRIALS):
        if low > high:
            break
        middle = (low + high) // 2
        step = recipe.steps[0]
        settings = {**step.settings, "keep_float": plans[middle]}
        name = f"mixed int8, {len(plans[middle])} operators in float ({step.settings['calibration']})"
        yield _proposal(state, MIXED, name, Step(step.technique, settings))
        trial = state.trials[-1]
        if trial.status == "ok" or (trial.status == "rejected" and "slower" in trial.reason):
            best, high = middle, middle - 1
        else:
            low = middle + 1
    if best < 0:
        yield Skipped(MIXED, "no number of float operators kept the budget")


def threads(state: State) -> Iterator[Proposal | Skipped]:
    """The fastest candidates, and the original, on more threads."""
    if not state.more_threads:
        yield Skipped(THREADS, "one thread count was asked for, or the machine has one core")
        return
    good = [t for t in state.trials if t.status == "ok" and t.latency and t.rung != AS_IS]
    fastest = sorted(good, key=lambda t: t.latency.p50 if t.latency else 0.0)[:2]
    for count in state.more_threads:
        for trial in [state.baseline, *fastest]:
            base = trial.name
            yield Proposal(f"{base}, {count} threads", trial.recipe, THREADS, count)


LADDER: tuple[tuple[str, Rung], ...] = (
    (AS_IS, as_is),
    (STATIC, static_int8),
    (FLOAT16, float16),
    (DYNAMIC, dynamic_int8),
    (MIXED, mixed),
    (WEIGHTS, weight_only),
    (LOSSLESS, lossless),
    (INT4, int4),
    (THREADS, threads),
)
