"""TANH as 2 · logistic(2 x) − 1."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    half = at("LOGISTIC", at("MUL", at.x, at.number(2)))
    at.last("SUB", at("MUL", half, at.number(2)), at.number(1))
    return True


PASS = lowering("TANH", ("LOGISTIC", "MUL", "SUB"), lower)
