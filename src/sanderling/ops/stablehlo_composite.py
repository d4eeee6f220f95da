"""STABLEHLO_COMPOSITE: runs a graph of the model that stands for one operator of a framework.

Its outputs are as the file declares them.
"""

from __future__ import annotations

from sanderling.ops._control import declared_types
from sanderling.ops.op import Op, float_only, no_cost

OP = Op(
    "STABLEHLO_COMPOSITE",
    declared_types,
    no_cost,
    "StableHLOCompositeOptions",
    quant=float_only("what its graph does decides"),
)
