"""STABLEHLO_SCATTER: writes updates into a tensor, combined by a graph of the model.

Its outputs are as the file declares them.
"""

from __future__ import annotations

from sanderling.ops._control import declared_types
from sanderling.ops._gpu_stablehlo import scatter
from sanderling.ops.op import Op, float_only, no_cost

OP = Op(
    "STABLEHLO_SCATTER",
    declared_types,
    no_cost,
    "StablehloScatterOptions",
    quant=float_only("what its graph does decides", passthrough=(1,)),
    gpu=scatter,
)
