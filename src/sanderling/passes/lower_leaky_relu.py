"""LEAKY_RELU as the greater of x and alpha · x, the smaller one where alpha is above 1."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    alpha = float(at.node.attrs.get("alpha", 0))
    at.last("MAXIMUM" if alpha <= 1 else "MINIMUM", at.x, at("MUL", at.x, at.number(alpha)))
    return True


PASS = lowering("LEAKY_RELU", ("MAXIMUM", "MINIMUM", "MUL"), lower)
