"""How near an engine's answer must be to the oracle's. Every test names one of these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sanderling.graph.types import Array


@dataclass(frozen=True)
class Tolerance:
    """A bound on the difference of two outputs.

    Attributes:
        name: what reports call it.
        relative: share of the output's largest finite magnitude that a float element may be off.
        steps: by how many integers a stored element may be off.
    """

    name: str
    relative: float = 0.0
    steps: int = 0

    def check(self, got: Array, wanted: Array) -> None:
        """Raises ``AssertionError`` where the arrays differ in shape, in dtype or beyond the bound."""
        assert got.shape == wanted.shape, f"shape {got.shape}, expected {wanted.shape}"
        assert got.dtype == wanted.dtype, f"dtype {got.dtype}, expected {wanted.dtype}"
        if got.dtype.kind in "fc":
            finite = np.isfinite(wanted)
            scale = float(np.max(np.abs(wanted), initial=1e-6, where=finite))
            np.testing.assert_allclose(got, wanted, rtol=0, atol=self.relative * scale, err_msg=self.name)
        elif got.dtype.kind in "iu" and self.steps:
            difference = np.abs(got.astype(np.int64) - wanted.astype(np.int64))
            worst, count = int(difference.max(initial=0)), np.count_nonzero(difference)
            assert worst <= self.steps, f"{self.name}: {worst} steps off, {count} elements differ"
        else:
            np.testing.assert_array_equal(got, wanted, err_msg=self.name)


EXACT = Tolerance("EXACT")
CLOSE = Tolerance("CLOSE", relative=1e-5)
HALF = Tolerance("HALF", relative=1e-2)
QUANT_1LSB = Tolerance("QUANT_1LSB", relative=1e-5, steps=1)
