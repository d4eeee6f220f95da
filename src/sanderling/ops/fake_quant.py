"""FAKE_QUANT: real numbers rounded to the steps that ``num_bits`` give between ``min`` and ``max``.

Source: TFLite ``kernels/internal/quantization_util.h``, NudgeQuantizationRange and FakeQuantizeArray.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu import Answer, Inputs, Outputs, elementwise, one
from sanderling.ops._operands import invalid, real, typed, whole
from sanderling.ops.kernel import In, Limits, Step
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, elementwise_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = typed(node, inputs, 0, DType.FLOAT32)
    _range(node)
    return [TensorType(x.shape, x.dtype)]


def _range(node: Node) -> tuple[np.float32, np.float32, np.float32]:
    """Returns: smallest and largest number, moved so that 0 is a step, and the step."""
    low, high = np.float32(real(node, "min")), np.float32(real(node, "max"))
    bits = whole(node, "num_bits", 8)
    if not (2 <= bits <= 16 and low < high and np.isfinite(low) and np.isfinite(high)):
        raise invalid(node, f"it rounds to {bits} bits between {low} and {high}")
    first, last = np.float32(whole(node, "narrow_range")), np.float32(2**bits - 1)
    step = (high - low) / (last - first)
    zero = first - low / step
    zero = min(max(np.float32(np.floor(zero + np.float32(0.5))), first), last)
    return (first - zero) * step, (last - zero) * step, step


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    low, high, step = _range(node)
    shifted = np.clip(given(inputs, 0), low, high) - low
    return [np.floor(shifted * (np.float32(1) / step) + np.float32(0.5)) * step + low]


def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of FAKE_QUANT."""
    low, high, step = (float(v) for v in _range(node))
    text = "floor((clamp(x, T4(low), T4(high)) - low) * inverse + 0.5) * step + low"
    scalars = {"low": low, "high": high, "step": step, "inverse": 1 / step}
    return one(elementwise(outputs[0].shape, (Step(text, {"x": In(0)}, scalars),)))


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    low, high, step = (float(v) for v in _range(node))
    x = torch.clamp(inputs[0], low, high)
    rounded = torch.floor((x - low) * (1 / step) + 0.5) * step + low
    return [x + (rounded - x).detach()]  # gradients pass the rounding by


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (4, 5))
    return [
        Case("8 bits", [x], {"min": -3.0, "max": 5.0, "num_bits": 8}),
        Case("4 bits", [x], {"min": -1.0, "max": 1.0, "num_bits": 4}),
    ]


RULE = QuantRule(integer=False, reason="it stands for the quantization of a trained model")
OP = Op(
    "FAKE_QUANT", infer, elementwise_cost, "FakeQuantOptions", reference, RULE, cases, gpu=gpu, torch=lowering
)
