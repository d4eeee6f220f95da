"""L2_NORMALIZATION as x / √max(Σ x², ε)."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering
from sanderling.passes.recognize_l2_normalizations import EPSILON


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    if at.activation != "NONE":
        return False
    total = at.reduce("SUM", at("MUL", at.x, at.x), [len(at.shape) - 1])
    rows = at.shape_of(total)
    floor = at("MAXIMUM", total, at.number(EPSILON**2), shape=rows)
    at.last("MUL", at.x, at("RSQRT", floor, shape=rows))
    return True


PASS = lowering("L2_NORMALIZATION", ("MAXIMUM", "MUL", "RSQRT", "SUM"), lower)
