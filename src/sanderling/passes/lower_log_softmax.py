"""LOG_SOFTMAX as x − max − log Σ exp(x − max)."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    last = [len(at.shape) - 1]
    shifted = at("SUB", at.x, at.reduce("REDUCE_MAX", at.x, last))
    total = at.reduce("SUM", at("EXP", shifted), last)
    at.last("SUB", shifted, at("LOG", total, shape=at.shape_of(total)))
    return True


PASS = lowering("LOG_SOFTMAX", ("EXP", "LOG", "REDUCE_MAX", "SUB", "SUM"), lower)
