"""HARD_SWISH as x · relu6(x + 3) / 6."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    gate = at("ADD", at.x, at.number(3), fused_activation_function="RELU6")
    at.last("MUL", at.x, at("MUL", gate, at.number(1 / 6)))
    return True


PASS = lowering("HARD_SWISH", ("ADD", "MUL"), lower)
