"""A sentence's vector from those of its tokens, and how near sentences are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sanderling.graph.types import Array

Floats = npt.NDArray[np.float64]


def pooled(values: Floats, mask: Floats | None) -> Floats:
    """Makes one vector of length one.

    Args:
        values: [tokens, width], or [width] of a model that pools by itself.
        mask: [tokens], 1 for tokens and 0 for padding; None counts all.

    Returns: [width]; zeros stay zeros.
    """
    if values.ndim == 2:
        weights = np.ones(len(values)) if mask is None else mask
        values = (values * weights[:, None]).sum(axis=0) / max(float(weights.sum()), 1e-9)
    length = float(np.linalg.norm(values))
    return values / length if length > 0 else values


def mask_of(fed: Mapping[str, Array], tokens: int) -> Floats | None:
    """Returns: the attention mask among a model's inputs, [tokens], None when it takes none."""
    for name, array in fed.items():
        if "mask" in name.lower() and array.size == tokens:
            return np.asarray(array, np.float64).reshape(-1)
    rows = [array.reshape(-1) for array in fed.values() if array.size == tokens]
    # Nameless inputs: the mask is the one that is ones, then zeros.
    for row in rows:
        if (
            set(np.unique(row).tolist()) <= {0, 1}
            and row[0] == 1
            and (np.diff(row.astype(np.int64)) <= 0).all()
        ):
            return np.asarray(row, np.float64)
    return None


def similarities(vectors: Sequence[Floats]) -> Floats:
    """Returns: [n, n] cosines of vectors of length one."""
    table = np.stack(vectors)
    return np.clip(table @ table.T, -1, 1)
