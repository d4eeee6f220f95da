"""ELU as max(x, 0) + exp(min(x, 0)) − 1."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    zero = at.number(0)
    below = at("SUB", at("EXP", at("MINIMUM", at.x, zero)), at.number(1))
    at.last("ADD", at("MAXIMUM", at.x, zero), below)
    return True


PASS = lowering("ELU", ("ADD", "EXP", "MAXIMUM", "MINIMUM", "SUB"), lower)
