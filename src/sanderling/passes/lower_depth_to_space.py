"""DEPTH_TO_SPACE as RESHAPE, TRANSPOSE, RESHAPE."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    n, height, width, _ = at.shape_of(at.x)
    size, channels = int(at.node.attrs.get("block_size", 0)), at.shape[3]
    if n < 0 or size < 1:
        return False
    at.through((n * height, width, size, size, channels), (0, 2, 1, 3, 4))
    return True


PASS = lowering("DEPTH_TO_SPACE", ("RESHAPE", "TRANSPOSE"), lower)
