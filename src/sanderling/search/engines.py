"""Which engines may run the winner of a search."""

from __future__ import annotations

from sanderling.engines import registry
from sanderling.search.bench import USUAL

# What cannot be told from here runs what LiteRT runs: a phone, a Raspberry Pi.
_HERE = ("cpu",)


def others(target: str) -> tuple[str, ...]:
    """Returns: the variants, beside the usual engine's, in which a target may run a model, as people write
    them. Those that must be named are left out."""
    if target not in _HERE:
        return ()
    return tuple(str(v) for v in registry.every_variant() if v.choose and v.engine != USUAL)
