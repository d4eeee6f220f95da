"""Which of several measured models to take, and why. Nothing here measures anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sanderling.zoo.card import Quality

# Two times closer than this are the same: the machine's noise decides nothing.
_SAME = 1.03


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model must keep. None: no limit.

    Attributes:
        max_latency_ms: of the median call.
        max_size_bytes: of the file.
        input_size: the shorter side of its input picture must be at least this many pixels.
    """

    max_latency_ms: float | None = None
    max_size_bytes: int | None = None
    input_size: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Measured:
    """One model of a task.

    Attributes:
        name, subject: as on its card.
        size_bytes: of what the engine loads.
        input_shape: of its first input, −1 where a size is free.
        quality: a published figure, or None.
        expected: milliseconds per call that its card makes likely here; None when nothing is known.
        p50, p90: milliseconds per call here; None when it was not timed.
        p50_ci95: 95 % interval of ``p50``.
        verdict: ``fits``, ``no``, ``skipped`` or ``failed``; ``waiting`` until it is known.
        reason: why it does not fit, was skipped or failed; "" when it fits.
    """

    name: str
    subject: str
    size_bytes: int
    input_shape: tuple[int, ...]
    quality: Quality | None = None
    expected: float | None = None
    p50: float | None = None
    p90: float | None = None
    p50_ci95: tuple[float, float] | None = None
    verdict: str = "waiting"
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Choice:
    """The model to take for one subject.

    Attributes:
        subject: what its answers are about.
        name: of the model.
        reason: why this one, in words.
    """

    subject: str
    name: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return asdict(self)


def judge(row: Measured, limits: Limits) -> str:
    """Returns: why a model does not keep the limits, as far as it was measured; "" when it does."""
    if limits.max_size_bytes is not None and row.size_bytes > limits.max_size_bytes:
        return f"too large: {row.size_bytes:,} bytes, at most {limits.max_size_bytes:,} are allowed"
    side = _side(row.input_shape)
    if limits.input_size is not None and side is not None and side < limits.input_size:
        return f"too coarse: it sees {side} pixels, at least {limits.input_size} are asked for"
    if limits.max_latency_ms is None or row.p50 is None or row.p50_ci95 is None:
        return ""
    limit, high = limits.max_latency_ms, row.p50_ci95[1]
    if row.p50 > limit:
        return f"too slow: {row.p50:.3g} ms, at most {limit:g} ms is allowed"
    if high > limit:
        return f"too close to tell: {row.p50:.3g} ms, up to {high:.3g} ms, at most {limit:g} ms is allowed"
    return ""


def choose(rows: Sequence[Measured], limits: Limits) -> tuple[Choice, ...]:
    """Chooses one model per subject, for models about different things are no alternatives."""
    fitting: dict[str, list[Measured]] = {}
    for row in rows:
        if row.verdict == "fits":
            fitting.setdefault(row.subject, []).append(row)
    return tuple(_among(subject, found, limits) for subject, found in sorted(fitting.items()))


def _among(subject: str, fitting: list[Measured], limits: Limits) -> Choice:
    if len(fitting) == 1:
        kept = "that fits" if limits != Limits() else "there is"
        return Choice(subject, fitting[0].name, f"the only one {kept}")
    count = len(fitting)
    qualities = [row.quality for row in fitting if row.quality is not None]
    if len(qualities) == count and len({quality.metric for quality in qualities}) == 1:
        best = max(qualities, key=lambda quality: quality.value)
        chosen = next(row for row in fitting if row.quality is best)
        return Choice(subject, chosen.name, f"the best published figure of {count} that fit: {best.text}")
    least = min(_p50(row) for row in fitting)
    tied = [row for row in fitting if _p50(row) <= least * _SAME]
    chosen = min(tied, key=lambda row: row.size_bytes)
    how = "the fastest" if len(tied) == 1 else "the smallest of the fastest"
    others = ", ".join(row.name for row in fitting if row is not chosen)
    return Choice(
        subject, chosen.name,
        f"{how} of {count} that fit; no published figure compares it with {others}",
    )  # fmt: skip


def _p50(row: Measured) -> float:
    return float("inf") if row.p50 is None else row.p50


def nearest(rows: Sequence[Measured], limits: Limits) -> str:
    """Returns: of models none of which fits, the one that misses its limits by least, in words."""
    missed = [(_excess(row, limits), row) for row in rows if row.verdict in ("no", "skipped") and row.reason]
    if not missed:
        return ""
    _, row = min(missed, key=lambda pair: pair[0])
    return f"{row.name} comes nearest ({row.reason})"


def _excess(row: Measured, limits: Limits) -> float:
    """Returns: how many times over the limits a model is, at the worst of them."""
    side = _side(row.input_shape)
    shares = [1.0]
    if limits.max_size_bytes is not None:
        shares.append(row.size_bytes / limits.max_size_bytes)
    if limits.input_size is not None and side is not None:
        shares.append(limits.input_size / side)
    if limits.max_latency_ms is not None:
        shares.append((row.expected or _p50(row)) / limits.max_latency_ms)
    return max(shares)


def _side(shape: Sequence[int]) -> int | None:
    """Returns: the shorter side of an input picture in pixels, None where it is none or takes any size."""
    if len(shape) != 4:
        return None
    if shape[3] in (1, 3):
        side = min(shape[1], shape[2])
    elif shape[1] in (1, 3):
        side = min(shape[2], shape[3])
    else:
        return None
    return side if side > 0 else None
