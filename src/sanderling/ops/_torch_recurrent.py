"""Recurrent layers in PyTorch: their cells take states and give the next ones, and nothing is written over.

A cell is (x [B, I], states) → (output [B, O], next states).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sanderling.graph.graph import Node
from sanderling.graph.types import TensorType
from sanderling.ops._lstm import CELL, FORGET, INPUT, OUTPUT, PEEPHOLE, Place
from sanderling.ops._operands import real, whole
from sanderling.ops._torch import activate
from sanderling.ops.op import Torch, Types, is_lifted

States = tuple[Any, ...]
Cell = Callable[[Any, States], tuple[Any, States]]
# (the module torch, node, operands) → a cell, and its first states
Make = Callable[[Any, Node, Sequence[Any]], tuple[Cell, States]]


def stepped(make: Make) -> Torch:
    """Returns: the lowering of an operator that is one step of a cell."""

    def lowering(
        torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        cell, states = make(torch, node, inputs)
        result, states = cell(inputs[0], states)
        return [result, *(states if is_lifted(node) else ())]

    return lowering


def over_time(*makes: Make) -> Torch:
    """Returns: the lowering of an operator that runs cells along x [T, B, I], or [B, T, I] unless
    ``time_major``: the first along the steps, a second one against them. Their results are apart, or together
    where ``merge_outputs`` says so."""

    def lowering(
        torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        axis = 0 if whole(node, "time_major") else 1
        results: list[Any] = []
        held: list[Any] = []
        for backwards, make in enumerate(makes):
            cell, states = make(torch, node, inputs)
            steps = list(inputs[0].unbind(axis))
            made = []
            for x in reversed(steps) if backwards else steps:
                result, states = cell(x, states)
                made.append(result)
            results.append(torch.stack(made[::-1] if backwards else made, axis))
            held += states
        if whole(node, "merge_outputs"):
            results = [torch.cat(results, 2)]
        return [*results, *(held if is_lifted(node) else ())]

    return lowering


def plain(first: int) -> Make:
    """Returns: the plain cell, act(W x + R h + b).

    Args:
        first: position of the weights; recurrent weights, bias and state follow.
    """

    def make(torch: Any, node: Node, inputs: Sequence[Any]) -> tuple[Cell, States]:
        weights, recurrent, bias, state = inputs[first : first + 4]

        def cell(x: Any, states: States) -> tuple[Any, States]:
            result = activate(torch, node, x @ weights.T + states[0] @ recurrent.T + bias)
            return result, (result,)

        return cell, (state,)

    return make


def lstm(place: Place) -> Make:
    """Returns: the LSTM's cell, as ``_lstm`` describes its operands."""

    def make(torch: Any, node: Node, inputs: Sequence[Any]) -> tuple[Cell, States]:
        def at(position: int) -> Any:
            return inputs[position] if position < len(inputs) else None

        def gate(number: int, x: Any, state: Any, memory: Any) -> Any:
            first = place.first
            recurrent, peephole = at(first + 4 + number), at(first + PEEPHOLE.get(number, len(inputs)))
            total = x @ at(first + number).T
            total = total + (state * recurrent if recurrent.ndim == 1 else state @ recurrent.T)
            total = total if peephole is None else total + memory * peephole
            norm = None if place.norms is None else at(place.norms + number)
            if norm is not None:
                centred = total - total.mean(-1, keepdim=True)
                total = centred / torch.sqrt(torch.square(centred).mean(-1, keepdim=True) + 1e-8) * norm
            return total + at(first + 11 + number)

        def cell(x: Any, states: States) -> tuple[Any, States]:
            state, memory = states
            forget = torch.sigmoid(gate(FORGET, x, state, memory))
            own = at(place.first + INPUT) is not None
            enter = torch.sigmoid(gate(INPUT, x, state, memory)) if own else 1 - forget
            new = activate(torch, node, gate(CELL, x, state, memory))
            kept = _clipped(torch, forget * memory + enter * new, real(node, "cell_clip"))
            result = torch.sigmoid(gate(OUTPUT, x, state, kept)) * activate(torch, node, kept)
            project, offset = at(place.first + 15), at(place.first + 16)
            if project is not None:
                result = torch.nn.functional.linear(result, project, offset)
                result = _clipped(torch, result, real(node, "proj_clip"))
            return result, (result, kept)

        return cell, (inputs[place.state], inputs[place.state + 1])

    return make


def _clipped(torch: Any, x: Any, limit: float) -> Any:
    return torch.clamp(x, -limit, limit) if limit > 0 else x
