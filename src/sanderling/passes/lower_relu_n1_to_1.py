"""RELU_N1_TO_1 as the x between −1 and 1."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    at.last("MINIMUM", at("MAXIMUM", at.x, at.number(-1)), at.number(1))
    return True


PASS = lowering("RELU_N1_TO_1", ("MAXIMUM", "MINIMUM"), lower)
