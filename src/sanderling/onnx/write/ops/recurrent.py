"""Recurrent layers. ONNX's own LSTM and RNN where they say the same, else step by step.

What a layer keeps between calls comes in as its state and goes out as the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sanderling.errors import UnsupportedOperator
from sanderling.onnx.write.builder import Value
from sanderling.onnx.write.call import Call, Regions
from sanderling.onnx.write.registry import tflite_op

MOST_STEPS = 512
INPUT, FORGET, CELL, OUTPUT = range(4)
_ONNX_ORDER = (INPUT, OUTPUT, FORGET, CELL)
Step = Callable[[str, list[str]], list[str]]  # (x [B, I], states) → next states, the output first


@dataclass(frozen=True, slots=True)
class Place:
    """Where a cell's operands stand: the first of 17, its two states, its 4 layer normalisations."""

    first: int
    state: int
    norms: int | None = None


@tflite_op("UNIDIRECTIONAL_SEQUENCE_LSTM")
def lstm_over_time(call: Call) -> list[Value]:
    return [call.give(_lstm(call, Place(1, 18, 20), reverse=False))]


@tflite_op("BIDIRECTIONAL_SEQUENCE_LSTM")
def lstm_both_ways(call: Call) -> list[Value]:
    return _both(call, [_lstm(call, Place(1, 35), reverse=False), _lstm(call, Place(18, 37), reverse=True)])


def _both(call: Call, results: list[str]) -> list[Value]:
    if call.attr("merge_outputs", False):
        return [call.give(call.op("Concat", *results, axis=2))]
    return [call.give(name, position=i) for i, name in enumerate(results)]


@tflite_op("LSTM")
def lstm_step(call: Call) -> list[Value]:
    """One step."""
    if str(call.attr("kernel_type", "FULL")) == "BASIC":
        return _basic(call)
    _refuse_integers(call)
    place = Place(1, 18, 20)
    states = [call.read(place.state), call.read(place.state + 1)]
    after = _cell(call, place)(call.read(0), states)
    _keep(call, place.state, after)
    return [call.give(after[0])]


def _basic(call: Call) -> list[Value]:
    """Weights of all gates in one matrix, in the order input, cell, forget, output."""
    _refuse_integers(call)
    joined = call.op("Concat", call.read(0), call.read(1), axis=1)
    total = call.op("Gemm", joined, call.read(2), call.read(3), transB=1)
    size = call.shape(1)[1]
    enter, new, forget, leave = call.many("Split", (total, call.ints(*(size,) * 4)), 4, axis=1)
    kept = call.op("Add", call.op("Mul", call.op("Sigmoid", enter), call.op("Tanh", new)),
                   call.op("Mul", call.op("Sigmoid", forget), call.read(4)))  # fmt: skip
    result = call.op("Mul", call.op("Sigmoid", leave), call.op("Tanh", kept))
    for position, name, output in ((1, result, 0), (4, kept, 1)):
        if call.node.inputs[position] in _variables(call):
            _regions(call).keep(position, Value(name, call.outputs[output], (0, 1)))
    return [call.give(name, position=i) for i, name in enumerate((result, kept, joined, total))]


def _lstm(call: Call, place: Place, *, reverse: bool) -> str:
    """Writes a cell along the steps. Returns: its outputs, in the layout of the input."""
    _refuse_integers(call)
    if _is_plain(call, place):
        return _operator(call, place, reverse=reverse)
    return _over_time(call, place.state, 2, _cell(call, place), reverse=reverse)


def _refuse_integers(call: Call) -> None:
    if call.value(0).type.is_quantized:
        raise UnsupportedOperator("ONNX has no LSTM that computes with integers")


def _is_plain(call: Call, place: Place) -> bool:
    """Returns: whether ONNX's LSTM says the same."""
    norms = place.norms is not None and any(call.has(place.norms + i) for i in range(4))
    special = norms or call.has(place.first + 15) or call.attr("diagonal_recurrent_tensors", False)
    clips = float(call.attr("cell_clip", 0.0)) > 0
    word = str(call.attr("fused_activation_function", "NONE"))
    return not special and not clips and word == "TANH" and call.has(place.first + INPUT)


def _operator(call: Call, place: Place, *, reverse: bool) -> str:
    first, units = place.first, call.shape(place.first + OUTPUT)[0]
    weights, recurrent, biases = (
        call.op("Concat", *(call.read(first + start + gate) for gate in _ONNX_ORDER), axis=0)
        for start in (0, 4, 11)
    )
    zeros = call.op("Expand", call.scalar(0), call.ints(4 * units))
    rows = [call.op("Unsqueeze", name, call.ints(0)) for name in
            (weights, recurrent, call.op("Concat", biases, zeros, axis=0))]  # fmt: skip
    peepholes = _peepholes(call, first, units)
    states = [call.op("Unsqueeze", call.read(place.state + i), call.ints(0)) for i in range(2)]
    y, h, c = call.many(
        "LSTM", (call.read(0, _time_first(call)), *rows, "", *states, *peepholes), 3, hidden_size=units,
        direction="reverse" if reverse else "forward",
    )  # fmt: skip
    _keep(call, place.state, [call.op("Squeeze", name, call.ints(0)) for name in (h, c)])
    return _like_input(call, call.op("Squeeze", y, call.ints(1)))


def _peepholes(call: Call, first: int, units: int) -> list[str]:
    positions = (first + 8, first + 10, first + 9)  # ONNX: input, output, forget
    if not any(call.has(position) for position in positions):
        return []
    none = call.op("Expand", call.scalar(0), call.ints(units))
    parts = [call.read(position) if call.has(position) else none for position in positions]
    return [call.op("Unsqueeze", call.op("Concat", *parts, axis=0), call.ints(0))]


def _time_first(call: Call) -> tuple[int, ...]:
    return (0, 1, 2) if call.attr("time_major", False) else (1, 0, 2)


def _like_input(call: Call, name: str) -> str:
    return name if call.attr("time_major", False) else call.op("Transpose", name, perm=(1, 0, 2))


def _variables(call: Call) -> set[int]:
    return _regions(call).variables()


def _regions(call: Call) -> Regions:
    assert call.regions is not None
    return call.regions


def _keep(call: Call, state: int, names: list[str]) -> None:
    for i, name in enumerate(names):
        kind = call.value(state + i).type
        _regions(call).keep(state + i, Value(name, kind, tuple(range(len(kind.shape)))))


def _over_time(call: Call, state: int, states: int, step: Step, *, reverse: bool) -> str:
    """Writes a step for each entry of the sequence. Returns: the outputs, in the layout of the input."""
    axis = 0 if call.attr("time_major", False) else 1
    count = call.shape()[axis]
    if count > MOST_STEPS:
        raise UnsupportedOperator(f"{count} steps are too many to be written one by one")
    entries = call.many("Split", (call.read(0), call.ints(*(1,) * count)), count, axis=axis)
    held = [call.read(state + i) for i in range(states)]
    results = []
    for entry in reversed(entries) if reverse else entries:
        held = step(call.op("Squeeze", entry, call.ints(axis)), held)
        results.append(call.op("Unsqueeze", held[0], call.ints(axis)))
    _keep(call, state, held)
    return call.op("Concat", *(results[::-1] if reverse else results), axis=axis)


def _cell(call: Call, place: Place) -> Step:
    """Returns: one step of an LSTM with all that TFLite knows.

    Source: TFLite ``kernels/lstm_eval.cc``, LstmStepFloat.
    """
    first, own = place.first, call.has(place.first + INPUT)
    cell_clip, out_clip = (float(call.attr(name, 0.0)) for name in ("cell_clip", "proj_clip"))

    def gate(number: int, x: str, state: str, memory: str) -> str:
        total = call.op("Add", call.op("Gemm", x, call.read(first + number), transB=1),
                        _recurrent(call, state, first + 4 + number))  # fmt: skip
        peephole = {INPUT: 8, FORGET: 9, OUTPUT: 10}.get(number)
        if peephole is not None and call.has(first + peephole):
            total = call.op("Add", total, call.op("Mul", memory, call.read(first + peephole)))
        if place.norms is not None and call.has(place.norms + number):
            total = call.op("Mul", _normalised(call, total), call.read(place.norms + number))
        return call.op("Add", total, call.read(first + 11 + number))

    def step(x: str, states: list[str]) -> list[str]:
        state, memory = states
        forget = call.op("Sigmoid", gate(FORGET, x, state, memory))
        enter = (
            call.op("Sigmoid", gate(INPUT, x, state, memory))
            if own
            else call.op("Sub", call.scalar(1), forget)
        )
        new = call.activated(gate(CELL, x, state, memory))
        kept = call.op("Add", call.op("Mul", forget, memory), call.op("Mul", enter, new))
        kept = _clipped(call, kept, cell_clip)
        result = call.op("Mul", call.op("Sigmoid", gate(OUTPUT, x, state, kept)), call.activated(kept))
        if call.has(first + 15):
            offset = [call.read(first + 16)] if call.has(first + 16) else []
            result = _clipped(
                call, call.op("Gemm", result, call.read(first + 15), *offset, transB=1), out_clip
            )
        return [result, kept]

    return step


def _recurrent(call: Call, state: str, position: int) -> str:
    if call.rank(position) == 1:
        return call.op("Mul", state, call.read(position))
    return call.op("Gemm", state, call.read(position), transB=1)


def _clipped(call: Call, name: str, limit: float) -> str:
    return call.op("Clip", name, call.scalar(-limit), call.scalar(limit)) if limit > 0 else name


def _normalised(call: Call, name: str) -> str:
    """Source: TFLite ``portable_tensor_utils.cc``, MeanStddevNormalization."""
    call.need(18, "an LSTM with layer normalisation")
    centred = call.op("Sub", name, call.op("ReduceMean", name, call.ints(-1), keepdims=1))
    square = call.op("ReduceMean", call.op("Mul", centred, centred), call.ints(-1), keepdims=1)
    return call.op("Div", centred, call.op("Sqrt", call.op("Add", square, call.scalar(1e-8))))


# ---- plain cells


def _plain(call: Call, first: int) -> Step:
    def step(x: str, states: list[str]) -> list[str]:
        total = call.op("Add", call.op("Gemm", x, call.read(first), call.read(first + 2), transB=1),
                        call.op("Gemm", states[0], call.read(first + 1), transB=1))  # fmt: skip
        return [call.activated(total)]

    return step


@tflite_op("RNN")
def rnn_step(call: Call) -> list[Value]:
    after = _plain(call, 1)(call.read(0), [call.read(4)])
    _keep(call, 4, after)
    return [call.give(after[0])]


@tflite_op("UNIDIRECTIONAL_SEQUENCE_RNN")
def rnn_over_time(call: Call) -> list[Value]:
    return [call.give(_over_time(call, 4, 1, _plain(call, 1), reverse=False))]


@tflite_op("BIDIRECTIONAL_SEQUENCE_RNN")
def rnn_both_ways(call: Call) -> list[Value]:
    both = [_over_time(call, first + 3, 1, _plain(call, first), reverse=first > 1) for first in (1, 5)]
    return _both(call, both)


@tflite_op("SVDF")
def svdf(call: Call) -> list[Value]:
    """Keeps the newest features of every filter and weighs them over time."""
    _refuse_integers(call)
    (filters, memory), rank = call.shape(2), int(call.attr("rank", 1))
    batch = call.shape()[0]
    newest = call.op("Unsqueeze", call.op("Gemm", call.read(0), call.read(1), transB=1), call.ints(2))
    held = call.reshape(call.read(4), (batch, filters, memory))
    held = call.op(
        "Concat", call.op("Slice", held, call.ints(1), call.ints(memory), call.ints(2)), newest, axis=2
    )
    kind = call.value(4).type
    _keep(call, 4, [call.reshape(held, kind.shape)])
    units = call.op("ReduceSum", call.op("Mul", held, call.read(2)), call.ints(2), keepdims=0)
    units = call.reshape(units, (batch, filters // rank, rank))
    units = call.op("ReduceSum", units, call.ints(2), keepdims=0)
    return [call.give(call.activated(call.op("Add", units, call.read(3)) if call.has(3) else units))]
