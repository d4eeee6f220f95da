"""ADD_N as one ADD after the other."""

from __future__ import annotations

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    total, *rest = at.node.inputs
    if not rest:
        return False
    for index in rest[:-1]:
        total = at("ADD", total, index)
    at.last("ADD", total, rest[-1])
    return True


PASS = lowering("ADD_N", ("ADD",), lower)
