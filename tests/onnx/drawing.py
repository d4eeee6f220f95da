"""What Hypothesis draws: numbers, windows, opsets; and asking both sides about a node."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from tests.onnx.oracle import CLOSE, Pair, assert_alike, both, one

OPSETS = (9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)


def opsets(least: int = 9, most: int = 21) -> st.SearchStrategy[int]:
    return st.sampled_from([each for each in OPSETS if least <= each <= most])


class Numbers:
    """Arrays of a drawn seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def real(self, *shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
        """Returns: float32, none nearer to a whole or half number than a hundredth, where functions jump."""
        values = self.rng.uniform(low, high, shape)
        fraction = np.abs(values * 2 - np.round(values * 2))
        return np.where(fraction < 0.02, values + 0.021, values).astype(np.float32)

    def whole(self, *shape: int, low: int, high: int, dtype: str = "int64") -> np.ndarray:
        """Returns: integers from ``low`` up to and without ``high``."""
        return self.rng.integers(low, high, shape).astype(dtype)


numbers = st.integers(0, 2**31).map(Numbers)


def shapes(least: int = 1, most: int = 4, size: int = 6) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(1, size), min_size=least, max_size=most).map(tuple)


def ask(data: DataObject, folder: Path, op: str, inputs: Sequence[Any], opset: int, *,
        constants: Collection[int] = (), tolerance: float = CLOSE, least: float = 0.0, **more: Any
        ) -> Pair:  # fmt: skip
    """Asks both sides about a node, its operands stored in drawn orders of axes, and compares.

    What ONNX Runtime itself refuses is drawn again.
    """
    turned = {}
    for position, each in enumerate(inputs):
        if each is None or position in constants or np.ndim(each) < 2:
            continue
        if data.draw(st.booleans(), label=f"turn operand {position}"):
            turned[position] = data.draw(st.permutations(range(np.ndim(each))))
    model, feeds = one(op, inputs, opset=opset, constants=constants, turned=turned, **more)
    try:
        pair = both(model, feeds, folder)
    except Exception as error:
        if type(error).__module__.startswith("onnxruntime"):
            reject()
        raise
    assert_alike(pair, tolerance, least=least)
    return pair
