"""Builds a graph of TFLite operators; every value knows in which order its axes are stored.

ONNX keeps channels second, TFLite last. Instead of transposing around every convolution, a value remembers
how its stored axes map to ONNX's: what does not care about the order goes on in the one it is given,
constants are stored as needed, and a TRANSPOSE is written only where a value is asked for in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np

from sanderling.errors import InvalidGraph, UnsupportedOperator
from sanderling.graph.constant import MAX_ELEMENTS
from sanderling.graph.edit import GraphBuilder
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.ops.op import Op
from sanderling.ops.registry import find
from sanderling.ops.versions import least_version

Order = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the ONNX graph.

    Attributes:
        index: the tensor that holds it.
        order: the tensor's axis ``i`` is ONNX's axis ``order[i]``.
    """

    index: int
    order: Order


def plain_order(rank: int) -> Order:
    """Returns: the axes as ONNX has them."""
    return tuple(range(rank))


def last_order(rank: int) -> Order:
    """Returns: channels last: [N, C, spatial…] stored as [N, spatial…, C]."""
    return (0, *range(2, rank), 1) if rank > 2 else plain_order(rank)


@dataclass(slots=True)
class Builder:
    """The graph that is being made.

    Attributes:
        graph: tensors and nodes so far.
        origins: what was reshaped → what it was before the first of the reshapes.
        integers_of: float constant → the integers (int8) that it stands for and their quantization.
        shifted: tensors of int8 that stand for ONNX's uint8, 128 less.
        rounds: values are rounded in scales that each run chooses.
    """

    graph: GraphBuilder = field(default_factory=GraphBuilder)
    integers_of: dict[int, tuple[Array, Quant]] = field(default_factory=dict)
    shifted: set[int] = field(default_factory=set)
    rounds: bool = False
    origins: dict[Value, Value] = field(default_factory=dict)
    _arranged: dict[tuple[int, Order], int] = field(default_factory=dict)
    _names: dict[str, int] = field(default_factory=dict)

    # ---- what is known of a value

    def tensor(self, value: Value) -> Tensor:
        """Returns: the tensor as it is stored."""
        return self.graph.tensors[value.index]

    def shape(self, value: Value) -> tuple[int, ...]:
        """Returns: the sizes in ONNX's order."""
        return _unordered(self.tensor(value).shape, value.order)

    def rank(self, value: Value) -> int:
        return len(value.order)

    def dtype(self, value: Value) -> DType:
        return self.tensor(value).dtype

    def known(self, value: Value | None) -> Array | None:
        """Returns: a constant's elements in ONNX's order, None for what only a run tells."""
        if value is None:
            return None
        data = self.tensor(value).data
        return None if data is None else np.transpose(data, np.argsort(value.order))

    # ---- new values

    def constant(self, array: Array, name: str = "") -> Value:
        """Adds a constant, in ONNX's order."""
        data = np.asarray(array)
        if data.dtype == np.float64:
            data = data.astype(np.float32)
        # not ascontiguousarray, which makes a vector of a scalar
        data = np.ascontiguousarray(data).reshape(data.shape)
        kind = TensorType(data.shape, DType(data.dtype.name))
        index = self.graph.tensor(Tensor(self.named(name or "constant"), kind, data))
        return Value(index, plain_order(data.ndim))

    def integers(self, *numbers: int) -> int:
        """Adds a vector of int32. Returns: its index."""
        return self.constant(np.array(numbers, np.int32)).index

    def remember(self, index: int, stored: Array, quant: Quant) -> None:
        """Notes the integers that a float constant stands for."""
        self.integers_of[index] = (stored, quant)

    def input(self, name: str, shape: Sequence[int], dtype: DType, order: Order) -> Value:
        """Adds an input of the graph; ``shape`` is ONNX's."""
        stored = tuple(shape[axis] for axis in order)
        return Value(self.graph.tensor(Tensor(self.named(name), TensorType(stored, dtype))), order)

    def named(self, name: str) -> str:
        """Returns: the name, with a number where another tensor has it."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return name if not count else f"{name}_{count}"

    def emit(self, op: str, inputs: Sequence[int], *, name: str = "", quant: Quant | None = None,
             dtype: DType | None = None, **attrs: Any) -> int:  # fmt: skip
        """Adds an operator with one output. Returns: the output's index. See ``emit_many``."""
        return self.emit_many(op, inputs, 1, name=name, quants=(quant,), dtype=dtype, **attrs)[0]

    def emit_many(self, op: str, inputs: Sequence[int], count: int, *, name: str = "",
                  quants: Sequence[Quant | None] = (), dtype: DType | None = None,
                  **attrs: Any) -> list[int]:  # fmt: skip
        """Adds an operator of TFLite; what it computes of constants is computed now.

        Args:
            op: its name.
            inputs: indices of tensors, −1 for an absent operand.
            count: number of outputs.
            name: for its outputs.
            quants: the outputs' quantization.
            dtype: of the outputs, where only a declaration tells (CAST, QUANTIZE).
            attrs: its options.

        Raises:
            UnsupportedOperator: the operands do not fit it.
        """
        declared = find(op)
        assert declared is not None, op
        node = Node(op, tuple(inputs), (), attrs, declared.options)
        operands = [self.graph.tensors[i] if i >= 0 else None for i in inputs]
        stated = [Tensor("", TensorType((), dtype or DType.FLOAT32)) for _ in range(count)]
        try:
            types = declared.infer(node, operands, stated)
        except InvalidGraph as error:
            raise UnsupportedOperator(f"{op} does not take it: {error.what}") from error
        if any(-1 in kind.shape for kind in types):
            raise UnsupportedOperator(f"the size of what {op} gives depends on values that only a run tells")
        large = [kind.shape for kind in types if kind.size > _LARGEST]
        if large:
            raise UnsupportedOperator(f"{op} gives {list(large[0])}, more elements than engines can count")
        quants = [*quants, *[None] * (count - len(quants))]
        passed = _passed_on(declared, operands)
        quants = [passed if quant is None else quant for quant in quants]
        types = [replace(kind, quant=quant) for kind, quant in zip(types, quants, strict=True)]
        values = self._computed(node, operands, types)
        outputs = []
        for position, kind in enumerate(types):
            tensor = Tensor(self.named(name or op.lower()), kind)
            if values is not None:
                tensor = replace(tensor, data=np.ascontiguousarray(values[position]).reshape(kind.shape))
            outputs.append(self.graph.tensor(tensor))
        if passed is not None and inputs[0] in self.shifted:
            self.shifted.update(outputs)
        if values is None:
            _check_width(declared, operands)
            version = least_version(node, operands, [self.graph.tensors[i] for i in outputs])
            self.graph.node(replace(node, outputs=tuple(outputs), version=version))
        return outputs

    def _computed(
        self, node: Node, operands: Sequence[Tensor | None], types: Sequence[TensorType]
    ) -> list[Array] | None:
        """Returns: the outputs where all operands are constants (and plain numbers), else None."""
        op = find(node.op)
        if op is None or op.reference is None or not operands:
            return None
        if any(t is not None and (t.data is None or t.type.is_quantized) for t in operands):
            return None
        if any(kind.is_quantized or kind.size > MAX_ELEMENTS for kind in types):
            return None
        given = [None if t is None else t.data for t in operands]
        kinds = [None if t is None else t.type for t in operands]
        try:
            return op.reference(node, given, kinds, types)
        except InvalidGraph:
            return None  # as the engine will say when it gets there

    # ---- the same value in another order

    def stored(self, value: Value, order: Order) -> int:
        """Returns: the index of a tensor that holds the value in this order of axes."""
        if value.order == order:
            return value.index
        key = (value.index, tuple(value.order.index(axis) for axis in order))
        if key not in self._arranged:
            self._arranged[key] = self._moved(value.index, key[1])
        return self._arranged[key]

    def plain(self, value: Value) -> int:
        """Returns: the index of a tensor that holds the value as ONNX has it."""
        return self.stored(value, plain_order(len(value.order)))

    def _moved(self, index: int, permutation: Order) -> int:
        tensor = self.graph.tensors[index]
        shape = tuple(tensor.shape[axis] for axis in permutation)
        if tensor.data is not None:
            data = np.ascontiguousarray(np.transpose(tensor.data, permutation)).reshape(shape)
            quant = _turned(tensor.quant, permutation)
            kind = replace(tensor.type, shape=shape, quant=quant)
            moved = self.graph.tensor(replace(tensor, name=self.named(tensor.name), type=kind, data=data))
            if index in self.integers_of:
                whole, own = self.integers_of[index]
                turned = _turned(own, permutation)
                assert turned is not None
                self.remember(moved, np.transpose(whole, permutation), turned)
            return moved
        if [axis for axis in permutation if tensor.shape[axis] > 1] == [
            axis for axis in range(len(permutation)) if tensor.shape[axis] > 1
        ]:
            return self.reshape(index, shape)  # only axes of size 1 move: nothing does
        operand = self.integers(*permutation)
        return self.emit("TRANSPOSE", (index, operand), name=tensor.name, quant=tensor.quant)

    def reshape(self, index: int, shape: Sequence[int], name: str = "") -> int:
        """Adds a RESHAPE, or none where the shape is the same already. Returns: the result's index."""
        tensor = self.graph.tensors[index]
        shape = tuple(int(size) for size in shape)
        if prod(shape) != prod(tensor.shape):
            raise UnsupportedOperator(f"{list(tensor.shape)} cannot be reshaped to {list(shape)}")
        if tensor.shape == shape:
            return index
        if tensor.data is not None and (tensor.quant is None or not tensor.quant.per_channel):
            kind = replace(tensor.type, shape=shape)
            data = tensor.data.reshape(shape)
            found = self.graph.tensor(replace(tensor, name=self.named(tensor.name), type=kind, data=data))
            self._remember_reshaped(index, found, tensor.shape, shape)
            return found
        if not shape:  # LiteRT's RESHAPE gives no scalars
            return self.emit("SQUEEZE", (index,), name=name or tensor.name, quant=tensor.quant,
                             squeeze_dims=tuple(range(len(tensor.shape))))  # fmt: skip
        operand = self.integers(*shape)
        return self.emit(
            "RESHAPE", (index, operand), name=name or tensor.name, quant=tensor.quant, new_shape=shape
        )

    def _remember_reshaped(self, old: int, new: int, before: Order, after: Order) -> None:
        """Notes the integers of a constant in another shape, if its channels are still one axis."""
        if old not in self.integers_of:
            return
        stored, quant = self.integers_of[old]
        if quant.axis is None:
            self.remember(new, stored.reshape(after), quant)
            return
        front = prod(before[: quant.axis])
        for axis, size in enumerate(after):
            if size == before[quant.axis] and prod(after[:axis]) == front:
                self.remember(new, stored.reshape(after), replace(quant, axis=axis, dimension=axis))
                return


def _passed_on(op: Op, operands: Sequence[Tensor | None]) -> Quant | None:
    """Returns: the scale that an operator's results share with its operand, where that is stored integers."""
    first = operands[0] if operands else None
    if first is None or not first.type.is_quantized or not (op.moves_data or op.quant.share):
        return None
    return first.quant


_LARGEST = 2**31 - 1
# For LiteRT small integers are stored real numbers; without a scale these may abort the process.
_SCALED = {
    "ABS", "ADD", "DIV", "EQUAL", "FLOOR_DIV", "FLOOR_MOD", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL",
    "MEAN", "MUL", "NEG", "NOT_EQUAL", "POW", "REDUCE_PROD", "RELU", "SQUARED_DIFFERENCE", "SUB", "SUM",
}  # fmt: skip
_SMALL = (DType.INT8, DType.UINT8, DType.INT16)
_RARE = (DType.UINT16, DType.UINT32, DType.UINT64)


def _check_width(op: Op, operands: Sequence[Tensor | None]) -> None:
    """Raises ``UnsupportedOperator`` for integers that LiteRT can store and not compute with."""
    rare = [each.dtype for each in operands if each is not None and each.dtype in _RARE]
    castable = op.name in ("CAST", "QUANTIZE", "DEQUANTIZE") and DType.UINT64 not in rare
    small = [each for each in operands if each is not None and each.dtype in _SMALL and each.quant is None]
    rare += [each.dtype for each in small if op.name in _SCALED]
    if rare and not op.moves_data and not castable:
        raise UnsupportedOperator(
            f"LiteRT has no {op.name} of {rare[0].value}", hint="export the model with int32 or int64 there"
        )


def _unordered(shape: Sequence[int], order: Order) -> tuple[int, ...]:
    found = [0] * len(order)
    for size, axis in zip(shape, order, strict=True):
        found[axis] = size
    return tuple(found)


def _turned(quant: Quant | None, permutation: Order) -> Quant | None:
    if quant is None or quant.axis is None:
        return quant
    axis = permutation.index(quant.axis)
    return replace(quant, axis=axis, dimension=axis)
