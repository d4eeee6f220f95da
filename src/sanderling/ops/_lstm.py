"""The cell of the LSTM operators: its operands, their shapes, and one step on real numbers.

Operands, counted from the first: input weights of the gates input, forget, cell, output (the input gate may
be absent: it is then 1 − forget); recurrent weights of the 4; peepholes of input, forget, output; 4 biases;
projection and its bias. Further on, output and cell state (variables) and 4 layer normalisations.

Source: TFLite ``kernels/lstm_eval.cc``, LstmStepFloat and LstmStepHybrid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array
from sanderling.ops._activation import activate
from sanderling.ops._elementwise import given, given_or_none, sigmoid
from sanderling.ops._operands import Values, invalid, operand, optional, real, whole
from sanderling.ops._recurrent import (
    Cell,
    checked,
    checked_optional,
    matrix,
    maybe_vector,
    remember,
)
from sanderling.ops.op import Operands, Types

INPUT, FORGET, CELL, OUTPUT = range(4)
PEEPHOLE = {INPUT: 8, FORGET: 9, OUTPUT: 10}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cell's operands stand.

    Attributes:
        first: of the 17 that follow each other.
        state: of the output state; the cell state follows.
        norms: of the 4 layer normalisations, None where the operator has none.
    """

    first: int
    state: int
    norms: int | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of cells and outputs, and whether there is an input gate of its own."""

    cells: int
    outputs: int
    input_gate: bool

    @property
    def gates(self) -> tuple[int, ...]:
        """The gates that have weights."""
        return (INPUT, FORGET, CELL, OUTPUT) if self.input_gate else (FORGET, CELL, OUTPUT)


def sizes(node: Node, inputs: Operands, place: Place, batch: int, features: int) -> Sizes:
    """Checks every operand of a cell."""
    first = place.first
    weights, recurrent = operand(node, inputs, first + OUTPUT), operand(node, inputs, first + 4 + OUTPUT)
    diagonal = bool(whole(node, "diagonal_recurrent_tensors"))
    if len(weights.shape) != 2 or len(recurrent.shape) != 2 - diagonal:
        raise invalid(node, f"weights of shapes {weights.shape} and {recurrent.shape} do not fit")
    cells, outputs = weights.shape[0], recurrent.shape[-1]
    found = Sizes(cells, outputs, optional(inputs, first + INPUT) is not None)
    for gate in found.gates:
        checked(node, inputs, first + gate, (cells, features))
        checked(node, inputs, first + 4 + gate, (cells,) if diagonal else (cells, outputs))
        checked(node, inputs, first + 11 + gate, (cells,))
        if place.norms is not None:
            checked_optional(node, inputs, place.norms + gate, (cells,))
    for position in PEEPHOLE.values():
        checked_optional(node, inputs, first + position, (cells,))
    projected = checked_optional(node, inputs, first + 15, (outputs, cells))
    checked_optional(node, inputs, first + 16, (outputs,))
    if not projected and -1 not in (cells, outputs) and cells != outputs:
        raise invalid(node, f"{cells} cells give {outputs} outputs without a projection")
    checked(node, inputs, place.state, (batch, outputs))
    checked(node, inputs, place.state + 1, (batch, cells))
    return found


def macs(inputs: Operands, place: Place) -> int:
    """Returns: multiply-accumulates of one step for one sequence."""
    positions = [*range(place.first, place.first + 8), place.first + 15]
    return sum(tensor.type.size for tensor in (optional(inputs, p) for p in positions) if tensor is not None)


def cell(node: Node, inputs: Sequence[Array | None], types: Types, place: Place) -> Cell:
    """Returns: one step x [B, I] → [B, O], which also keeps both states."""
    first = place.first
    state, memory = given(inputs, place.state), given(inputs, place.state + 1)
    own_gate = given_or_none(inputs, first + INPUT) is not None
    gates = {
        gate: _gate(node, inputs, types, place, gate)
        for gate in (INPUT, FORGET, CELL, OUTPUT)
        if gate != INPUT or own_gate
    }
    project = (
        matrix(node, inputs, types, first + 15) if given_or_none(inputs, first + 15) is not None else None
    )
    offset = maybe_vector(node, inputs, types, first + 16)
    cell_clip, out_clip = real(node, "cell_clip"), real(node, "proj_clip")

    def step(x: Values) -> Values:
        forget = sigmoid(gates[FORGET](x, state, memory))
        enter = sigmoid(gates[INPUT](x, state, memory)) if own_gate else 1 - forget
        kept = forget * memory + enter * activate(node, gates[CELL](x, state, memory))
        kept = np.clip(kept, -cell_clip, cell_clip) if cell_clip > 0 else kept
        result = sigmoid(gates[OUTPUT](x, state, kept)) * activate(node, kept)
        if project is not None:
            result = project(result) if offset is None else project(result) + offset
            result = np.clip(result, -out_clip, out_clip) if out_clip > 0 else result
        remember(node, memory, kept)
        remember(node, state, result)
        return np.array(result, np.float32)

    return step


@dataclass(frozen=True, slots=True)
class _Gate:
    weights: Cell
    recurrent: Cell
    peephole: Values | None
    bias: Values
    norm: Values | None

    def __call__(self, x: Values, state: Values, memory: Values) -> Values:
        total = self.weights(x) + self.recurrent(state)
        if self.peephole is not None:
            total = total + memory * self.peephole
        if self.norm is not None:
            total = normalised(total) * self.norm
        return np.asarray(total + self.bias)


def _gate(node: Node, inputs: Sequence[Array | None], types: Types, place: Place, gate: int) -> _Gate:
    first = place.first
    peephole = PEEPHOLE.get(gate)
    norm = None if place.norms is None else maybe_vector(node, inputs, types, place.norms + gate)
    weights = matrix(node, inputs, types, first + gate)
    return _Gate(
        weights,
        matrix(node, inputs, types, first + 4 + gate),
        None if peephole is None else maybe_vector(node, inputs, types, first + peephole),
        given(inputs, first + 11 + gate),
        norm,
    )


def normalised(x: Values) -> Values:
    """Returns: every row of x with mean 0 and variance 1.

    Source: TFLite ``portable_tensor_utils.cc``, MeanStddevNormalization.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + np.float32(1e-8)))
