"""GPU kernels of non-maximum suppression."""

from __future__ import annotations

from sanderling.graph.graph import Node
from sanderling.graph.types import no
from sanderling.ops._gpu import Answer, Inputs, Outputs, gathered, one
from sanderling.ops._operands import operand
from sanderling.ops.kernel import Gpu, In, Kernel, Limits, Out, Read, Temp, Weights

_THREADS = 256
_LARGEST = 2**24  # numbers of boxes are floats until the end
_MOST_ROUNDS = 2**19  # of a thread's loops: a driver stops what runs for seconds
_SOFTWARE_ROUNDS = 60000  # llvmpipe ends all loops of a thread after 65,535


def suppression(*, soft: bool) -> Gpu:
    """Returns: the answer of NON_MAX_SUPPRESSION_V4 or (``soft``) V5."""

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        boxes, keep = operand(node, inputs, 0).shape[0], outputs[0].shape[0]
        threads = min(_THREADS, 1 << (limits.invocations.bit_length() - 1))
        rounds = keep * (2 * -(-boxes // (4 * threads)) + threads.bit_length())
        if boxes >= _LARGEST or rounds > (_SOFTWARE_ROUNDS if limits.software else _MOST_ROUNDS):
            return no(f"it keeps {keep} of {boxes} boxes, one after the other: too slow on a GPU")
        rows = (4, max(boxes, keep))
        reads: dict[str, Read | Weights] = {
            "x": In(0), "s": In(1, (1, boxes)), "l": In(3, (1, 1)), "t": In(4, (1, 1)),
        }  # fmt: skip
        if soft:
            reads["z"] = In(5, (1, 1))
        search = Kernel(
            "_suppression", Temp("kept", rows, "f"), (1, 1, 1), reads, (threads, 1, 1),
            {"boxes": boxes, "keep": keep}, {"THREADS": threads, "SOFT": int(soft)}, cooperative=True,
            fusable=False,
        )  # fmt: skip
        parts = [(0, 1, keep), (1, 2, keep), (2, 0, 1)] if soft else [(0, 1, keep), (1, 0, 1)]
        taken = [
            gathered(
                rows, (1, size), (0, 1), starts=[row, 0], read=Temp("kept", rows),
                write=Out(number, (1, size)),
            )
            for number, row, size in parts
        ]  # fmt: skip
        return one(search, *taken)

    return gpu
