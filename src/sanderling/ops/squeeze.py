"""SQUEEZE: drops dimensions of size 1, those named in ``squeeze_dims`` or all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import SHARED, given
from sanderling.ops._gpu import same
from sanderling.ops._operands import axes_in, invalid, like_declared, operand
from sanderling.ops._torch import reshaped
from sanderling.ops.op import Case, Op, Operands, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    axes = axes_in(node, [int(a) for a in node.attrs.get("squeeze_dims") or ()], len(x.shape))
    if any(x.shape[axis] not in (1, -1) for axis in axes):
        raise invalid(node, f"dimensions {axes} of {x.shape} are not all of size 1")
    if not axes and -1 in x.shape:
        return [like_declared(outputs, 0, x.dtype)]
    keep = [i for i, size in enumerate(x.shape) if (i not in axes if axes else size != 1)]
    return [TensorType(tuple(x.shape[i] for i in keep), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [given(inputs, 0).reshape(out[0].shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (1, 5, 1, 3, 1))
    dims: tuple[tuple[int, ...], ...] = ((), (0,), (-1, 2))
    return [Case(f"axes {d}", [x], {"squeeze_dims": d}) for d in dims]


OP = Op(
    "SQUEEZE",
    infer,
    no_cost,
    "SqueezeOptions",
    reference,
    SHARED,
    cases,
    moves_data=True,
    gpu=same,
    torch=reshaped,
)
