"""The LSTM cell on stored integers: int8 activations and weights, an int16 cell state.

Source: TFLite ``kernels/lstm_eval.cc``, LstmStepInteger8x8_16, and PopulateQuantizedLstmParams8x8_16 of
``kernels/unidirectional_sequence_lstm.cc``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops import _fixed_functions as functions
from sanderling.ops import _fixed_point as fixed
from sanderling.ops._elementwise import given, given_or_none
from sanderling.ops._lstm import CELL, FORGET, INPUT, OUTPUT, Place
from sanderling.ops._operands import Values, invalid, real
from sanderling.ops._recurrent import Cell, remember
from sanderling.ops._weighted import kind_of
from sanderling.ops.op import Types

_GATE_SCALE, _GATE_BITS = 2.0**-12, 3
_LOW, _HIGH = -(2**15), 2**15 - 1
_PEEPHOLE = {INPUT: 8, FORGET: 9, OUTPUT: 10}
Factor = tuple[fixed.Integers, fixed.Integers]


@dataclass(frozen=True, slots=True)
class _Product:
    """Stored weights [U, I] with a bias that takes the operand's zero point off."""

    weights: Values
    bias: Values
    factor: Factor

    def __call__(self, x: Values) -> fixed.Integers:
        total = x.astype(np.int64) @ self.weights.T + self.bias
        return fixed.multiply_by_quantized_multiplier(fixed.wrap_int32(total), *self.factor)


@dataclass(frozen=True, slots=True)
class _Gate:
    taken: _Product
    recurrent: _Product
    peephole: tuple[Values, Factor] | None

    def __call__(self, x: Values, state: Values, memory: Values) -> fixed.Integers:
        total = _kept(_kept(self.taken(x)) + self.recurrent(state))
        if self.peephole is not None:
            weights, factor = self.peephole
            total = _kept(total + fixed.multiply_by_quantized_multiplier(memory * weights, *factor))
        return total


def _kept(x: Values) -> fixed.Integers:
    return np.asarray(np.clip(x, _LOW, _HIGH).astype(np.int64))


def _shifted_product(a: Values, b: Values, shift: int) -> fixed.Integers:
    return np.asarray(fixed.rounding_divide_by_pot(a * b, shift).astype(np.int16).astype(np.int64))


def integer_cell(
    node: Node, inputs: Sequence[Array | None], types: Types, place: Place, out: TensorType
) -> Cell:
    """Returns: one step x [B, I] → [B, O] on stored integers, which also keeps both states.

    Raises:
        InvalidGraph: the cell has a projection or layer normalisation, whose scales the operands do not tell.
    """
    exponent = _check(node, inputs, types, place, out)
    state, memory = given(inputs, place.state), given(inputs, place.state + 1)
    own = given_or_none(inputs, place.first + INPUT) is not None
    gates = {
        gate: _gate(node, inputs, types, place, gate)
        for gate in (INPUT, FORGET, CELL, OUTPUT)
        if gate != INPUT or own
    }
    scale, zero_point = fixed.scale_of(node, kind_of(types, place.state))
    factor = fixed.quantize_multiplier(2.0**-15 / scale * 2.0**-15)
    clip = round(min(real(node, "cell_clip") / 2.0**exponent, _HIGH))

    def step(x: Values) -> Values:
        last = memory.astype(np.int64)
        forget = functions.logistic(gates[FORGET](x, state, last), _GATE_BITS)
        new = functions.tanh(gates[CELL](x, state, last), _GATE_BITS)
        enter = functions.logistic(gates[INPUT](x, state, last), _GATE_BITS) if own else _HIGH - forget
        kept = _kept(_shifted_product(forget, last, 15) + _shifted_product(enter, new, 30 + exponent))
        kept = np.clip(kept, -clip, clip) if clip > 0 else kept
        leave = functions.logistic(gates[OUTPUT](x, state, kept), _GATE_BITS)
        product = leave * functions.tanh(kept, 15 + exponent)
        result = fixed.saturated(fixed.multiply_by_quantized_multiplier(product, *factor) + zero_point, out)
        remember(node, memory, kept)
        remember(node, state, result)
        return result.copy()

    return step


def _check(node: Node, inputs: Sequence[Array | None], types: Types, place: Place, out: TensorType) -> int:
    """Returns: log2 of the cell state's scale."""
    norms = range(place.norms, place.norms + 4) if place.norms is not None else range(0)
    if any(given_or_none(inputs, i) is not None for i in (place.first + 15, *norms)):
        raise invalid(node, "its integer form with a projection or layer normalisation is not known here")
    kinds = [kind_of(types, i) for i in (0, place.state, place.state + 1)]
    wanted = (DType.INT8, DType.INT8, DType.INT16)
    if tuple(kind.dtype for kind in kinds) != wanted or out.dtype is not DType.INT8:
        told = ", ".join(kind.dtype.value for kind in kinds)
        raise invalid(node, f"no integer kernel takes an operand and states of {told}")
    exponent = log2(fixed.scale_of(node, kinds[2])[0])
    if abs(exponent - round(exponent)) > 1e-3 or not -15 <= round(exponent) <= -9:
        raise invalid(node, f"its cell state has a scale of 2^{exponent:.2f}, expected 2^−15 to 2^−9")
    return round(exponent)


def _gate(node: Node, inputs: Sequence[Array | None], types: Types, place: Place, gate: int) -> _Gate:
    first = place.first
    bias = given(inputs, first + 11 + gate).astype(np.int64)
    peephole = _PEEPHOLE.get(gate)
    weights = None if peephole is None else given_or_none(inputs, first + peephole)
    extra = None
    if peephole is not None and weights is not None:
        scale = fixed.scale_of(node, kind_of(types, first + peephole))[0]
        memory_scale = fixed.scale_of(node, kind_of(types, place.state + 1))[0]
        factor = fixed.quantize_multiplier(memory_scale * scale / _GATE_SCALE)
        extra = (weights.astype(np.int64), factor)
    return _Gate(
        _product(node, inputs, types, first + gate, 0, bias),
        _product(node, inputs, types, first + 4 + gate, place.state, np.zeros(1, np.int64)),
        extra,
    )


def _product(
    node: Node, inputs: Sequence[Array | None], types: Types, position: int, taken: int, bias: Values
) -> _Product:
    weights = given(inputs, position).astype(np.int64)
    if weights.ndim != 2 or weights.dtype.kind != "i":
        raise invalid(node, "its integer form with diagonal weights is not known here")
    scale, zero_point = fixed.scale_of(node, kind_of(types, taken))
    factor = scale * fixed.scale_of(node, kind_of(types, position))[0] / _GATE_SCALE
    return _Product(weights, bias - zero_point * weights.sum(axis=1), fixed.quantize_multiplier(factor))
