"""LOGISTIC as 1 / (1 + exp(−x))."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    power = at("EXP", at("MUL", at.x, at.number(-1)))
    at.last("DIV", at.number(1), at("ADD", power, at.number(1)))
    return True


PASS = lowering("LOGISTIC", ("ADD", "DIV", "EXP", "MUL"), lower)
