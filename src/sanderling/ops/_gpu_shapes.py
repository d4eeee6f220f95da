"""GPU kernels of operators that work on shapes. Mostly they are folded, and only run to write an output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array
from sanderling.ops._gpu import Answer, Inputs, Outputs, kind_of, one
from sanderling.ops._operands import operand
from sanderling.ops.kernel import Gpu, In, Kernel, Limits, Number, Out, Read, Weights, quads


def told(values: Callable[[Node, Inputs], Array]) -> Gpu:
    """Returns: the answer of an operator whose result is known beforehand, but has to be written: as an
    output of the graph.

    Args:
        values: gives it, flat.
    """

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        def pack() -> Array:
            listed = values(node, inputs).reshape(-1)
            return np.pad(listed, (0, -listed.size % 4))

        kind = kind_of(outputs[0].type)
        reads = {"t": Weights(pack, "f32" if kind == "f" else "i32")}
        body = "fn kernel(i: u32) {\n  y_store4_at(i, y_coord(i), t_load4(i));\n}"
        return one(Kernel(body, Out(0), (quads(outputs[0].shape),), reads, kind="f" if kind == "f" else "i"))

    return gpu


def broadcast_args(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of BROADCAST_ARGS: sizes count from the last one, and those of 1 give way."""
    left, right = (operand(node, inputs, i).shape[0] for i in (0, 1))
    size = outputs[0].shape[0]
    uniforms: dict[str, Number] = {"skip_x": size - left, "skip_z": size - right}
    reads: dict[str, Read | Weights] = {"x": In(0), "z": In(1)}
    return one(Kernel("broadcast_args", Out(0), (quads(outputs[0].shape),), reads, uniforms=uniforms))
