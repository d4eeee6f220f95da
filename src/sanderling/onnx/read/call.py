"""One ONNX node on its way into the graph: its operands and attributes, and short ways to write operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array, DType
from sanderling.onnx.read.builder import Builder, Order, Value, plain_order
from sanderling.onnx.read.proto import OnnxNode


@dataclass(frozen=True, slots=True)
class Call:
    """A node with its operands.

    Attributes:
        builder: the graph.
        node: the node.
        opset: version of ONNX's operators.
        inputs: its operands; absent ones are None.
    """

    builder: Builder
    node: OnnxNode
    opset: int
    inputs: tuple[Value | None, ...]

    @property
    def name(self) -> str:
        """What the node's first output is called."""
        return self.node.outputs[0]

    def attr(self, name: str, default: Any) -> Any:
        """Returns: an attribute, ``default`` where the node does not state it."""
        return self.node.attrs.get(name, default)

    def has(self, position: int) -> bool:
        """Returns: whether an operand is there."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def value(self, position: int) -> Value:
        """Returns: an operand that must be there.

        Raises:
            UnsupportedOperator: it is not.
        """
        found = self.inputs[position] if position < len(self.inputs) else None
        if found is None:
            raise UnsupportedOperator(f"operand {position} is absent")
        return found

    def optional(self, position: int) -> Value | None:
        """Returns: an operand, None where it is absent."""
        return self.inputs[position] if position < len(self.inputs) else None

    def shape(self, position: int = 0) -> tuple[int, ...]:
        """Returns: an operand's sizes in ONNX's order."""
        return self.builder.shape(self.value(position))

    def dtype(self, position: int = 0) -> DType:
        return self.builder.dtype(self.value(position))

    def known(self, position: int, what: str) -> Array:
        """Returns: an operand's elements.

        Raises:
            UnsupportedOperator: only a run tells them.
        """
        found = self.builder.known(self.value(position))
        if found is None:
            raise UnsupportedOperator(f"its {what} depend on values that only a run tells")
        return found

    def numbers(self, position: int, attr: str, what: str) -> tuple[int, ...] | None:
        """Returns: whole numbers that are an attribute or (in later opsets) an operand; None if neither."""
        if self.has(position):
            return tuple(int(each) for each in self.known(position, what).reshape(-1))
        stated = self.node.attrs.get(attr)
        return None if stated is None else tuple(int(each) for each in np.atleast_1d(stated))

    def axis(self, default: int, rank: int, attr: str = "axis") -> int:
        """Returns: an axis, counted from the front.

        Raises:
            UnsupportedOperator: there is no such axis.
        """
        axis = int(self.attr(attr, default))
        if not -rank <= axis < max(rank, 1):
            raise UnsupportedOperator(f"axis {axis} of a value with {rank} axes")
        return axis + rank if axis < 0 else axis

    # ---- writing

    def emit(self, op: str, inputs: Sequence[int], **more: Any) -> int:
        """Adds an operator that is named after the node's first output. Returns: its output's index."""
        return self.builder.emit(op, inputs, name=more.pop("name", self.name), **more)

    def unary(self, op: str, value: Value | None = None, **attrs: Any) -> Value:
        """Adds an operator that treats every element alike."""
        value = value or self.value(0)
        return Value(self.emit(op, (value.index,), **attrs), value.order)

    def binary(self, op: str, a: Value, b: Value, **attrs: Any) -> Value:
        """Adds an operator of two operands that are broadcast as NumPy does."""
        order, (left, right) = self.aligned(a, b)
        if op in _FUSING:
            attrs.setdefault("fused_activation_function", "NONE")
        return Value(self.emit(op, (left, right), **attrs), order)

    def aligned(self, *values: Value) -> tuple[Order, tuple[int, ...]]:
        """Brings operands to one rank and order of axes. Returns: the order, and their indices."""
        builder = self.builder
        rank = max(len(value.order) for value in values)
        raised = [self.raised(value, rank) for value in values]
        changing = [value for value in raised if builder.known(value) is None] or raised
        largest = max(changing, key=lambda value: builder.tensor(value).type.size)
        return largest.order, tuple(builder.stored(value, largest.order) for value in raised)

    def raised(self, value: Value, rank: int) -> Value:
        """Returns: the value with axes of size 1 in front."""
        more = rank - len(value.order)
        if not more:
            return value
        # New axes come first whatever the order of the others, so nothing has to move.
        shape = (1,) * more + self.builder.tensor(value).shape
        order = (*range(more), *(axis + more for axis in value.order))
        return Value(self.builder.reshape(value.index, shape), order)

    def constant(self, array: Any, dtype: DType | None = None) -> Value:
        """Adds a constant of the node's, of float32 or of ``dtype``."""
        kind = np.float32 if dtype is None else dtype.numpy
        return self.builder.constant(np.asarray(array, kind), f"{self.name}/constant")

    def plain(self, index: int) -> Value:
        """Returns: a tensor whose axes are as ONNX has them, as a value."""
        return Value(index, plain_order(len(self.builder.graph.tensors[index].shape)))

    def cast(self, value: Value, dtype: DType) -> Value:
        """Returns: the value as another element type."""
        source = self.builder.dtype(value)
        if source is dtype:
            return value
        index = self.emit("CAST", (value.index,), dtype=dtype, in_data_type=source.value,
                          out_data_type=dtype.value)  # fmt: skip
        return Value(index, value.order)


# Operators whose options hold a fused activation.
_FUSING = {"ADD", "SUB", "MUL", "DIV"}
