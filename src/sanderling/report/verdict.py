"""The result of a search in one sentence, and what to do next when it is not what was hoped for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, inf, isfinite, log, log10

from sanderling.measure.results import Latency
from sanderling.report.data import ReportData
from sanderling.report.format import format_bytes, format_ms, format_ratio, format_share
from sanderling.search.budget import Budget
from sanderling.search.trial import Trial

# Below 5 % a gain is not worth a headline: it is of the order of the noise of a busy machine.
_SAME = 1.05


@dataclass(frozen=True, slots=True)
class Breach:
    """One limit of the budget that a trial does not keep.

    Attributes:
        what: ``drop``, ``latency``, ``size``, ``memory`` or ``throughput``.
        text: got and allowed, in words.
        option: the command line option, set so that this trial would pass: ``--max-drop 2.4%``.
        excess: how far off, as a logarithm of the ratio: comparable between limits.
    """

    what: str
    text: str
    option: str
    excess: float


@dataclass(frozen=True, slots=True)
class _Limit:
    what: str
    allowed: Callable[[Budget], float | None]
    got: Callable[[Trial], float | None]
    show: Callable[[float], str]
    option: Callable[[float], str]
    floor: bool = False  # a least value rather than a largest one


def _drop(trial: Trial) -> float | None:
    return trial.fidelity.drop if trial.fidelity else None


def _p50(trial: Trial) -> float | None:
    return trial.latency.typical if trial.latency else None


def _throughput(trial: Trial) -> float | None:
    return 1000 / trial.latency.typical if trial.latency and trial.latency.typical > 0 else None


def _per_second(calls: float) -> str:
    return f"{calls:.3g} calls/s"


_LIMITS = (
    _Limit("drop", lambda b: b.max_drop, _drop, format_share, lambda v: f"--max-drop {_up(v * 100)}%"),
    _Limit("latency", lambda b: b.max_latency_ms, _p50, format_ms, lambda v: f"--max-latency {_up(v)}ms"),
    _Limit("size", lambda b: b.max_size_bytes, lambda t: t.size_bytes or None, format_bytes,
           lambda v: f"--max-size {_up(v / 1e6)}MB"),
    _Limit("memory", lambda b: b.max_memory_bytes, lambda t: t.peak_memory_bytes, format_bytes,
           lambda v: f"--max-memory {_up(v / 1e6)}MB"),
    _Limit("throughput", lambda b: b.min_throughput, _throughput, _per_second,
           lambda v: f"--min-throughput {_down(v)}/s", floor=True),
)  # fmt: skip


def limits(budget: Budget) -> list[tuple[str, str]]:
    """Returns: each limit that is set, as (what, ``at most 5.00 ms``)."""
    rows = []
    for limit in _LIMITS:
        allowed = limit.allowed(budget)
        if allowed is not None:
            rows.append((limit.what, f"{'at least' if limit.floor else 'at most'} {limit.show(allowed)}"))
    return rows


def breaches(trial: Trial, budget: Budget) -> list[Breach]:
    """Returns: the limits that the trial's measured figures break; what was not measured breaks none."""
    found = []
    for limit in _LIMITS:
        allowed, got = limit.allowed(budget), limit.got(trial)
        if allowed is None or got is None or not isfinite(got):
            continue
        excess = _excess(allowed, got) if not limit.floor else _excess(got, allowed)
        if excess > 0:
            bound = "at least" if limit.floor else "at most"
            text = f"{limit.show(got)} instead of {bound} {limit.show(allowed)}"
            found.append(Breach(limit.what, text, limit.option(got), excess))
    return found


def nearest(data: ReportData) -> Trial | None:
    """Returns: the trial that breaks the budget least, None when none could be measured."""
    measured = [
        trial
        for trial in data.trials
        if trial.status != "failed"
        and not trial.only_compared
        and (trial.fidelity or trial.latency)
        and not (trial.fidelity and trial.fidelity.failure)
    ]

    def distance(trial: Trial) -> tuple[float, int, float]:
        unknown = (trial.fidelity is None) + (trial.latency is None)
        total = sum(breach.excess for breach in breaches(trial, data.budget))
        return total, unknown, trial.latency.typical if trial.latency else inf

    return min(measured, key=distance, default=None)


def is_float(trial: Trial) -> bool:
    """Returns: whether the trial is the original as it was given."""
    return not trial.recipe.steps and trial.cascade is None


def gains(trial: Trial, data: ReportData) -> tuple[float | None, float | None]:
    """Returns: how many times faster and how many times smaller than the float original."""
    size = data.baseline.size_bytes / trial.size_bytes if trial.size_bytes else None
    return trial.speedup, size


def float_wins(data: ReportData) -> bool:
    """Returns: whether the best is the original itself, no faster than it was."""
    best = data.winner
    return best is not None and not best.imitated and is_float(best) and (best.speedup or 1) < _SAME


def compose(data: ReportData) -> str:
    """Returns: the verdict in one sentence, without a final full stop."""
    unused = data.samples.unused_labels
    return _found(data) + (f"; the labels were not used: {unused}" if unused else "")


def _found(data: ReportData) -> str:
    best = data.winner
    if best is None:
        return _nothing_fits(data)
    if float_wins(data):
        if data.stopped and len(data.trials) == 1:
            return f"The original is kept: {data.stopped} before any other candidate could be measured"
        return f"Float wins here: {_why_float(data)}"
    if best.estimated and best.latency is not None:
        memory = format_bytes(best.peak_memory_bytes or 0)
        took = f"{format_ms(best.latency.p50)} and {memory} of SRAM, as {best.estimated} estimates"
        return f"{took}, {_answer_words(best, data)}"
    if best.imitated:
        arena = (
            "an arena"
            if best.peak_memory_bytes is None
            else f"{format_bytes(best.peak_memory_bytes)} of arena"
        )
        return f"{format_bytes(best.size_bytes)} of flash and {arena}, {_answer_words(best, data)}"
    return f"{_gain_words(best, data)}, {_answer_words(best, data)}{_cascade_words(best)}"


def _cascade_words(best: Trial) -> str:
    """How a cascade works, in a clause; "" for any other winner."""
    if best.cascade is None:
        return ""
    first, second = best.cascade.names
    kept = format_share(best.cascade.chosen.kept)
    return f"; a cascade: “{first}” answers {kept} of the samples alone, “{second}” is asked for the others"


def advice(data: ReportData) -> list[str]:
    """Returns: what the user can do next, most useful first; empty when all is well."""
    steps = []
    if data.samples.synthetic:
        steps.append("Give real inputs with --samples: these figures come from noise and prove nothing.")
    if data.stopped and (data.winner is None or is_float(data.winner)):
        steps.append(_more_time(data.budget.seconds))
    if data.winner is not None:
        return steps
    close = nearest(data)
    if close is None:
        if data.trials:
            steps.append("Run again with SANDERLING_DEBUG=1 to see where each candidate failed.")
        return steps
    broken = breaches(close, data.budget)
    if broken:
        options = " ".join(breach.option for breach in broken)
        steps.append(f"Accept “{close.name}” by running again with {options}.")
    if any(breach.what == "drop" for breach in broken) and data.samples.calibrate < 200:
        steps.append("Give more samples: a better calibration often lowers the drop.")
    if close.status == "undecided" and close.reason:
        steps.append(f"Settle “{close.name}”: {close.reason}.")
    if any(breach.what in ("latency", "throughput") for breach in broken):
        steps.append("Give a smaller model beside this one: the best of all that fit wins.")
    return steps


def _more_time(seconds: float | None) -> str:
    """Advice after a search that was too short: at least a minute, in which a small model gets through."""
    return f"Give the search more time: --time {ceil(max(60.0, 4 * (seconds or 0.0)) / 60)}m."


def _gain_words(best: Trial, data: ReportData) -> str:
    speed, size = gains(best, data)
    words: list[tuple[bool, str]] = []
    same = []
    for ratio, better, worse, equal in (
        (_thrift(best, data), "thriftier", "hungrier", "as thrifty"),
        (speed, "faster", "slower", "as fast"),
        (size, "smaller", "larger", "of the same size"),
    ):
        if ratio is None:
            continue
        if ratio >= _SAME or ratio <= 1 / _SAME:
            good = ratio > 1
            times = format_ratio(ratio if good else 1 / ratio, 2)
            words.append((good, f"{times} {better if good else worse}"))
        else:
            same.append(equal)
    if not words:
        return f"{' and '.join(same).capitalize() or 'Not compared in speed'} as the float original".replace(
            "of the same size as", "as small as"
        )
    joint = " but " if len({good for good, _ in words}) > 1 else " and "
    *first, last = (word for _, word in words)
    text = (f"{', '.join(first)}{joint}" if first else "") + f"{last} than the float original"
    if best.latency and best.threads != data.baseline.threads:
        text += f" ({_threads(best.latency, best.threads, data.baseline.threads)})"
    return f"{text}, {same[0]}" if same else text


def _thrift(best: Trial, data: ReportData) -> float | None:
    """How many times less energy it takes, where that is what was to be made small."""
    return 1 / best.energy.relative if best.energy and data.budget.minimize == "energy" else None


def _threads(latency: Latency, threads: int, original: int) -> str:
    """What was compared with what: the speed-up is that against the original on as many threads."""
    text = f"both on {threads} thread{'s' if threads != 1 else ''}"
    if isfinite(latency.reference_p50) and latency.typical > 0:
        text += (
            f"; {format_ratio(latency.reference_p50 / latency.typical, 2)} against the original on {original}"
        )
    return text


def _answer_words(best: Trial, data: ReportData) -> str:
    fidelity = data.confirm or best.fidelity
    if fidelity is None:
        return "with answers that were not compared"
    where = f"{fidelity.samples} samples " + ("it had not seen" if data.confirm else "it was chosen on")
    if data.samples.synthetic:
        where = f"{fidelity.samples} inputs of noise, which prove nothing about real ones"
    if "top-1 agreement" in fidelity.metric and isfinite(fidelity.value):
        if fidelity.drop == 0:
            return f"with the same answer on all {where}"
        text = f"with {format_share(fidelity.value)} of the same answers on {where}"
    else:
        metric = f" ({fidelity.metric})" if fidelity.metric else ""
        text = f"with a drop of {format_share(fidelity.drop)}{metric} on {where}"
    allowed = data.budget.max_drop
    if allowed is not None and fidelity.drop > allowed:
        text += f": more than the {format_share(allowed)} that was allowed"
    return text


def _why_float(data: ReportData) -> str:
    others = [t for t in data.trials if not is_float(t) and t.speedup is not None and t.status != "failed"]
    if not others:
        return "no other candidate could be made and run"
    fastest = max(others, key=lambda trial: trial.speedup or 0)
    assert fastest.speedup is not None
    if fastest.speedup < _SAME:
        runs = f"“{fastest.name}”, runs at {format_ratio(fastest.speedup)} the original’s speed"
        timely = " that there was time for" if data.stopped else ""
        if len(others) == 1:
            return f"the only other candidate{timely}, {runs}"
        none = f"none of the {len(others)} other candidates{timely} is faster on this machine"
        return f"{none}; the fastest, {runs}"
    lead = f"the fastest candidate, “{fastest.name}”, is {format_ratio(fastest.speedup, 2)} faster, but "
    broken = breaches(fastest, data.budget)
    if broken:
        return f"{lead}its {broken[0].what} is {broken[0].text}"
    return f"{lead}{fastest.reason or 'is not certain to keep the budget'}"


def _nothing_fits(data: ReportData) -> str:
    if not data.trials:
        return f"Nothing was measured: {data.stopped or 'no candidate was tried'}"
    close = nearest(data)
    count = f"{len(data.trials)} candidates" if len(data.trials) > 1 else "one candidate tried"
    if close is None:
        first = next((t for t in data.trials if not t.only_compared), data.trials[0])
        return f"None of the {count} could be measured; the first one’s reason: {first.reason}"
    asked = ", ".join(f"{what} {text}" for what, text in limits(data.budget))
    asked = f" ({asked})" if asked else ""
    broken = breaches(close, data.budget)
    off = " and ".join(f"a {b.what} of {b.text}" for b in broken)
    off = f" with {off}" if off else f": {close.reason}" if close.reason else ""
    return f"None of the {count} fits the budget{asked}; nearest is “{close.name}”{off}"


def _excess(allowed: float, got: float) -> float:
    # The small constant lets a budget of exactly 0 be exceeded by a finite amount.
    return log((max(got, 0) + 1e-6) / (max(allowed, 0) + 1e-6)) if got > allowed else 0.0


def _up(value: float) -> str:
    return _two_digits(value, ceil)


def _down(value: float) -> str:
    return _two_digits(value, floor)


def _two_digits(value: float, direction: Callable[[float], int]) -> str:
    """Two significant digits, rounded so that the value itself stays allowed."""
    if value <= 0:
        return "0"
    decimals = 1 - floor(log10(value))
    return f"{direction(round(value * 10.0**decimals, 12)) / 10.0**decimals:.{max(0, decimals)}f}"
