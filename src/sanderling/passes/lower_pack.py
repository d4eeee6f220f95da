"""PACK as a CONCATENATION of reshaped values."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    axis = int(at.node.attrs.get("axis", 0)) % len(at.shape)
    shape = at.shape_of(at.x)
    if -1 in shape and axis == 0:
        return False
    longer = (*shape[:axis], 1, *shape[axis:])
    parts = [at.editor.reshape(i, longer, f"{at.editor.name(at.node)}/part") for i in at.node.inputs]
    at.last("CONCATENATION", *parts, axis=axis)
    return True


PASS = lowering("PACK", ("CONCATENATION", "RESHAPE"), lower)
