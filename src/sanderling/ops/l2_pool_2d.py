"""L2_POOL_2D: the root of the mean square of the elements under a window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Verdict
from sanderling.ops._conv import Pair, Window
from sanderling.ops._gpu import Answer, Inputs, Outputs, activation, elementwise, one
from sanderling.ops._gpu_conv import pool_2d
from sanderling.ops._operands import Values, operand
from sanderling.ops._pool import mean_of, pool
from sanderling.ops._torch_conv import ROOT_MEAN_SQUARE
from sanderling.ops.kernel import Flow, In, Kernel, Limits, Step, Temp
from sanderling.ops.op import FLOAT_ONLY


def root_mean_square(frame: Window, image: Values, out: Pair) -> Values:
    return np.asarray(np.sqrt(mean_of(frame, np.square(image), out)))


def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of L2_POOL_2D: squares, their mean, its root."""
    answer = pool_2d(node, inputs, outputs, limits, largest=False)
    if isinstance(answer, Verdict):
        return answer
    (mean,) = answer[0].kernels
    assert isinstance(mean, Kernel)
    squares = Temp("squares", operand(node, inputs, 0).shape)
    steps = (Step("sqrt(x)", {"x": Flow(0)}), *activation(node, 1))
    square = elementwise(squares.shape, (Step("x * x", {"x": In(0)}),), squares)
    return one(square, replace(mean, reads={"x": squares}, steps=steps))


OP = pool("L2_POOL_2D", root_mean_square, quant=FLOAT_ONLY, gpu=gpu, torch=ROOT_MEAN_SQUARE)
