"""Which ways to run models are measured: named one by one, or all that are worth it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sanderling.engines import registry
from sanderling.engines.engine import Variant

ALL = "all"
_SLOW = "not among what engine=auto chooses from: slow by design, or hardware imitated in software"


def together(left_out: Mapping[str, str]) -> list[tuple[str, str]]:
    """Returns: what was left out, those with the same reason in one: (``webgpu, reference``, why)."""
    reasons: dict[str, list[str]] = {}
    for name, why in left_out.items():
        reasons.setdefault(why, []).append(name)
    return [(", ".join(names), why) for why, names in reasons.items()]


def chosen(named: Sequence[str]) -> tuple[list[Variant], dict[str, str]]:
    """Looks up ways to run models.

    Args:
        named: ``litert``, ``openvino:bf16``, or ``all`` for every one that may be chosen automatically.

    Returns: each once, in order; and what ``all`` leaves out, with the reason ({} without ``all``).

    Raises:
        UsageError: there is no such engine or variant.
    """
    found: list[Variant] = []
    left_out: dict[str, str] = {}
    for name in named:
        if name != ALL:
            found.append(registry.find_variant(name))
            continue
        every = registry.every_variant()
        # LiteRT is what the others are compared with.
        found += sorted((v for v in every if v.choose), key=lambda v: str(v) != "litert")
        left_out = {str(v): _SLOW for v in every if not v.choose}
        for engine in registry.names():
            ready = registry.find(engine).available()
            if not ready:
                left_out[engine] = ready.reason
    unique = list({str(variant): variant for variant in found}.values())
    return unique, {name: why for name, why in left_out.items() if name not in map(str, unique)}
