"""LSTM, GRU and RNN, written out step by step: engines run that faster than a loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array
from sanderling.onnx.read.builder import Value, plain_order
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.ops.matrix import connected
from sanderling.onnx.read.registry import onnx_op

MOST_STEPS = 2048
Step = Callable[["_Direction", Value, tuple[Value, ...]], tuple[Value, ...]]
_ACTIVATIONS = {"sigmoid": "LOGISTIC", "tanh": "TANH", "relu": "RELU"}


@dataclass(frozen=True, slots=True)
class _Direction:
    """One direction's weights and functions.

    Attributes:
        call: the node.
        recurrent: [gates × hidden, hidden].
        bias: of the recurrent product [gates × hidden], where it stands apart (GRU), else zeros.
        hidden: units.
        functions: the activations in ONNX's order.
        peepholes: LSTM's [3 × hidden], None where there are none.
    """

    call: Call
    recurrent: Array
    bias: Array
    hidden: int
    functions: tuple[str, ...]
    peepholes: Array | None = None


@onnx_op("LSTM")
def lstm(call: Call) -> list[Value]:
    return _recurrent(call, gates=4, states=2, step=_lstm_step, default=("sigmoid", "tanh", "tanh"))


@onnx_op("GRU")
def gru(call: Call) -> list[Value]:
    before = not call.attr("linear_before_reset", 0)
    step = _gru_step_before if before else _gru_step
    return _recurrent(call, gates=3, states=1, step=step, default=("sigmoid", "tanh"))


@onnx_op("RNN")
def rnn(call: Call) -> list[Value]:
    return _recurrent(call, gates=1, states=1, step=_rnn_step, default=("tanh",))


def _recurrent(call: Call, gates: int, states: int, step: Step, default: tuple[str, ...]) -> list[Value]:
    x, sizes = call.value(0), call.shape()
    if call.attr("layout", 0):
        x = Value(x.index, tuple((1, 0, 2)[axis] for axis in x.order))
        sizes = (sizes[1], sizes[0], sizes[2])
    steps, batch, _ = sizes
    _check(call, steps, batch)
    weights, recurrent = call.known(1, "weights"), call.known(2, "weights")
    directions = weights.shape[0]
    hidden = recurrent.shape[2]
    bias = call.known(3, "biases") if call.has(3) else np.zeros((directions, 2 * gates * hidden), np.float32)
    rows: list[list[Value]] = []
    lasts: list[tuple[Value, ...]] = []
    for d in range(directions):
        split = _split_bias(bias[d], gates * hidden, apart=call.node.op == "GRU")
        one = _Direction(call, recurrent[d], split[1], hidden, _functions(call, default, d), _peep(call, d))
        fed = connected(call, x, call.constant(weights[d]), call.constant(split[0]))
        backwards = d == 1 or call.attr("direction", "forward") == "reverse"
        states_now = _initial(call, d, states, (batch, hidden))
        order = range(steps - 1, -1, -1) if backwards else range(steps)
        made: dict[int, Value] = {}
        for t, part in zip(order, _steps_of(call, fed, order), strict=True):
            states_now = step(one, part, states_now)
            made[t] = states_now[0]
        rows.append([made[t] for t in range(steps)])
        lasts.append(states_now)
    return _results(call, rows, lasts)


def _check(call: Call, steps: int, batch: int) -> None:
    if steps > MOST_STEPS:
        raise UnsupportedOperator(f"a sequence of {steps} steps, more than {MOST_STEPS}")
    if call.has(4):
        lengths = call.builder.known(call.value(4))
        if lengths is None or not np.all(lengths == steps):
            raise UnsupportedOperator("sequences of several lengths (sequence_lens)")
    if call.node.attrs.get("clip") or call.attr("input_forget", 0):
        raise UnsupportedOperator("clipped or coupled gates")


def _functions(call: Call, default: tuple[str, ...], direction: int) -> tuple[str, ...]:
    named = tuple(str(each).lower() for each in call.attr("activations", ())) or default * 2
    mine = named[direction * len(default) :][: len(default)] or default
    for each in mine:
        if each not in _ACTIVATIONS:
            raise UnsupportedOperator(f"the activation {each!r}")
    return tuple(_ACTIVATIONS[each] for each in mine)


def _split_bias(bias: Array, size: int, *, apart: bool) -> tuple[Array, Array]:
    """Returns: what is added to the input's product, and what to the state's."""
    if apart:
        return bias[:size], bias[size:]
    return bias[:size] + bias[size:], np.zeros(size, np.float32)


def _peep(call: Call, direction: int) -> Array | None:
    if call.node.op != "LSTM" or not call.has(7):
        return None
    found = call.known(7, "peepholes")[direction]
    return found if np.any(found) else None


def _initial(call: Call, direction: int, count: int, shape: tuple[int, int]) -> tuple[Value, ...]:
    found = []
    for position in (5, 6)[:count]:
        given = call.optional(position)
        if given is None:
            found.append(call.constant(np.zeros(shape)))
            continue
        index = call.builder.plain(given)
        if call.attr("layout", 0):
            index = call.builder.stored(Value(index, (1, 0, 2)), plain_order(3))
        begin = call.builder.integers(direction, 0, 0)
        size = call.builder.integers(1, *shape)
        cut = call.emit("SLICE", (index, begin, size))
        found.append(call.plain(call.builder.reshape(cut, shape)))
    return tuple(found)


def _steps_of(call: Call, fed: Value, order: range) -> list[Value]:
    """Returns: [batch, gates × hidden] of each step, in the order in which they are wanted."""
    index = call.builder.plain(fed)
    shape = call.builder.graph.tensors[index].shape
    if shape[0] == 1:
        return [call.plain(call.builder.reshape(index, shape[1:]))]
    parts = call.builder.emit_many("UNPACK", (index,), shape[0], name=call.name, num=shape[0], axis=0)
    return [call.plain(parts[t]) for t in order]


def _gates(one: _Direction, value: Value, count: int) -> list[Value]:
    axis = one.call.builder.constant(np.array(1, np.int32)).index
    parts = one.call.builder.emit_many(
        "SPLIT", (axis, value.index), count, name=one.call.name, num_splits=count
    )
    return [one.call.plain(part) for part in parts]


def _hidden(one: _Direction, state: Value, rows: slice = slice(None)) -> Value:
    call = one.call
    bias = one.bias[rows]
    return connected(
        call, state, call.constant(one.recurrent[rows]), call.constant(bias) if bias.any() else None
    )


def _lstm_step(one: _Direction, fed: Value, states: tuple[Value, ...]) -> tuple[Value, ...]:
    call, (hidden, cell) = one.call, states
    f, g, h = one.functions
    i_, o_, f_, c_ = _gates(one, call.binary("ADD", fed, _hidden(one, hidden)), 4)
    peeps = None if one.peepholes is None else np.split(one.peepholes, 3)  # i, o, f

    def peeped(gate: Value, at: int, through: Value) -> Value:
        if peeps is None:
            return gate
        return call.binary("ADD", gate, call.binary("MUL", through, call.constant(peeps[at])))

    kept = call.binary("MUL", call.unary(f, peeped(f_, 2, cell)), cell)
    new = call.binary("MUL", call.unary(f, peeped(i_, 0, cell)), call.unary(g, c_))
    now = call.binary("ADD", kept, new)
    return call.binary("MUL", call.unary(f, peeped(o_, 1, now)), call.unary(h, now)), now


def _gru_step(one: _Direction, fed: Value, states: tuple[Value, ...]) -> tuple[Value, ...]:
    """The reset gate works on the state's product, as Keras and PyTorch have it."""
    call, (hidden,) = one.call, states
    f, g = one.functions
    z_, r_, h_ = _gates(one, fed, 3)
    zs, rs, hs = _gates(one, _hidden(one, hidden), 3)
    z = call.unary(f, call.binary("ADD", z_, zs))
    r = call.unary(f, call.binary("ADD", r_, rs))
    new = call.unary(g, call.binary("ADD", h_, call.binary("MUL", r, hs)))
    return (_blend(call, z, hidden, new),)


def _gru_step_before(one: _Direction, fed: Value, states: tuple[Value, ...]) -> tuple[Value, ...]:
    call, (hidden,) = one.call, states
    f, g = one.functions
    two = 2 * one.hidden
    z_, r_, h_ = _gates(one, fed, 3)
    zs, rs = _gates(one, _hidden(one, hidden, slice(0, two)), 2)
    z = call.unary(f, call.binary("ADD", z_, zs))
    r = call.unary(f, call.binary("ADD", r_, rs))
    reset = _hidden(one, call.binary("MUL", r, hidden), slice(two, None))
    return (_blend(call, z, hidden, call.unary(g, call.binary("ADD", h_, reset))),)


def _blend(call: Call, z: Value, old: Value, new: Value) -> Value:
    """Returns: (1 − z) · new + z · old."""
    return call.binary("ADD", new, call.binary("MUL", z, call.binary("SUB", old, new)))


def _rnn_step(one: _Direction, fed: Value, states: tuple[Value, ...]) -> tuple[Value, ...]:
    call = one.call
    return (call.unary(one.functions[0], call.binary("ADD", fed, _hidden(one, states[0]))),)


def _results(call: Call, rows: list[list[Value]], lasts: list[tuple[Value, ...]]) -> list[Value]:
    """Returns: Y [steps, directions, batch, hidden] and the last states [directions, batch, hidden]."""
    builder = call.builder

    def packed(values: list[Value], axis: int) -> int:
        indices = [builder.plain(each) for each in values]
        return call.emit("PACK", indices, axis=axis, values_count=len(indices))

    whole = [Value(packed(each, 0), plain_order(3)) for each in rows]  # [steps, batch, hidden]
    joined = call.plain(packed(whole, 1))
    finals = [call.plain(packed([last[i] for last in lasts], 0)) for i in range(len(lasts[0]))]
    if call.attr("layout", 0):
        joined = Value(joined.index, tuple((1, 2, 0, 3)[axis] for axis in joined.order))
        finals = [Value(each.index, tuple((1, 0, 2)[axis] for axis in each.order)) for each in finals]
    return [joined, *finals]
