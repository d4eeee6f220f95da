"""Arrays for test cases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sanderling.ops._operands import Values
from sanderling.ops.op import Case

Draw = Callable[[np.random.Generator, tuple[int, ...]], Values]
Cases = Callable[[np.random.Generator], list[Case]]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Returns: float32, normally distributed, spread wide enough to reach both ends of an activation."""
    return np.asarray(3 * rng.standard_normal(shape), np.float32)


def above_zero(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Returns: float32 in [0.1, 9]."""
    return np.asarray(rng.uniform(0.1, 9, shape), np.float32)


def nonzero(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Returns: float32 away from zero, of both signs: divisors."""
    return np.asarray(above_zero(rng, shape) * rng.choice([-1, 1], shape), np.float32)


def whole_numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Returns: int32 in [−9, 9]."""
    return np.asarray(rng.integers(-9, 10, shape), np.int32)


def whole_nonzero(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Returns: int32 in [1, 9] of both signs."""
    return np.asarray(rng.integers(1, 10, shape) * rng.choice([-1, 1], shape), np.int32)


def truths(rng: np.random.Generator, shape: tuple[int, ...]) -> Values:
    """Returns: bool."""
    return np.asarray(rng.random(shape) < 0.5)
