"""STABLEHLO_CASE: runs one of several graphs of the model.

Its outputs are as the file declares them.
"""

from __future__ import annotations

from sanderling.ops._control import declared_types
from sanderling.ops.op import Op, float_only, no_cost

OP = Op(
    "STABLEHLO_CASE",
    declared_types,
    no_cost,
    "StablehloCaseOptions",
    quant=float_only("what its graphs do decides"),
)
