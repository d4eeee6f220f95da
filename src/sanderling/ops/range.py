"""RANGE: start, start + delta, … up to but without limit."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType, no
from sanderling.ops._elementwise import given
from sanderling.ops._gpu import Answer, kind_of
from sanderling.ops._gpu_shapes import told
from sanderling.ops._operands import Values, bounded, constant, invalid, operand, same_dtype
from sanderling.ops.kernel import Limits
from sanderling.ops.op import Case, Op, Operands, Types, elementwise_cost, float_only


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    tensors = [operand(node, inputs, i) for i in range(3)]
    dtype = same_dtype(node, *tensors)
    if any(t.type.size != 1 for t in tensors):
        raise invalid(node, "its start, limit and delta are not all scalars")
    values = [constant(t) for t in tensors]
    known = [v.ravel()[0] for v in values if v is not None]
    return [TensorType((_count(node, known) if len(known) == 3 else -1,), dtype)]


def _count(node: Node, bounds: list[Values]) -> int:
    start, limit, delta = (v.item() for v in bounds)
    if not all(isfinite(v) for v in (start, limit, delta)) or delta == 0:
        raise invalid(node, f"a range from {start} to {limit} in steps of {delta} has no end")
    if (limit - start) * delta < 0:
        raise invalid(node, f"steps of {delta} do not lead from {start} to {limit}")
    if isinstance(delta, int):
        count = -((start - limit) // delta)
    else:
        count = ceil(abs((bounds[1] - bounds[0]) / bounds[2]))
    return bounded(node, [count])[0]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [_counted([given(inputs, i) for i in range(3)], out[0].shape[0])]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    count = _count(node, [value.detach().numpy() for value in inputs])
    start, _, delta = (value.reshape(1) for value in inputs)
    # One addition after the other, as LiteRT does it.
    steps = torch.cat([start, delta.expand(max(count - 1, 0))])[:count]
    return [torch.cumsum(steps, 0, dtype=steps.dtype)]


def cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, kind: type, *bounds: float) -> Case:
        return Case(name, [np.array(b, kind) for b in bounds], constant=(0, 1, 2))

    return [
        case("int32", np.int32, 3, 17, 4),
        case("down", np.int32, 5, -3, -2),
        case("float", np.float32, 0.5, 2.1, 0.25),
    ]


def gpu(node: Node, inputs: Operands, outputs: Sequence[Tensor], limits: Limits) -> Answer:
    bounds = [constant(tensor) for tensor in inputs[:3]]
    if any(values is None for values in bounds) or kind_of(outputs[0].type) not in ("f", "i"):
        return no("its bounds are computed at run time, and its size with them")
    return told(lambda _, __: _counted(bounds, outputs[0].type.size))(node, inputs, outputs, limits)


def _counted(bounds: Sequence[Array | None], count: int) -> Array:
    start, _, delta = (values.ravel()[0] for values in bounds if values is not None)
    steps = np.full(count, delta)
    steps[:1] = start
    return np.asarray(np.cumsum(steps, dtype=steps.dtype))  # one addition after the other, as LiteRT does it


RULE = float_only("it counts", passthrough=(0, 1, 2))
OP = Op(
    "RANGE",
    infer,
    elementwise_cost,
    "RangeOptions",
    reference,
    RULE,
    cases,
    reads=(0, 1, 2),
    gpu=gpu,
    torch=lowering,
)
