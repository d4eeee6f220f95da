"""Int8 models of one operator, quantized by nothing but the operator's ``QuantRule``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sanderling.graph.graph import Graph, Model, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.ops.op import Case, Op
from tests.ops.single import node_of, type_of

INT8 = (-128, 127)


@dataclass(frozen=True)
class Int8Case:
    """A case in int8, and what it should give.

    Attributes:
        model: the quantized model.
        fed: what to feed it.
        real_inputs: the real numbers that its operands stand for, which the float reference takes.
    """

    model: Model
    fed: list[Array]
    real_inputs: list[Array | None]


def range_of(*arrays: Array) -> Quant:
    """Returns: an asymmetric int8 quantization that covers these arrays and zero."""
    low = min(0.0, *(float(a.min()) for a in arrays))
    high = max(1e-3, *(float(a.max()) for a in arrays))
    scale = (high - low) / 255
    return Quant.of(scale, round(INT8[0] - low / scale))


def stored(array: Array, quant: Quant, dtype: DType = DType.INT8) -> Array:
    """Returns: real numbers as stored integers."""
    info = np.iinfo(dtype.value)
    steps = np.round(array.astype(np.float64) / _along(quant, quant.scale, array))
    return np.clip(steps + _along(quant, quant.zero_point, array), info.min, info.max).astype(dtype.value)


def real(array: Array, quant: Quant) -> Array:
    """Returns: the real numbers that stored integers stand for."""
    steps = array.astype(np.float64) - _along(quant, quant.zero_point, array)
    return (steps * _along(quant, quant.scale, array)).astype(np.float32)


def _along(quant: Quant, values: Array, array: Array) -> Array:
    shape = [1] * array.ndim
    if quant.axis is not None:
        shape[quant.axis] = -1
    return values.reshape(shape)


def symmetric(array: Array, axis: int | None) -> Quant:
    """Returns: an int8 quantization with zero point 0, per channel where an axis is given."""
    others = tuple(i for i in range(array.ndim) if i != axis)
    peak = np.maximum(np.abs(array).max(axis=others if axis is not None else None), 1e-3).reshape(-1)
    return Quant((peak / 127).astype(np.float32), np.zeros(peak.size, np.int64), axis, dimension=axis or 0)


def is_real(array: Array | None) -> bool:
    return array is not None and array.dtype == np.float32


def quantize_case(op: Op, case: Case, outputs: list[Array]) -> Int8Case:
    """Returns: the case in int8.

    Args:
        outputs: what the float reference gives for it.
    """
    rule = op.quant
    quants = _input_quants(op, case, outputs)
    tensors, fed, real_inputs = [], [], []
    for position, array in enumerate(case.inputs):
        real_inputs.append(array)
        if array is None:
            continue
        kind = type_of(array)
        if quant := quants.get(position):
            dtype = DType.INT32 if position == rule.bias else DType.INT8
            array = stored(array, quant, dtype)
            real_inputs[-1] = real(array, quant)
            kind = TensorType(array.shape, dtype, quant)
        constant = position in case.constant
        tensors.append(Tensor(f"in{position}", kind, array if constant else None))
        fed += [] if constant else [array]
    shared = next((q for i, q in quants.items() if i not in rule.weights), None) if rule.share else None
    results = [_output(op, i, array, shared) for i, array in enumerate(outputs)]
    node = node_of(op, case, len(results))
    inputs = tuple(i for i, tensor in enumerate(tensors) if not tensor.is_constant)
    return Int8Case(
        Model((Graph((*tensors, *results), (node,), inputs, node.outputs, "main"),)), fed, real_inputs
    )


def _input_quants(op: Op, case: Case, outputs: list[Array]) -> dict[int, Quant]:
    rule = op.quant
    numbers = {
        i: array
        for i, array in enumerate(case.inputs)
        if array is not None and is_real(array) and i not in rule.passthrough
    }
    weights = {i: numbers[i] for i in rule.weights if i in numbers and i in case.constant}
    plain = {i: a for i, a in numbers.items() if i not in weights and i != rule.bias}
    quants = {i: symmetric(array, rule.weights[i]) for i, array in weights.items()}
    together = range_of(*plain.values(), *filter(is_real, outputs)) if rule.share and plain else None
    quants |= {i: together or range_of(array) for i, array in plain.items()}
    if rule.bias is not None and rule.bias in numbers:
        position = next(iter(rule.weights))
        first = next(i for i in plain)
        scale = quants[first].scale * quants[position].scale
        quants[rule.bias] = Quant(scale, np.zeros(scale.size, np.int64), 0 if scale.size > 1 else None)
    return quants


def _output(op: Op, position: int, array: Array, shared: Quant | None) -> Tensor:
    kind = type_of(array)
    if is_real(array):
        fixed = op.quant.fixed_output
        quant = Quant.of(*fixed) if fixed else shared or range_of(array)
        kind = TensorType(array.shape, DType.INT8, quant)
    return Tensor(f"out{position}", kind)
