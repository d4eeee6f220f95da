"""Whether a measured candidate keeps the budget, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.measure.fidelity import decide
from sanderling.measure.results import Energy, Fidelity, Latency
from sanderling.search.budget import Budget
from sanderling.search.trial import Status

# Energy is known to a few per cent: below this it is the same.
_NO_LESS = 1.03
Judgement = tuple[Status, str]


@dataclass(frozen=True, slots=True)
class Measured:
    """What there is to judge; None where it was not measured.

    Attributes:
        size_bytes, baseline_bytes: of the candidate's file and of the original's.
        latency, fidelity, peak_memory_bytes: as measured.
        is_original: it is the reference itself, which needs no proof that it answers like itself.
        energy: of a call; None when it was not measured.
        gains: it must gain something over the original to be worth anything (not so in a gate for CI).
    """

    size_bytes: int
    baseline_bytes: int
    latency: Latency | None
    fidelity: Fidelity | None
    peak_memory_bytes: int | None
    is_original: bool = False
    gains: bool = True
    energy: Energy | None = None


def judge(measured: Measured, budget: Budget) -> Judgement:
    """Returns: ``ok`` or why not. Wrong answers weigh before broken limits, those before being slow."""
    status: Status = "ok"
    reason = ""
    compared = measured.fidelity is not None and not measured.is_original
    if compared and measured.fidelity is not None and budget.max_drop is not None:
        status, reason = decide(measured.fidelity, budget.max_drop)
        if status == "rejected":
            return status, reason
    if over := _over_a_limit(measured, budget):
        return "rejected", over
    if not measured.is_original and measured.gains and (pointless := _pointless(measured, budget)):
        return "rejected", pointless
    return status, reason


def _over_a_limit(measured: Measured, budget: Budget) -> str:
    latency, size, memory = measured.latency, measured.size_bytes, measured.peak_memory_bytes
    if budget.max_size_bytes is not None and size > budget.max_size_bytes:
        return f"too large: {_mb(size)}, at most {_mb(budget.max_size_bytes)} is allowed"
    if latency and budget.max_latency_ms is not None and latency.typical > budget.max_latency_ms:
        return f"too slow: {latency.typical:.3g} ms, at most {budget.max_latency_ms:g} ms is allowed"
    if latency and budget.min_throughput is not None and 1000 / latency.typical < budget.min_throughput:
        rate = 1000 / latency.typical
        return f"too slow: {rate:.4g} a second, at least {budget.min_throughput:g} are asked for"
    if memory is not None and budget.max_memory_bytes is not None and memory > budget.max_memory_bytes:
        return f"takes {_mb(memory)} of memory, at most {_mb(budget.max_memory_bytes)} is allowed"
    return ""


def _pointless(measured: Measured, budget: Budget) -> str:
    """A candidate that gains nothing over the model as it is."""
    latency = measured.latency
    smaller = measured.size_bytes < measured.baseline_bytes
    if budget.minimize == "latency" and latency and latency.speedup_ci95[1] < 1:
        share = f", though {measured.baseline_bytes / measured.size_bytes:.1f}x smaller" if smaller else ""
        own, original = latency.typical, latency.baseline_p50
        return f"slower than the original here: {own:.3g} ms against {original:.3g}{share}"
    energy = measured.energy
    if budget.minimize == "energy" and energy and energy.relative > _NO_LESS:
        own, original = energy.joules * 1e3, energy.joules / energy.relative * 1e3
        return f"takes more energy than the original: {own:.3g} mJ a call against {original:.3g}"
    if budget.minimize == "size" and not smaller:
        sizes = f"{_mb(measured.size_bytes)} against {_mb(measured.baseline_bytes)}"
        return f"not smaller than the original: {sizes}"
    return ""


def _mb(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size >= 1e5 else f"{size / 1e3:.3g} KB"
