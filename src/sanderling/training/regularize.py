"""Penalties that draw weights towards zero while they are trained, in units of what they are at the start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

REGULARIZERS = ("none", "l1", "l2", "group")
_TINY = 1e-12


def penalty_of(
    torch: Any, weights: Sequence[tuple[Any, int]], kind: str, strength: float
) -> Callable[[], Any] | None:
    """Returns: for ``Teaching.penalty``: ``strength`` at the start, 0 where all weights are zero.

    Args:
        torch: the module.
        weights: parameters, each with the axis of its output channels.
        kind: ``l1``: sizes; ``l2``: squares; ``group``: the norms of output channels, so that whole channels
            go; ``none``.
        strength: λ.

    Source: Yuan and Lin, Model selection and estimation in regression with grouped variables (2006), eq. 2.1.
    """
    if kind == "none" or strength == 0 or not weights:
        return None

    def total() -> Any:
        return sum(_of(torch, value, axis, kind) for value, axis in weights)

    with torch.no_grad():
        start = float(total()) + _TINY
    return lambda: total() * (strength / start)


def _of(torch: Any, value: Any, axis: int, kind: str) -> Any:
    if kind == "l1":
        return value.abs().sum()
    if kind == "l2":
        return value.square().sum()
    rows = value.movedim(axis, 0).flatten(1)
    norms = (rows.square().sum(1) + _TINY).sqrt()
    return norms.sum() * rows.shape[1] ** 0.5
