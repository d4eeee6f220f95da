"""MEAN: the mean along axes; of whole numbers its fraction is dropped."""

from __future__ import annotations

from math import prod

import numpy as np

from sanderling.ops._operands import Values
from sanderling.ops._reduce import reduction
from sanderling.ops.op import QuantRule


def mean(x: Values, *, axis: tuple[int, ...], keepdims: bool) -> Values:
    if x.dtype.kind == "f":
        return np.asarray(x.mean(axis=axis, keepdims=keepdims, dtype=x.dtype))
    total = x.sum(axis=axis, keepdims=keepdims, dtype=np.int64)
    count = max(prod(x.shape[a] for a in axis), 1)
    return np.asarray(np.sign(total) * (np.abs(total) // count))


OP = reduction("MEAN", mean, quant=QuantRule(passthrough=(1,)))
