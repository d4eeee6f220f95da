"""REDUCE_PROD: the product along axes."""

from __future__ import annotations

import numpy as np

from sanderling.ops._operands import Values
from sanderling.ops._reduce import reduction
from sanderling.ops.op import QuantRule


def product(x: Values, *, axis: tuple[int, ...], keepdims: bool) -> Values:
    return np.asarray(x.prod(axis=axis, keepdims=keepdims, dtype=x.dtype))


OP = reduction("REDUCE_PROD", product, quant=QuantRule(passthrough=(1,)))
