"""SQRT as x to the power of one half."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    at.last("POW", at.x, at.number(0.5))
    return True


PASS = lowering("SQRT", ("POW",), lower)
