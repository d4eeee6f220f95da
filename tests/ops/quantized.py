"""Quantized models of one operator, made from a float case by nothing but the operator's ``QuantRule``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sanderling.graph.graph import Graph, Model, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.ops.op import Case, Op
from tests.ops.single import node_of, type_of


@dataclass(frozen=True)
class Scheme:
    """Which integers stand for the real numbers of a case.

    Attributes:
        activations: their dtype; float32 for "hybrid" models, of which only the weights are integers.
        weights: dtype of constant weights.
        per_channel: weights have one scale for each channel where the rule names an axis.
        bias: dtype of the bias.
    """

    name: str
    activations: DType
    weights: DType = DType.INT8
    per_channel: bool = True
    bias: DType = DType.INT32


INT8 = Scheme("int8", DType.INT8)
INT8_PER_TENSOR = Scheme("int8 per tensor", DType.INT8, per_channel=False)
UINT8 = Scheme("uint8", DType.UINT8, DType.UINT8, per_channel=False)
INT16 = Scheme("int16", DType.INT16, bias=DType.INT64)
HYBRID = Scheme("hybrid", DType.FLOAT32)
HYBRID_PER_TENSOR = Scheme("hybrid per tensor", DType.FLOAT32, per_channel=False)


@dataclass(frozen=True)
class QuantizedCase:
    """A case in integers, and what it should give.

    Attributes:
        model: the quantized model.
        fed: what to feed it.
        real_inputs: the real numbers that its operands stand for, which the float reference takes.
    """

    model: Model
    fed: list[Array]
    real_inputs: list[Array | None]


def range_of(*arrays: Array, dtype: DType = DType.INT8) -> Quant:
    """Returns: a quantization that covers these arrays and zero, symmetric for int16."""
    low = min(0.0, *(float(a.min()) for a in arrays))
    high = max(1e-3, *(float(a.max()) for a in arrays))
    if dtype is DType.INT16:
        return Quant.of(max(-low, high) / 32767)
    scale = (high - low) / 255
    return Quant.of(scale, round(np.iinfo(dtype.value).min - low / scale))


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


def has_weights(op: Op, case: Case) -> bool:
    """Returns: whether the case stores real weights."""
    return any(
        i in case.constant and is_real(case.inputs[i]) for i in op.quant.weights if i < len(case.inputs)
    )


def quantize_case(
    op: Op,
    case: Case,
    outputs: list[Array],
    scheme: Scheme = INT8,
    attrs: Mapping[str, object] | None = None,
) -> QuantizedCase:
    """Returns: the case in integers.

    Args:
        outputs: what the float reference gives for it.
        attrs: options that this scheme needs beside the case's own.
    """
    rule = op.quant
    quants = _input_quants(op, case, outputs, scheme)
    tensors, fed, real_inputs = [], [], []
    for position, array in enumerate(case.inputs):
        real_inputs.append(array)
        if array is None:
            continue
        kind = type_of(array)
        if quant := quants.get(position):
            dtype = _dtype(op, case, position, scheme)
            array = stored(array, quant, dtype)
            real_inputs[-1] = real(array, quant)
            kind = TensorType(array.shape, dtype, quant)
        constant = position in case.constant
        variable = position in case.variables
        tensors.append(Tensor(f"in{position}", kind, array if constant else None, is_variable=variable))
        fed += [] if constant or variable else [array]
    shared = next((q for i, q in quants.items() if i not in rule.weights), None) if rule.share else None
    results = [_output(op, i, array, shared, scheme) for i, array in enumerate(outputs)]
    node = node_of(op, Case(case.name, case.inputs, {**case.attrs, **(attrs or {})}), len(results))
    inputs = tuple(i for i, tensor in enumerate(tensors) if not (tensor.is_constant or tensor.is_variable))
    return QuantizedCase(
        Model((Graph((*tensors, *results), (node,), inputs, node.outputs, "main"),)), fed, real_inputs
    )


def _dtype(op: Op, case: Case, position: int, scheme: Scheme) -> DType:
    if position == op.quant.bias:
        return scheme.bias
    weights = position in op.quant.weights and position in case.constant
    return scheme.weights if weights else scheme.activations


def _input_quants(op: Op, case: Case, outputs: list[Array], scheme: Scheme) -> dict[int, Quant]:
    rule = op.quant
    numbers = {
        i: array
        for i, array in enumerate(case.inputs)
        if array is not None and is_real(array) and i not in rule.passthrough
    }
    weights = {i: numbers[i] for i in rule.weights if i in numbers and i in case.constant}
    quants = {i: _weights_quant(array, rule.weights[i], scheme) for i, array in weights.items()}
    if scheme.activations.is_float:
        return quants
    dtype = scheme.activations
    plain = {i: a for i, a in numbers.items() if i not in weights and i != rule.bias}
    together = (
        range_of(*plain.values(), *filter(is_real, outputs), dtype=dtype) if rule.share and plain else None
    )
    quants |= {i: together or range_of(array, dtype=dtype) for i, array in plain.items()}
    if rule.bias is not None and rule.bias in numbers:
        position = next(iter(rule.weights))
        first = next(i for i in plain)
        scale = quants[first].scale * quants[position].scale
        quants[rule.bias] = Quant(scale, np.zeros(scale.size, np.int64), 0 if scale.size > 1 else None)
    return quants


def _weights_quant(array: Array, axis: int | None, scheme: Scheme) -> Quant:
    if scheme.weights is DType.UINT8:
        return range_of(array, dtype=DType.UINT8)
    return symmetric(array, axis if scheme.per_channel else None)


def _output(op: Op, position: int, array: Array, shared: Quant | None, scheme: Scheme) -> Tensor:
    kind = type_of(array)
    dtype = scheme.activations
    if is_real(array) and not dtype.is_float:
        fixed = fixed_output(op, dtype)
        quant = fixed or shared or range_of(array, dtype=dtype)
        kind = TensorType(array.shape, dtype, quant)
    return Tensor(f"out{position}", kind)


def fixed_output(op: Op, dtype: DType) -> Quant | None:
    """Returns: what int8's fixed scale becomes: about the same range in the numbers of another dtype."""
    if op.quant.fixed_output is None:
        return None
    scale, zero_point = op.quant.fixed_output
    if dtype is DType.INT16:
        return Quant.of(scale / (256 if zero_point == 0 else 128))
    return Quant.of(scale, zero_point + 128 if dtype is DType.UINT8 else zero_point)
