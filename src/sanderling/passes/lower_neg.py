"""NEG as x · (−1)."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    at.last("MUL", at.x, at.number(-1))
    return True


PASS = lowering("NEG", ("MUL",), lower)
