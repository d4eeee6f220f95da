"""AVERAGE_POOL_2D: the mean of the elements under a window."""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Node
from sanderling.graph.types import Verdict
from sanderling.ops._elementwise import SHARED
from sanderling.ops._gpu import Answer, Inputs, Outputs, activation, one
from sanderling.ops._gpu_conv import pool_2d
from sanderling.ops._pool import mean_of, pool, whole_mean_of
from sanderling.ops._torch_conv import AVERAGE
from sanderling.ops.kernel import Flow, Kernel, Limits, Step

# Means of stored integers lie often in the middle between two: LiteRT rounds them away from 0, a GPU to even.
# So they are moved by less than what lies between two means of up to 2,000 elements.
_AWAY = "x + sign(round((x / scale + zero) * 4096.0)) * scale / 4096.0"


def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of AVERAGE_POOL_2D."""
    answer = pool_2d(node, inputs, outputs, limits, largest=False)
    quant = outputs[0].quant
    if isinstance(answer, Verdict) or not outputs[0].type.is_quantized or quant is None:
        return answer
    (mean,) = answer[0].kernels
    assert isinstance(mean, Kernel)
    zero = float(quant.zero_point[0]) if quant.zero_point.size else 0.0
    away = Step(_AWAY, {"x": Flow(0)}, {"scale": float(quant.scale[0]), "zero": zero}, "f")
    return one(replace(mean, steps=(away, *activation(node, 1))))


OP = pool("AVERAGE_POOL_2D", mean_of, quant=SHARED, stored=whole_mean_of, gpu=gpu, torch=AVERAGE)
