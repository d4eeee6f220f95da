"""STABLEHLO_REDUCE_WINDOW: slides a window whose elements a graph of the model combines.

Its outputs are as the file declares them.
"""

from __future__ import annotations

from sanderling.ops._control import declared_types
from sanderling.ops._gpu_stablehlo import reduce_window
from sanderling.ops.op import Op, float_only, no_cost

OP = Op(
    "STABLEHLO_REDUCE_WINDOW",
    declared_types,
    no_cost,
    "StablehloReduceWindowOptions",
    quant=float_only("what its graph does decides"),
    gpu=reduce_window,
)
