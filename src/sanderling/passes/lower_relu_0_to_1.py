"""RELU_0_TO_1 as the x between 0 and 1."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    at.last("MINIMUM", at("MAXIMUM", at.x, at.number(0)), at.number(1))
    return True


PASS = lowering("RELU_0_TO_1", ("MAXIMUM", "MINIMUM"), lower)
