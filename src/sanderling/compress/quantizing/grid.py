"""Weights that are integers times a step already: quantizing can then lose nothing, if it finds the step.

So it is with shared values, with weights that were dequantized, and with those of a net that was trained for
integers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

STEPS = 127
_LOOKED_AT = 4096  # weights that tell at once that there are too many different ones
_TOLERANCE = 1e-4  # of a step; float32 keeps integers times a step this well


def step_of(weights: npt.NDArray[np.floating], steps: int = STEPS) -> float | None:
    """Looks for a step of which all weights are whole multiples, from −steps to steps.

    Args:
        weights: any shape.
        steps: the largest integer.

    Returns: the largest such step; None where there is none, or where nothing but zeros is given.
    """
    flat = weights.reshape(-1)
    if np.unique(np.abs(flat[:_LOOKED_AT])).size > steps + 1:
        return None
    sizes = np.unique(np.abs(flat)).astype(np.float64)
    sizes = sizes[sizes > 0]
    if not 0 < sizes.size <= steps:
        return None
    for most in range(sizes.size, steps + 1):
        ratios = sizes * (most / sizes[-1])
        if np.max(np.abs(ratios - np.round(ratios))) <= _TOLERANCE:
            return float(sizes[-1] / most)
    return None


def exact_bounds(
    by_channel: npt.NDArray[np.float32], bounds: npt.NDArray[np.float64], steps: int
) -> npt.NDArray[np.float64]:
    """Chooses bounds with which integers hold weights exactly, wherever there are such.

    Args:
        by_channel: [channels, weights of a channel].
        bounds: [channels] to use where there are none.
        steps: the largest integer.

    Returns: [channels]. All channels get one step if there is one for all, so that they share their integers.
    """
    common = step_of(by_channel, steps)
    if common is not None:
        return np.full(bounds.shape, common * steps)
    found = [step_of(channel, steps) for channel in by_channel]
    return np.array([b if s is None else s * steps for b, s in zip(bounds, found, strict=True)])
