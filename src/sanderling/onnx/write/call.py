"""One TFLite node on its way into the ONNX graph: its operands, and short ways to write operators."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.graph import Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.onnx.write.builder import (
    Builder,
    NeedsOpset,
    Order,
    Value,
    in_order,
    plain_order,
    relabelled,
)
from sanderling.onnx.write.element_types import code
from sanderling.ops.registry import find_for

# The fused activations as ranges; TANH is a function.
_RANGES = {"NONE": (None, None), "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
MOST_BYTES = 2**26  # of a constant that is not the file's own
# What ONNX Runtime computes with. Other integers become one of these and go back.
_COMPUTED = {DType.FLOAT32, DType.FLOAT64, DType.INT32, DType.INT64}
_CHOSEN = _COMPUTED | {DType.UINT8, DType.STRING}
_LARGE = {DType.UINT32, DType.UINT64}


@dataclass(frozen=True, slots=True)
class Regions:
    """How a node writes the graphs that it runs.

    Attributes:
        inline: (graph's number, operands) → its outputs, written in the place of the call.
        nested: (graph's number, operands) → its outputs as TFLite has them, as a graph of its own.
        keep: (operand's position, next value) → nothing: what the next call begins with.
        variables: → the tensors that are variables.
    """

    inline: Callable[[int, Sequence[Value]], list[Value]]
    nested: Callable[[Builder, int, Sequence[Value]], list[Value]]
    keep: Callable[[int, Value], None]
    variables: Callable[[], set[int]]


@dataclass(frozen=True, slots=True)
class Call:
    """A node with its operands.

    Attributes:
        builder: the graph.
        node: the node.
        inputs: its operands; absent ones are None.
        outputs: types of its outputs.
        name: what its first output is called.
        regions: for nodes that run other graphs or keep a state.
    """

    builder: Builder
    node: Node
    inputs: tuple[Value | None, ...]
    outputs: tuple[TensorType, ...]
    name: str
    regions: Regions | None = field(default=None, compare=False)

    def attr(self, name: str, default: Any = None) -> Any:
        """Returns: an option, ``default`` where the file does not state it."""
        value = self.node.attrs.get(name, default)
        return default if value is None else value

    def has(self, position: int) -> bool:
        """Returns: whether an operand is there."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def value(self, position: int = 0) -> Value:
        """Returns: an operand that must be there.

        Raises:
            UnsupportedOperator: it is not.
        """
        found = self.inputs[position] if position < len(self.inputs) else None
        if found is None:
            raise UnsupportedOperator(f"operand {position} is absent")
        return found

    def shape(self, position: int = 0) -> tuple[int, ...]:
        """Returns: an operand's sizes.

        Raises:
            UnsupportedOperator: only a run tells them.
        """
        return settled(self.value(position).type.shape, f"operand {position}")

    def out_shape(self, position: int = 0) -> tuple[int, ...]:
        """Returns: an output's sizes. Raises as ``shape`` does."""
        return settled(self.outputs[position].shape, "the output")

    def rank(self, position: int = 0) -> int:
        return len(self.value(position).type.shape)

    def axis(self, axis: int, position: int = 0) -> int:
        """Returns: an axis of an operand, counted from the front."""
        rank = self.rank(position)
        return axis + rank if axis < 0 else axis

    def known(self, position: int, what: str) -> Array:
        """Returns: a constant operand's elements.

        Raises:
            UnsupportedOperator: only a run tells them.
        """
        data = self.value(position).data
        if data is None:
            raise UnsupportedOperator(f"its {what} depend on values that only a run tells")
        return data

    def numbers(self, position: int, what: str) -> tuple[int, ...]:
        """Returns: the whole numbers of a constant operand."""
        return tuple(int(each) for each in self.known(position, what).reshape(-1))

    @property
    def integers(self) -> bool:
        """Whether TFLite computes it with stored integers."""
        values = [v.type for v in self.inputs if v is not None and v.data is None]
        return any(kind.is_quantized for kind in (*values, *self.outputs))

    # ---- reading and writing

    def read(self, position: int = 0, order: Order | None = None) -> str:
        """Returns: the name of an operand's real numbers, in an order of axes."""
        value = relabelled(self.value(position), DType.INT8 if position in self.weights else DType.UINT8)
        return self.builder.read(value, order, folded=not self.integers)

    @property
    def weights(self) -> Collection[int]:
        """The positions of weights: kernels take these as int8 beside values of uint8."""
        op = find_for(self.node)
        return () if op is None else op.quant.weights

    def integer_vector(self, position: int) -> str:
        """Returns: the name of an operand of whole numbers as a vector of int64."""
        value = self.value(position)
        if value.data is not None:
            return self.builder.integers(*self.numbers(position, "numbers"))
        flat = self.op("Reshape", self.builder.stored(value), self.builder.integers(-1))
        return self.cast(flat, DType.INT64)

    def op(self, op: str, *inputs: str, **attrs: Any) -> str:
        """Adds a node. Returns: the name of its output."""
        return self.builder.emit(op, inputs, name=f"{self.name}/{op}", **attrs)[0]

    def many(self, op: str, inputs: Sequence[str], count: int, **attrs: Any) -> list[str]:
        """Adds a node of several outputs. Returns: their names."""
        return self.builder.emit(op, inputs, name=f"{self.name}/{op}", count=count, **attrs)

    def ints(self, *numbers: int) -> str:
        """Returns: the name of a constant vector of int64."""
        return self.builder.integers(*numbers)

    def scalar(self, number: float, dtype: DType = DType.FLOAT32) -> str:
        """Returns: the name of a constant."""
        return self.builder.constant(np.array(number, dtype.numpy), "number")

    def constant(self, array: Array) -> str:
        """Returns: the name of a constant.

        Raises:
            UnsupportedOperator: it would make a large file of a small one.
        """
        if array.nbytes > MOST_BYTES:
            raise UnsupportedOperator(f"it would take a constant of {array.nbytes >> 20} MB")
        return self.builder.constant(array, f"{self.name}/constant")

    def cast(self, name: str, dtype: DType) -> str:
        """Returns: the name of the value as another element type."""
        return self.op("Cast", name, to=code(dtype))

    def reshape(self, name: str, shape: Sequence[int]) -> str:
        """Returns: the name of the value in another shape."""
        return self.op("Reshape", name, self.ints(*shape))

    def need(self, opset: int, what: str) -> None:
        """Makes sure that the opset is late enough.

        Raises:
            NeedsOpset: it is not.
        """
        if self.builder.opset < opset:
            raise NeedsOpset(opset, what)

    def give(self, name: str, order: Order | None = None, position: int = 0) -> Value:
        """Returns: an output, whose real numbers are ``name``."""
        kind = self.outputs[position]
        order = plain_order(len(kind.shape)) if order is None else order
        if kind.is_quantized:
            return self.builder.quantized(name, kind, order, self.name)
        return Value(name, kind, order)

    def give_stored(self, name: str, order: Order | None = None, position: int = 0) -> Value:
        """Returns: an output that ``name`` holds as it is stored."""
        kind = self.outputs[position]
        return Value(name, kind, plain_order(len(kind.shape)) if order is None else order)

    def activated(self, name: str, position: int = 0) -> str:
        """Returns: the name of the value after the fused activation."""
        word = str(self.attr("fused_activation_function", "NONE"))
        if word == "TANH":
            return self.op("Tanh", name)
        if word not in _RANGES:
            raise UnsupportedOperator(f"the fused activation {word}")
        return self.clamped(name, *_RANGES[word], position)

    def clamped(self, name: str, low: float | None, high: float | None, position: int = 0) -> str:
        """Returns: the name of the value within [low, high], or its own if the output cannot reach beyond."""
        kind = self.outputs[position]
        if low is high is None or covers(kind, low, high):
            return name
        real = DType.FLOAT32 if kind.is_quantized else kind.dtype
        if low == 0 and high is None:
            return self.op("Relu", name)
        ends = ["" if end is None else self.scalar(end, real) for end in (low, high)]
        return self.op("Clip", name, *ends)

    # ---- operands together

    def aligned(self, *positions: int) -> tuple[Order, list[str]]:
        """Brings operands to one rank and order of axes. Returns: the order, and their names."""
        values = [relabelled(self.value(position), DType.UINT8) for position in positions]
        rank = max(len(value.order) for value in values)
        raised = [self.raised(value, rank) for value in values]
        changing = [value for value in raised if value.data is None] or raised
        order = max(changing, key=lambda value: value.type.size).order
        return order, [self.builder.read(value, order, folded=not self.integers) for value in raised]

    def raised(self, value: Value, rank: int) -> Value:
        """Returns: the value with axes of size 1 in front."""
        more = rank - len(value.order)
        if not more:
            return value
        kind = replace(value.type, shape=(1,) * more + value.type.shape)
        if kind.quant is not None and kind.quant.axis is not None:
            kind = replace(kind, quant=replace(kind.quant, axis=kind.quant.axis + more))
        order = (*range(more), *(axis + more for axis in value.order))
        if value.data is not None:
            data = value.data.reshape(kind.shape)
            return replace(value, name=f"{value.name}/raised{rank}", type=kind, order=order, data=data)
        return self.restored(value, kind, order)

    def restored(self, value: Value, kind: TensorType, order: Order) -> Value:
        """Returns: a value whose stored elements are those of ``value`` in other sizes, none moved."""
        real = self.builder.as_held(value)
        if -1 in kind.shape:
            axes = [i for i, axis in enumerate(order) if kind.shape[axis] == 1]
            more = len(order) - len(value.order)
            name = self.op("Unsqueeze", real, self.ints(*axes[:more]))
        else:
            name = self.reshape(real, tuple(kind.shape[axis] for axis in order))
        if kind.is_quantized:
            return self.builder.quantized(name, kind, order, f"{value.name}/raised")
        return Value(name, kind, order)

    def widened(self, names: Sequence[str], dtype: DType) -> tuple[list[str], DType]:
        """Returns: operands of a dtype as one that ONNX Runtime computes with, and which."""
        if dtype in _COMPUTED:
            return list(names), dtype
        if dtype.is_float:
            return [self.cast(name, DType.FLOAT32) for name in names], DType.FLOAT32
        wide = DType.INT64 if dtype in _LARGE else DType.INT32
        return [self.cast(name, wide) for name in names], wide

    def where(self, condition: str, a: str, b: str, dtype: DType) -> str:
        """Returns: the name of a choice between two values, of any dtype."""
        names, wide = ([a, b], dtype) if dtype in _CHOSEN else self.widened([a, b], dtype)
        result = self.op("Where", condition, *names)
        return result if wide is dtype else self.cast(result, dtype)

    def computed_dtype(self, position: int = 0) -> DType:
        """Returns: the dtype of an operand's real numbers."""
        kind = self.value(position).type
        return DType.FLOAT32 if kind.is_quantized else kind.dtype


def settled(shape: Sequence[int], what: str) -> tuple[int, ...]:
    """Returns: the sizes, none of which may be unknown.

    Raises:
        UnsupportedOperator: one is.
    """
    if -1 in shape:
        raise UnsupportedOperator(f"the sizes of {what} depend on values that only a run tells")
    return tuple(shape)


def covers(kind: TensorType, low: float | None, high: float | None) -> bool:
    """Returns: whether all integers of a quantized type stand for numbers within [low, high]."""
    quant = kind.quant
    if not kind.is_quantized or quant is None or quant.axis is not None:
        return False
    info = np.iinfo(kind.dtype.value)
    scale, zero_point = float(quant.scale[0]), int(quant.zero_point[0])
    if not 0 < scale < float("inf"):  # of a damaged file: whoever quantizes to it says so
        return False
    below = low is None or zero_point + round(low / scale) <= info.min
    return below and (high is None or zero_point + round(high / scale) >= info.max)


def keeps_elements(value: Value) -> bool:
    """Returns: whether the stored elements of a value follow each other as TFLite's do."""
    return in_order(value.order, value.type.shape)
