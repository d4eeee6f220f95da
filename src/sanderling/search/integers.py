"""The ladder for places where only whole integers run: a microcontroller, an NPU.

Every candidate but the original is quantized whole, inputs and outputs included, and runs in the engine that
imitates the place, where there is one: else in LiteRT. Times there are compared with one another only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sanderling.compress.recipe import Recipe, Step
from sanderling.search.bench import USUAL
from sanderling.search.choose import HARMLESS
from sanderling.search.recovery import learned, trained_integers
from sanderling.search.rungs import (
    AS_IS,
    INT4,
    LEARNED,
    REWRITE,
    SLIM,
    STATIC,
    TABLES,
    TRAINED,
    Proposal,
    Rung,
    Skipped,
    State,
    proposal,
)
from sanderling.search.trial import Trial

_CALIBRATIONS: tuple[dict[str, Any], ...] = (
    {"calibration": "percentile", "percentile": 99.99}, {"calibration": "mse"}, {"calibration": "octav"},
)  # fmt: skip
_EIGHT_BIT_SHARES = (0.0, 0.15, 0.4)
_SLIM_FIRST, _SLIM_STEP, _SLIM_TRIALS, _SLIM_LEAST = 0.6, 0.06, 6, 0.05
_VALUES = (64, 32, 16)  # of shared weights: indices of 6, 5 and 4 bits
_NARROWER, _TRIES = 0.7, 3
_NO_START = "static int8 gave nothing to start from"
_QUANTIZED = "the model is quantized already"


def as_is(state: State) -> Iterator[Proposal | Skipped]:
    """The model on LiteRT, which everything is compared with; then where it will run, if it can."""
    name = "float, as it is" if state.summary.is_float else "as it is"
    yield Proposal(name, Recipe(name), AS_IS, state.threads)
    if state.computes_float:
        return
    if state.float_ends:
        yield proposal(state, AS_IS, "integers in and out", Step("integer_ends"))
    elif state.engine != USUAL:
        yield Proposal(f"{name}, {state.engine}", Recipe(name), AS_IS, state.threads, state.engine)


def static_int8(state: State) -> Iterator[Proposal | Skipped]:
    """Whole integers. Rewriting the graph goes before if it makes the arena or the file smaller."""
    if not state.computes_float:
        yield Skipped(STATIC, _QUANTIZED)
        return
    if state.engine != USUAL and "FULLY_CONNECTED" in {kind for kind, _ in state.summary.operators}:
        state.int8 = {"one_scale": ["FULLY_CONNECTED"]}
    yield _static(state, {"calibration": "minmax"})
    first = state.trials[-1]
    yield from _rewritten(state, first)
    if state.int8 and not _harmless(state, _best(state, STATIC)):
        yield from _by_channel(state)
    best = _best(state, STATIC)
    if best is None:
        yield Skipped(STATIC, f"other ranges were not tried: {first.reason}")
        return
    if _harmless(state, best):
        yield Skipped(STATIC, "other ranges were not tried: the first ones cost next to nothing")
        return
    for settings in _CALIBRATIONS:
        yield _static(state, settings)
    best = _best(state, STATIC)
    if best is not None and not state.keeps_drop(best):
        name = best.name.removeprefix("rewritten, ").replace("static int8", "static int8, equalized", 1)
        yield proposal(state, STATIC, name, Step("equalize"), best.recipe.steps[-1])


def _rewritten(state: State, plain: Trial) -> Iterator[Proposal | Skipped]:
    if not state.rewrites:
        yield Skipped(REWRITE, "there is nothing in this model to fold, to fuse or to remove")
        return
    settings = {"without": list(state.without)} if state.without else {}
    state.prefix = (Step("rewrite", settings),)
    yield _static(state, {"calibration": "minmax"})
    if not _smaller(state.trials[-1], plain):
        state.prefix = ()


def _by_channel(state: State) -> Iterator[Proposal | Skipped]:
    """Fully connected layers with a scale for each channel: nearer, at eight bytes of arena for each of them,
    and older versions of TFLite Micro compute them wrong."""
    one = _best(state, STATIC)
    usual, state.int8 = state.int8, {}
    yield _static(state, {"calibration": "minmax"}, ", a scale for each channel")
    trial = state.trials[-1]
    if one is not None and (_drop(trial) > _drop(one) / 2 or trial.status == "failed"):
        state.int8 = usual


def _harmless(state: State, trial: Trial | None) -> bool:
    """Returns: whether a trial costs next to nothing of what may be lost."""
    return trial is not None and _drop(trial) <= HARMLESS * (state.budget.max_drop or 0.0)


def _smaller(trial: Trial, other: Trial) -> bool:
    """Returns: whether one is no larger in flash and arena than another that could be measured, if any."""
    if trial.peak_memory_bytes is None:
        return False
    if other.peak_memory_bytes is None:
        return True
    sizes = (trial.size_bytes, trial.peak_memory_bytes), (other.size_bytes, other.peak_memory_bytes)
    return all(mine <= theirs for mine, theirs in zip(*sizes, strict=True)) and sizes[0] != sizes[1]


def _static(state: State, settings: dict[str, Any], more: str = "") -> Proposal:
    label = settings["calibration"] + (f" {settings['percentile']:g}" if "percentile" in settings else "")
    step = Step("static_int8", {**settings, "io": state.io, **state.int8})
    return proposal(state, STATIC, f"static int8, {label}{more}", step)


def slim(state: State) -> Iterator[Proposal | Skipped]:
    """Fewer channels, quantized: the least that keeps the answers, then the most that keeps the limits."""
    if not state.computes_float:
        yield Skipped(SLIM, _QUANTIZED)
        return
    integers = _integers(state)
    if integers is None:
        yield Skipped(SLIM, _NO_START)
        return
    low, high = 0.0, 1.0  # shares of MACs: known to be too little, known to be enough
    for _ in range(_SLIM_TRIALS):
        keep = _SLIM_FIRST if (low, high) == (0.0, 1.0) else round((low + high) / 2, 3)
        yield proposal(state, SLIM, f"fewer channels, {keep:.0%} of MACs, int8", _slim(keep), integers)
        trial = state.trials[-1]
        if trial.status == "failed":
            return
        if state.keeps_drop(trial):
            high = keep
        else:
            low = keep
        if high - low < _SLIM_STEP or high <= 2 * _SLIM_LEAST:
            return


def int4(state: State) -> Iterator[Proposal | Skipped]:
    """Half of the flash for weights; TFLite Micro unpacks them into the arena."""
    if not state.computes_float:
        yield Skipped(INT4, _QUANTIZED)
        return
    if why := _no_small_weights(state) or _flash_is_enough(state):
        yield Skipped(INT4, why)
        return
    if _integers(state) is None:
        yield Skipped(INT4, _NO_START)
        return
    # TFLite Micro has FULLY_CONNECTED in 4 bits with one scale for all channels only.
    kinds = ["CONV_2D", "FULLY_CONNECTED"] if state.int8 else ["CONV_2D"]
    settings = {"mode": "static", "rounding": "learned", "io": state.io, "operators": kinds, **state.int8}
    for earlier, before in _starts(state):
        for share in _EIGHT_BIT_SHARES:
            name = f"{before}int4 weights{f' but {share:.0%} in int8' if share else ''}, learned rounding"
            more = {"eight_bit_share": share} if share else {}
            yield proposal(state, INT4, name, *earlier, Step("int4_weights", {**settings, **more}))
            trial = state.trials[-1]
            if trial.status == "failed" or state.may_win(trial):
                return
            if state.keeps_drop(trial):
                break


def tables(state: State) -> Iterator[Proposal | Skipped]:
    """Weights that share few values, as indices into tables: fewer and fewer, while answers bear it."""
    if why := _no_small_weights(state) or _flash_is_enough(state):
        yield Skipped(TABLES, why)
        return
    if not state.computes_float:
        ends = (Step("integer_ends"),) if state.float_ends else ()
        yield proposal(state, TABLES, "as it is, look-up tables", *ends, Step("look_up_tables"))
        return
    integers = _integers(state)
    if integers is None:
        yield Skipped(TABLES, _NO_START)
        return
    for earlier, before in _starts(state):
        for values in _VALUES:
            steps = (*earlier, Step("share", {"values": values}), integers, Step("look_up_tables"))
            yield proposal(
                state, TABLES, f"{before}{values} values for weights, int8, look-up tables", *steps
            )
            if not state.keeps_drop(state.trials[-1]) or state.may_win(state.trials[-1]):
                break


def _no_small_weights(state: State) -> str:
    """Returns: why weights of fewer than 8 bits are of no use there, "" where TFLite Micro unpacks them."""
    return "" if state.engine != USUAL else "TFLite Micro unpacks them, and it does not run there"


def _flash_is_enough(state: State) -> str:
    """Returns: why saving flash alone, at the price of the arena, is not worth a trial; "" where it is."""
    if not state.size_matters():
        return "it saves flash, and flash is not limited (--max-size)"
    if state.budget.minimize != "size" and any(state.may_win(t) for t in state.trials):
        return "it saves flash, and something fits without"
    return ""


def _starts(state: State) -> list[tuple[tuple[Step, ...], str]]:
    """Returns: what may go before, and its name: nothing; the narrowest network that keeps the answers."""
    found: list[tuple[tuple[Step, ...], str]] = [((), "")]
    kept = [float(_slim_of(state, t).settings["keep"]) for t in state.of_rung(SLIM) if state.keeps_drop(t)]
    if kept:
        found.append(((_slim(min(kept)),), f"fewer channels, {min(kept):.0%} of MACs, "))
    return found


def _slim_of(state: State, trial: Trial) -> Step:
    return trial.recipe.steps[len(state.prefix)]


def trained(state: State) -> Iterator[Proposal | Skipped]:
    """What misses the budget by little, trained; then the widest network that keeps the limits."""
    if not state.computes_float:
        yield Skipped(TRAINED, _QUANTIZED)
        return
    if state.no_training:
        yield Skipped(TRAINED, state.no_training)
        return
    yield from trained_integers(state)
    integers = _integers(state)
    if integers is None:
        return
    if any(state.may_win(t) for t in state.trials):
        yield Skipped(TRAINED, "fewer channels were not trained: something fits without")
        return
    keep = _fitting(state)
    for _ in range(_TRIES):
        minutes = state.training()
        if not minutes:
            yield Skipped(
                TRAINED, "fewer channels were not trained: there is no time for it, which --time gives"
            )
            return
        steps = (_slim(keep), Step("recover", {"minutes": minutes}), integers)
        yield proposal(state, TRAINED, f"fewer channels, {keep:.0%}, trained {minutes:g} min, int8", *steps)
        trial = state.trials[-1]
        if trial.status in ("ok", "failed") or not state.keeps_drop(trial):
            return
        keep = round(keep * _NARROWER, 3)


def _fitting(state: State) -> float:
    """Returns: the largest share of channels that was tried and keeps flash and arena; else half the least
    one."""
    tried = {float(_slim_of(state, t).settings["keep"]): t for t in state.of_rung(SLIM)}
    fits = [keep for keep, trial in tried.items() if _within(state, trial)]
    return max(fits) if fits else round(min(tried, default=1.0) / 2, 3)


def _within(state: State, trial: Trial) -> bool:
    budget, memory = state.budget, trial.peak_memory_bytes
    small = budget.max_size_bytes is None or trial.size_bytes <= budget.max_size_bytes
    return small and memory is not None and memory <= (budget.max_memory_bytes or memory)


def _slim(keep: float) -> Step:
    return Step("slim", {"keep": keep})


def _integers(state: State) -> Step | None:
    """Returns: the static quantization that did best so far."""
    best = _best(state, STATIC)
    return None if best is None else best.recipe.steps[-1]


def _best(state: State, rung: str) -> Trial | None:
    measured = [t for t in state.of_rung(rung) if t.fidelity and not t.fidelity.failure]
    return min(measured, key=_drop, default=None)


def _drop(trial: Trial) -> float:
    return trial.fidelity.drop if trial.fidelity else float("inf")


LADDER: tuple[tuple[str, Rung], ...] = (
    (AS_IS, as_is),
    (STATIC, static_int8),
    (LEARNED, learned),
    (SLIM, slim),
    (INT4, int4),
    (TABLES, tables),
    (TRAINED, trained),
)
