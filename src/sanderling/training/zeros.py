"""Weights that are zero stay zero while others are trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def held_zeros(torch: Any, parameters: Iterable[Any]) -> Callable[[int, int], None]:
    """Returns: for ``Teaching.after_step``: makes zero again what is zero now.

    Args:
        torch: the module.
        parameters: weights; not biases, which often begin at zero.
    """
    held = [(p, keep) for p in parameters if not bool((keep := p.detach() != 0).all())]

    def hold(step: int, steps: int) -> None:
        with torch.no_grad():
            for parameter, keep in held:
                parameter.mul_(keep)

    return hold
