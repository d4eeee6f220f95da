"""Integer kernels that take stored integers as they are, without their scale: LiteRT has a few of them.

What they give is right only where the scales happen to fit, so their ``QuantRule`` keeps them float. A file
that uses them all the same gets what LiteRT gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, TensorType
from sanderling.ops.op import Reference, Types


def bare(compute: Reference) -> Reference:
    """Returns: the implementation, which sees whole numbers where there are stored integers."""

    def integer(
        node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        plain = [None if kind is None else replace(kind, quant=None) for kind in types]
        return compute(node, inputs, plain, [replace(kind, quant=None) for kind in out])

    return integer
