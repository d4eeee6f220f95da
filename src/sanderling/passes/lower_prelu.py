"""PRELU as max(x, 0) + alpha · min(x, 0)."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    zero = at.number(0)
    below = at("MUL", at("MINIMUM", at.x, zero), at.node.inputs[1])
    at.last("ADD", at("MAXIMUM", at.x, zero), below)
    return True


PASS = lowering("PRELU", ("ADD", "MAXIMUM", "MINIMUM", "MUL"), lower)
