"""Resizing of images [N, H, W, C] to the height and width that operand 1 names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._operands import Values, bounded, integers, invalid, ranked, vector, whole
from sanderling.ops._torch import numbers
from sanderling.ops._torch_samples import Rows, of_first
from sanderling.ops.kernel import Gpu
from sanderling.ops.op import Case, CostFn, Op, Operands, QuantRule, Reference, Types

Resize = Callable[[Node, Values, int, int], Values]
TorchResize = Callable[[Any, Node, Any, int, int], Any]


def resize(
    name: str,
    along: Resize,
    along_torch: TorchResize,
    *,
    options: str,
    cost: CostFn,
    moves_data: bool,
    integer: Reference | None = None,
    gpu: Gpu | None = None,
) -> Op:
    """Returns: a resize that works along height and width, one after the other.

    Args:
        along: (node, image, axis, new size) → image resized along one axis.
        along_torch: the same in PyTorch, (the module torch, node, image, axis, new size) → image.
    """

    def reference(
        node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        height, width = out[0].shape[1:3]
        return [along(node, along(node, given(inputs, 0), 1, height), 2, width)]

    def lowering(
        torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        height, width = numbers(inputs[1])
        return [along_torch(torch, node, along_torch(torch, node, inputs[0], 1, height), 2, width)]

    rule = QuantRule(share=True, passthrough=(1,))
    return Op(
        name,
        _infer,
        cost,
        options,
        reference,
        rule,
        _cases,
        reads=(1,),
        moves_data=moves_data,
        integer=integer,
        gpu=gpu,
        torch=Rows(lowering, of_first),
    )


def step(node: Node, size: int, out: int) -> np.float32:
    """Returns: how far apart in the image neighbours of the output are."""
    if whole(node, "align_corners") and out > 1:
        return np.float32(size - 1) / np.float32(out - 1)
    return np.float32(size) / np.float32(out)


def _infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 4)
    if ranked(node, inputs, 1, 1).type.size != 2:
        raise invalid(node, "its size operand does not hold height and width")
    if whole(node, "align_corners") and whole(node, "half_pixel_centers"):
        raise invalid(node, "align_corners and half_pixel_centers exclude each other")
    size = integers(node, inputs, 1) or [-1, -1]
    if 0 in size or min(size) < -1 or (-1 in size and integers(node, inputs, 1) is not None):
        raise invalid(node, f"it resizes to {size[0]} by {size[1]}")
    if 0 in x.shape[1:3]:
        raise invalid(node, f"its image is {x.shape[1]} by {x.shape[2]}")
    return [TensorType((x.shape[0], *bounded(node, size), x.shape[3]), x.dtype)]


def _cases(rng: np.random.Generator) -> list[Case]:
    modes = (("asymmetric", False, False), ("align corners", True, False), ("half pixel", False, True))
    found = []
    for name, align, half in modes:
        attrs = {"align_corners": align, "half_pixel_centers": half}
        found += [
            Case(f"{name} up", [normal(rng, (2, 3, 4, 2)), vector([7, 9])], attrs, constant=(1,)),
            Case(f"{name} down", [normal(rng, (1, 9, 8, 3)), vector([4, 3])], attrs, constant=(1,)),
        ]
    return found
