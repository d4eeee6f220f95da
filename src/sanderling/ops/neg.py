"""NEG: −x."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, TensorType
from sanderling.ops._bare import bare
from sanderling.ops._elementwise import given, unary
from sanderling.ops._gpu import pointwise
from sanderling.ops.op import Types, float_only

RULE = float_only("LiteRT's int8 kernel negates the stored integers without their zero point")


def _negative(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.negative(given(inputs, 0))]


OP = unary(
    "NEG",
    np.negative,
    options="NegOptions",
    quant=RULE,
    whole=True,
    integer=bare(_negative),
    gpu=pointwise("-x", kinds="fi", as_stored=True),
    torch=lambda torch, x: -x,
)
