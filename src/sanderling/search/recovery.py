"""Rungs that win answers back: learned rounding, and training towards the original's answers.

They are climbed where what is cheaper misses the budget, or where the user left time for them.
"""

from __future__ import annotations

from collections.abc import Iterator

from sanderling.compress.recipe import Step
from sanderling.search.rungs import (
    DYNAMIC,
    INT4,
    LEARNED,
    SLIM,
    STATIC,
    TRAINED,
    WORTH,
    ZEROS,
    Proposal,
    Skipped,
    State,
    proposal,
)
from sanderling.search.trial import Trial

# Training that starts further from the budget than this many of it does not arrive.
_REACH = 12.0
_TRIES, _NARROWER = 3, 0.7  # with fewer channels: so many, each with this share of the one before
_NARROWEST = 0.05
_LAYERS = 4  # with fewer, a half of them is too much of the network
_ZEROS = (0.5, 0.7, 0.85, 0.95)
_NO_TIME = "there is no time for it, which --time or --train give"


def learned(state: State) -> Iterator[Proposal | Skipped]:
    """Static int8 with rounding chosen by what every operator gives, where rounding to the nearest fails."""
    best = _nearest(state, STATIC)
    if best is None:
        yield Skipped(LEARNED, "static int8 gave nothing to start from")
        return
    if any(state.keeps_drop(t) for t in state.of_rung(STATIC)):
        yield Skipped(LEARNED, "the nearest integers keep the budget")
        return
    if _slow(state, best):
        yield Skipped(LEARNED, f"static int8 is {best.speedup or 0:.2f}x, and rounding does not change that")
        return
    step = best.recipe.steps[-1]
    name = best.name.removeprefix("rewritten, ")
    earlier = best.recipe.steps[len(state.prefix) : -1]
    yield proposal(state, LEARNED, f"{name}, learned rounding", *earlier, _with(step, rounding="learned"))


def trained(state: State) -> Iterator[Proposal | Skipped]:
    """What misses the budget by little, trained; then fewer channels and layers than can go without."""
    if not state.summary.is_float:
        yield Skipped(TRAINED, "the model is quantized already")
        return
    if state.no_training:
        yield Skipped(TRAINED, state.no_training)
        return
    yield from trained_integers(state)
    yield from _trained_slim(state)
    yield from _trained_shorter(state)


def zeros(state: State) -> Iterator[Proposal | Skipped]:
    """Weights that matter least become zero and are left out of the file, as many as the budget bears."""
    if not state.summary.is_float:
        yield Skipped(ZEROS, "the model is quantized already")
        return
    if not state.size_matters() and state.regularizer is None:
        yield Skipped(ZEROS, "zeros make the file smaller, not faster, and the size is not limited")
        return
    integers = next((t for t in state.of_rung(STATIC) if t.status == "ok"), None)
    for share in _ZEROS:
        pruned = Step("prune", {"sparsity": share, "encode": integers is None, **_regularized(state)})
        steps, name = [pruned], f"{share:.0%} zeros"
        if integers is not None:
            steps += [*integers.recipe.steps[len(state.prefix) :], Step("sparse")]
            name += ", static int8"
        yield proposal(state, ZEROS, name, *steps)
        if not state.keeps_drop(state.trials[-1]):
            return


def _regularized(state: State) -> dict[str, object]:
    minutes = state.training() if state.regularizer is not None and not state.no_training else 0.0
    if state.regularizer is None or not minutes:
        return {}
    kind, strength = state.regularizer
    return {"regularizer": kind, "lambda": strength, "minutes": minutes}


def trained_integers(state: State) -> Iterator[Proposal | Skipped]:
    """The best integers, trained, where none keep the budget and these come near."""
    candidates = [_nearest(state, rung) for rung in (LEARNED, STATIC, INT4)]
    start = next((t for t in candidates if t is not None), None)
    integers = [t for rung in (LEARNED, STATIC) for t in state.of_rung(rung)]
    if start is None or any(state.keeps_drop(t) for t in integers):
        return
    minutes = state.training()
    if not minutes:
        yield Skipped(TRAINED, f"int8 was not trained: {_NO_TIME}")
        return
    if _slow(state, start):
        yield Skipped(TRAINED, f"int8 was not trained: it is {start.speedup or 0:.2f}x, trained or not")
        return
    if _drop(start) > _REACH * (state.budget.max_drop or 0.0):
        yield Skipped(TRAINED, f"int8 was not trained: a drop of {_drop(start):.2%} is too far away")
        return
    *earlier, step = start.recipe.steps[len(state.prefix) :]
    name = start.name.removeprefix("rewritten, ")
    yield proposal(state, TRAINED, f"{name}, trained {minutes:g} min", *earlier, _with(step, minutes=minutes))


def _trained_slim(state: State) -> Iterator[Proposal | Skipped]:
    """Goes on from the narrowest network that was tried, as far as training makes up for it."""
    tried = [t for t in state.of_rung(SLIM) if t.status != "failed" and len(_slims(t)) == 1]
    if not tried:
        yield Skipped(TRAINED, "fewer channels were not trained: none could be removed")
        return
    slim = min((_slims(t)[0] for t in tried), key=lambda step: float(step.settings["keep"]))
    keep = float(slim.settings["keep"])
    integers = max((t.speedup or 0.0 for t in state.of_rung(STATIC)), default=0.0)
    for _ in range(_TRIES):
        minutes = state.training()
        if not minutes:
            yield Skipped(TRAINED, f"fewer channels were not trained: {_NO_TIME}")
            return
        foretold = _foretold(tried, keep) * max(integers, 1.0)
        if foretold < state.best_speedup() * WORTH and not state.size_matters():
            yield Skipped(TRAINED, f"fewer channels were not trained: at most {foretold:.2f}x is foretold")
            return
        steps = [Step("slim", {**slim.settings, "keep": keep}), Step("recover", {"minutes": minutes})]
        name = f"fewer channels, {keep:.0%}, trained {minutes:g} min"
        if integers > WORTH:
            steps.append(Step("static_int8", {"calibration": "minmax", "io": state.io, **state.int8}))
            name += ", static int8"
        yield proposal(state, TRAINED, name, *steps)
        if not state.keeps_drop(state.trials[-1]):
            return
        keep = round(keep * _NARROWER, 3)
        if keep < _NARROWEST:
            return


def _trained_shorter(state: State) -> Iterator[Proposal | Skipped]:
    """Half of the layers: first as they are, which tells what they save and how far the answers are off."""
    if state.layers < _LAYERS:
        return
    if not state.training():
        yield Skipped(TRAINED, f"fewer layers were not trained: {_NO_TIME}")
        return
    left = state.layers // 2
    name = f"{left} of {state.layers} layers"
    short = Step("shorten", {"layers": left})
    yield proposal(state, TRAINED, name, short)
    trial = state.trials[-1]
    if trial.fidelity is None or trial.fidelity.failure or state.keeps_drop(trial):
        return
    integers = _integers(state)
    foretold = (trial.speedup or 0.0) * (integers.speedup or 1.0 if integers else 1.0)
    if foretold < state.best_speedup() * WORTH and not state.size_matters():
        yield Skipped(TRAINED, f"fewer layers were not trained: at most {foretold:.2f}x is foretold")
        return
    if _drop(trial) > _REACH * (state.budget.max_drop or 0.0):
        yield Skipped(TRAINED, f"fewer layers were not trained: a drop of {_drop(trial):.2%} is too far away")
        return
    minutes = state.training()
    if not minutes:
        yield Skipped(TRAINED, f"fewer layers were not trained: {_NO_TIME}")
        return
    steps, name = [short, Step("recover", {"minutes": minutes})], f"{name}, trained {minutes:g} min"
    if integers is not None:
        steps += integers.recipe.steps[len(state.prefix) :]
        name += f", {integers.rung}"
    yield proposal(state, TRAINED, name, *steps)


def _integers(state: State) -> Trial | None:
    """Returns: the quickest integers that keep the budget by themselves, None where float is as quick."""
    kept = [t for rung in (STATIC, DYNAMIC) for t in state.of_rung(rung) if t.status == "ok"]
    return max((t for t in kept if (t.speedup or 0.0) > WORTH), key=lambda t: t.speedup or 0.0, default=None)


def _foretold(tried: list[Trial], keep: float) -> float:
    """Returns: the speed-up of a share of the arithmetic, as the shares that were timed tell."""
    nearest = min(tried, key=lambda t: abs(float(_slims(t)[0].settings["keep"]) - keep))
    known = float(_slims(nearest)[0].settings["keep"])
    return (nearest.speedup or 1.0) * known / keep


def _slims(trial: Trial) -> list[Step]:
    return [step for step in trial.recipe.steps if step.technique == "slim"]


def _nearest(state: State, rung: str) -> Trial | None:
    """Returns: a rung's trial of the smallest drop."""
    found = [t for t in state.of_rung(rung) if t.fidelity and t.latency and not t.fidelity.failure]
    return min(found, key=_drop, default=None)


def _slow(state: State, trial: Trial) -> bool:
    return (trial.speedup or 0.0) < state.best_speedup() * WORTH and not state.size_matters()


def _drop(trial: Trial) -> float:
    return trial.fidelity.drop if trial.fidelity else float("inf")


def _with(step: Step, **settings: object) -> Step:
    return Step(step.technique, {**step.settings, **settings})
