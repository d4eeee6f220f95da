"""SOFTMAX as exp(x − max) / Σ exp(x − max)."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    last = [len(at.shape) - 1]
    beta = float(at.node.attrs.get("beta", 1))
    x = at.x if beta == 1 else at("MUL", at.x, at.number(beta))
    power = at("EXP", at("SUB", x, at.reduce("REDUCE_MAX", x, last)))
    at.last("DIV", power, at.reduce("SUM", power, last))
    return True


PASS = lowering("SOFTMAX", ("DIV", "EXP", "MUL", "REDUCE_MAX", "SUB", "SUM"), lower)
