"""The ladder: which candidates are tried, in which order, and which are not worth their time.

A rung looks at what is known so far and proposes candidates one at a time; each is measured before the next
is asked for. A rung that cannot pay says so instead. Cheap and likely rungs come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sanderling.compress.recipe import Recipe, Step
from sanderling.search.recovery import learned, trained, zeros
from sanderling.search.rungs import (
    AS_IS,
    DYNAMIC,
    ENGINES,
    FLOAT16,
    INT4,
    LEARNED,
    MIXED,
    REWRITE,
    SLIM,
    STATIC,
    THREADS,
    TRAINED,
    WEIGHTS,
    WORTH,
    ZEROS,
    Proposal,
    Rung,
    Skipped,
    State,
    proposal,
)
from sanderling.search.trial import Trial

# A drop beyond this many budgets is not mended by other ranges.
NEAR = 4.0
MIXED_TRIALS = 6
SLIM_TRIALS, SLIM_FIRST, SLIM_STEP = 6, 0.6, 0.06
EIGHT_BIT_SHARES = (0.15, 0.4)


def as_is(state: State) -> Iterator[Proposal | Skipped]:
    """The model itself: what everything is compared with."""
    name = "float, as it is" if state.summary.is_float else "as it is"
    yield Proposal(name, Recipe(name), AS_IS, state.threads)


def rewrite(state: State) -> Iterator[Proposal | Skipped]:
    """The same arithmetic in a form that the engine runs faster. If it pays, everything else builds on it."""
    if not state.rewrites and not state.resizable:
        yield Skipped(REWRITE, "there is nothing in this model to fold, to fuse or to remove")
        return
    settings = {"without": list(state.without)} if state.without else {}
    steps = [("rewritten", Step("rewrite", settings))] if state.rewrites else []
    if state.resizable:
        steps.append(("rewritten for fixed sizes", Step("rewrite", {"static_batch": True, **settings})))
    best = 1.0
    for name, step in steps:
        yield Proposal(name, Recipe(name, (step,)), REWRITE, state.threads)
        measured = state.trials[-1]
        gain = measured.latency.speedup_ci95[0] if measured.latency else 0.0
        if measured.status == "ok" and gain > best:
            state.prefix, best = (step,), gain


def _static(state: State, calibration: str, **settings: float) -> Proposal:
    label = calibration if not settings else f"{calibration} {settings['percentile']:g}"
    label += ", narrow float" if state.int8 else ""
    step = Step("static_int8", {"calibration": calibration, "io": state.io, **state.int8, **settings})
    return proposal(state, STATIC, f"static int8, {label}", step)


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
    if state.narrow and state.io == "float":
        state.int8 = {"narrow": False}
        yield _static(state, "minmax")
        if (state.trials[-1].speedup or 0.0) > (measured.speedup or 0.0):
            measured = state.trials[-1]
        else:
            state.int8 = {}
    if (measured.speedup or 0.0) * WORTH < state.best_speedup() and not state.size_matters():
        yield Skipped(STATIC, "other ranges were not tried: they change the answers, not the speed")
        return
    yield _static(state, "percentile", percentile=99.99)
    yield _static(state, "mse")
    yield _static(state, "octav")
    drops = [t.fidelity.drop for t in state.of_rung(STATIC) if t.fidelity]
    allowed = state.budget.max_drop or 0.0
    if allowed < min(drops, default=0.0) <= NEAR * allowed:
        yield _static(state, "percentile", percentile=99.9)
        yield _static(state, "percentile", percentile=99.999)
    if min(drops, default=0.0) > allowed:
        yield _equalized(state)


def _equalized(state: State) -> Proposal:
    """Returns: static int8 with the ranges that did best so far, behind cross-layer equalisation."""
    measured = [t for t in state.of_rung(STATIC) if t.fidelity]
    best = min(measured, key=_drop)
    name = best.name.removeprefix("rewritten, ").replace("static int8", "static int8, equalized", 1)
    return proposal(state, STATIC, name, Step("equalize"), best.recipe.steps[-1])


def dynamic_int8(state: State) -> Iterator[Proposal | Skipped]:
    """Integer weights, activations quantized on the fly: needs no samples."""
    if not state.summary.is_float:
        yield Skipped(DYNAMIC, "the model is quantized already")
        return
    heavy = {"CONV_2D", "FULLY_CONNECTED"}
    present = {kind for kind, _ in state.summary.operators}
    if "DEPTHWISE_CONV_2D" in present and heavy & present:
        step = Step("dynamic_int8", {"operators": sorted(heavy)})
        yield proposal(state, DYNAMIC, "dynamic int8, conv + fc", step)
    yield proposal(state, DYNAMIC, "dynamic int8", Step("dynamic_int8"))


def float16(state: State) -> Iterator[Proposal | Skipped]:
    """Half the file, the same speed: weights are unpacked when the model is loaded."""
    if not state.summary.is_float:
        yield Skipped(FLOAT16, "the model is quantized already")
        return
    if "float32" not in state.summary.precisions:
        yield Skipped(FLOAT16, "the weights are float16 already")
        return
    yield proposal(state, FLOAT16, "float16 weights", Step("float16"))


def weight_only(state: State) -> Iterator[Proposal | Skipped]:
    """A quarter of the file; float arithmetic."""
    if not state.summary.is_float:
        yield Skipped(WEIGHTS, "the model is quantized already")
        return
    yield proposal(state, WEIGHTS, "weight-only int8", Step("weight_only_int8"))


def int4(state: State) -> Iterator[Proposal | Skipped]:
    """The smallest file; answers usually suffer without training."""
    if not state.summary.is_float:
        yield Skipped(INT4, "the model is quantized already")
        return
    yield proposal(state, INT4, "int4 weights", Step("int4_weights"))
    if state.size_matters() and not state.wrong_ends:
        settings: dict[str, Any] = {"mode": "static", "rounding": "learned", "io": state.io}
        yield proposal(state, INT4, "int4 weights, learned rounding", Step("int4_weights", settings))
        for share in EIGHT_BIT_SHARES:
            if state.trials[-1].status == "failed" or state.keeps_drop(state.trials[-1]):
                break
            name = f"int4 weights but {share:.0%} in int8, learned rounding"
            yield proposal(state, INT4, name, Step("int4_weights", {**settings, "eight_bit_share": share}))


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
    if fastest < state.best_speedup() * WORTH and not state.size_matters():
        yield Skipped(MIXED, f"static int8 is {fastest:.2f}x, and keeping parts in float is slower still")
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
        step = recipe.steps[-1]
        settings = {**step.settings, "keep_float": plans[middle]}
        kept = "1 operator" if len(plans[middle]) == 1 else f"{len(plans[middle])} operators"
        name = f"mixed int8, {kept} in float ({step.settings['calibration']})"
        yield proposal(state, MIXED, name, Step(step.technique, settings))
        if state.keeps_drop(state.trials[-1]):
            best, high = middle, middle - 1
        else:
            low = middle + 1
    if best < 0:
        yield Skipped(MIXED, "no number of float operators kept the budget")


def slim(state: State) -> Iterator[Proposal | Skipped]:
    """Fewer channels: less arithmetic, faster on every engine. Looks for the least that keeps the budget."""
    if not state.summary.is_float:
        yield Skipped(SLIM, "the model is quantized already")
        return
    table = state.widths(state.prefix)
    by = {"latency": table} if table else {}
    of = "the time" if table else "MACs"
    low, high = 0.0, 1.0  # shares of that: known to be too little, known to be enough
    best: Trial | None = None
    for _ in range(SLIM_TRIALS):
        keep = SLIM_FIRST if (low, high) == (0.0, 1.0) else round((low + high) / 2, 3)
        step = Step("slim", {"keep": keep, **by})
        yield proposal(state, SLIM, f"fewer channels, {keep:.0%} of {of}", step)
        trial = state.trials[-1]
        if trial.status == "failed":
            break
        if trial.status == "ok":
            best, high = trial, keep
        else:
            low = keep
        if high - low < SLIM_STEP:
            break
    if best is None:
        return
    slimmed = next(step for step in best.recipe.steps if step.technique == "slim")
    less = f"fewer channels, {slimmed.settings['keep']:.0%} of {of}"
    if max((t.speedup or 0.0 for t in state.of_rung(STATIC)), default=0.0) > WORTH:
        step = Step("static_int8", {"calibration": "minmax", "io": state.io, **state.int8})
        yield proposal(state, SLIM, f"{less}, static int8", slimmed, step)
    if not state.wrong_ends:
        yield proposal(state, SLIM, f"{less}, weight-only int8", slimmed, Step("weight_only_int8"))


def _promising(state: State) -> list[Trial]:
    """Returns: what is worth trying on another engine: the original, the fastest that keep every limit, and
    the best in integers, which on another engine may be fast where it is slow on this one."""
    keeping = [t for t in state.trials if state.keeps_drop(t) and t.rung != AS_IS]
    fastest = sorted((t for t in keeping if state.may_win(t)), key=_cost)
    integers = sorted((t for t in keeping if t.rung == STATIC), key=_drop)
    original = [] if state.wrong_ends else [state.baseline]
    chosen = [*original, *fastest[:2], *integers[:1]]
    return list({t.id: t for t in chosen}.values())


def _cost(trial: Trial) -> float:
    return trial.latency.cost if trial.latency else float("inf")


def _drop(trial: Trial) -> float:
    return trial.fidelity.drop if trial.fidelity else float("inf")


def engines(state: State) -> Iterator[Proposal | Skipped]:
    """The most promising candidates on every other engine that may run the winner."""
    if not state.engines:
        yield Skipped(ENGINES, state.no_engines)
        return
    promising = _promising(state)
    for engine in state.engines:
        for trial in promising:
            yield Proposal(f"{trial.name}, {engine}", trial.recipe, ENGINES, state.threads, engine)
            if trial is state.baseline and (measured := state.trials[-1]).status == "failed":
                yield Skipped(ENGINES, f"{engine} was not tried further: {measured.reason}")
                break


def threads(state: State) -> Iterator[Proposal | Skipped]:
    """The fastest candidates, and the original, on more threads."""
    if not state.more_threads:
        yield Skipped(THREADS, "one thread count was asked for, or the machine has one core")
        return
    good = [t for t in state.trials if state.may_win(t) and t.latency and t.rung != AS_IS]
    fastest = sorted(good, key=_cost)[:2]
    for count in state.more_threads:
        for trial in fastest if state.wrong_ends else [state.baseline, *fastest]:
            base = trial.name
            yield Proposal(f"{base}, {count} threads", trial.recipe, THREADS, count, trial.engine)


LADDER: tuple[tuple[str, Rung], ...] = (
    (AS_IS, as_is),
    (REWRITE, rewrite),
    (STATIC, static_int8),
    (LEARNED, learned),
    (SLIM, slim),
    (MIXED, mixed),
    (FLOAT16, float16),
    (DYNAMIC, dynamic_int8),
    (WEIGHTS, weight_only),
    (INT4, int4),
    (ZEROS, zeros),
    (TRAINED, trained),
    (ENGINES, engines),
    (THREADS, threads),
)


def of_recipe(recipe: Recipe) -> tuple[tuple[str, Rung], ...]:
    """Returns: the ladder of ``--recipe``: the original, and the given recipe."""

    def given(state: State) -> Iterator[Proposal | Skipped]:
        yield Proposal(recipe.name, recipe, "given recipe", state.threads, state.engine)

    return ((AS_IS, as_is), ("given recipe", given))
