"""Operators whose int16 kernels in LiteRT are coarser than the type: a GPU follows, or leaves them."""

from __future__ import annotations

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, DType, no
from sanderling.ops._gpu import Answer, Inputs, Outputs, one
from sanderling.ops._operands import operand
from sanderling.ops.kernel import Gpu, In, Kernel, Limits, Out, Read, Weights, quads
from sanderling.ops.op import Reference


def looked_up_int16(gpu: Gpu, integer: Reference) -> Gpu:
    """Returns: ``gpu``, but for int16 what LiteRT's interpolated tables give, all 65,536 of their values.

    Args:
        integer: the operator's kernel for stored integers.
    """

    def answer(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        x, out = operand(node, inputs, 0).type, outputs[0].type
        if not (x.is_quantized and x.dtype is DType.INT16 and out.is_quantized):
            return gpu(node, inputs, outputs, limits)

        def values() -> Array:
            every = np.arange(-(2**15), 2**15, dtype=np.int16)
            with np.errstate(all="ignore"):  # some of them lie outside of what the function takes
                (found,) = integer(node, [every], [x], [out])
            return found.astype(np.int32)

        reads: dict[str, Read | Weights] = {"x": In(0), "t": Weights(values, "i32")}
        return one(Kernel("_lookup", Out(0), (quads(out.shape),), reads))

    return answer


def without_int16(gpu: Gpu) -> Gpu:
    """Returns: ``gpu``, which leaves stored int16 to the CPU."""

    def answer(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        x = operand(node, inputs, 0).type
        if x.is_quantized and x.dtype is DType.INT16:
            return no(f"its operand is {x}: LiteRT's int16 kernel rounds on its way, a GPU would not")
        return gpu(node, inputs, outputs, limits)

    return answer
