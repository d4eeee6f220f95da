"""Builds a graph of ONNX operators; every value knows in which order its axes are stored.

TFLite keeps channels last, ONNX second. Instead of transposing around every convolution, a value remembers
how its stored axes map to TFLite's: what does not care about the order goes on in the one it is given,
constants are stored as needed, and a Transpose is written only where a value is asked for in another order.

Values that TFLite stores as integers are stored as integers here, too. What computes with them reads them
through DequantizeLinear and gives its result through QuantizeLinear (the QDQ form), from which a runtime
makes its own integer kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.onnx.read.proto import OnnxNode

Order = tuple[int, ...]
NEWEST = 21  # the opset that brings 16 bit integers to QuantizeLinear
# Element type → the opset from which QuantizeLinear and DequantizeLinear take it. Smaller integers are
# unpacked to bytes: no kernel behind DequantizeLinear takes them packed.
_QUANTIZED = {
    DType.INT8: 13,
    DType.UINT8: 13,
    DType.INT16: NEWEST,
    DType.UINT16: NEWEST,
    DType.INT4: 13,
    DType.INT2: 13,
    DType.UINT4: 13,
}


class NeedsOpset(Exception):
    """A model holds what only a later opset has."""

    def __init__(self, opset: int, what: str) -> None:
        super().__init__(f"{what} needs opset {opset}")
        self.opset, self.what = opset, what


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the TFLite graph.

    Attributes:
        name: of the ONNX value that holds it.
        type: its shape, dtype and quantization in TFLite; sizes that only a run tells are −1.
        order: ONNX's axis ``i`` is TFLite's axis ``order[i]``.
        data: a constant's elements as TFLite has them, sub-byte integers unpacked.
        unsigned: what TFLite has as int8 is held as uint8, 128 higher.
    """

    name: str
    type: TensorType
    order: Order
    data: Array | None = None
    unsigned: bool = False

    @property
    def stored(self) -> tuple[int, ...]:
        """The sizes as ONNX has them."""
        return tuple(self.type.shape[axis] for axis in self.order)


def plain_order(rank: int) -> Order:
    """Returns: the axes as TFLite has them."""
    return tuple(range(rank))


def first_order(rank: int) -> Order:
    """Returns: channels second, for ONNX's convolutions: [N, spatial…, C] stored as [N, C, spatial…]."""
    return (0, rank - 1, *range(1, rank - 1)) if rank > 2 else plain_order(rank)


def text(name: str) -> str:
    """Returns: what a file holds as a name or description, as protobuf takes it."""
    return name.encode("utf-8", "replace").decode("utf-8")


@dataclass(slots=True)
class Names:
    """Names that are taken; a graph within a graph shares them."""

    taken: dict[str, int] = field(default_factory=dict)

    def fresh(self, name: str) -> str:
        """Returns: the name, with a number where it is taken; what is no text becomes a question mark."""
        name = text(name)
        while True:
            count = self.taken.get(name, 0)
            self.taken[name] = count + 1
            if not count:
                return name
            name = f"{name}_{count}"


@dataclass(slots=True)
class Forms:
    """The names of values in other forms, by name and (where it matters) by how the axes have moved.

    Attributes:
        arranged: in another order of axes.
        unsigned: int8 as uint8.
        signed: back again.
        real: as real numbers, by what they are quantized with.
    """

    arranged: dict[tuple[str, Order], str] = field(default_factory=dict)
    unsigned: dict[str, str] = field(default_factory=dict)
    signed: dict[tuple[str, Order], str] = field(default_factory=dict)
    real: dict[tuple[str, Quant | None], str] = field(default_factory=dict)

    def copy(self) -> Forms:
        """Returns: the same names, to which others may be added."""
        return Forms(dict(self.arranged), dict(self.unsigned), dict(self.signed), dict(self.real))


@dataclass(slots=True)
class Builder:
    """The graph that is being made.

    Attributes:
        opset: version of ONNX's operators.
        names: what is taken.
        constants: initializers, shared with the graphs within.
        nodes: in order.
        forms: what a value is called in other forms.
        small: small initializers by what they hold.
    """

    opset: int
    names: Names = field(default_factory=Names)
    constants: dict[str, Array] = field(default_factory=dict)
    nodes: list[OnnxNode] = field(default_factory=list)
    forms: Forms = field(default_factory=Forms)
    small: dict[tuple[str, tuple[int, ...], bytes], str] = field(default_factory=dict)

    def within(self) -> Builder:
        """Returns: a builder for a graph within this one, which sees all that is here so far."""
        return Builder(self.opset, self.names, self.constants, [], self.forms.copy(), self.small)

    def emit(self, op: str, inputs: Sequence[str], *, name: str = "", count: int = 1, domain: str = "",
             **attrs: Any) -> list[str]:  # fmt: skip
        """Adds a node. Returns: the names of its outputs."""
        stem = name or op
        outputs = tuple(self.names.fresh(stem) for _ in range(count))
        self.nodes.append(OnnxNode(op, domain, outputs[0], tuple(inputs), outputs, attrs))
        return list(outputs)

    def constant(self, array: Array, name: str = "constant") -> str:
        """Adds an initializer, small equal ones once. Returns: its name."""
        data = np.asarray(array)
        key = (
            (data.dtype.name, data.shape, data.tobytes())
            if data.size <= 16 and data.dtype != object
            else None
        )
        if key is not None and key in self.small:
            return self.small[key]
        fresh = self.names.fresh(name)
        # not ascontiguousarray alone, which makes a vector of a scalar
        self.constants[fresh] = np.ascontiguousarray(data).reshape(data.shape)
        if key is not None:
            self.small[key] = fresh
        return fresh

    def integers(self, *numbers: int) -> str:
        """Adds a vector of int64, as ONNX has shapes and axes. Returns: its name."""
        return self.constant(np.array(numbers, np.int64), "integers")

    # ---- the same value in another form

    def read(self, value: Value, order: Order | None = None, *, folded: bool = False) -> str:
        """Returns: the name of what computes with a value: real numbers where TFLite stores integers for
        them.

        Args:
            value: the value.
            order: of the axes; None: as TFLite has them.
            folded: a constant becomes plain real numbers instead of integers behind DequantizeLinear.
        """
        order = plain_order(len(value.type.shape)) if order is None else order
        if not value.type.is_quantized:
            return self.stored(value, order)
        if value.data is not None and (folded or self._no_dequantize(value.type)):
            return self._constant_in(replace(real_constant(value), name=f"{value.name}/real"), order)
        if value.data is None and _signed(value.type) and not value.unsigned:
            value = self._as_unsigned(value)
        held = self._held(value, order)
        # Constants of the same integers are one initializer, whatever numbers they stand for.
        key = (held, value.type.quant)
        if key not in self.forms.real:
            self.forms.real[key] = self._dequantize(held, value, order)
        return self.forms.real[key]

    def stored(self, value: Value, order: Order | None = None) -> str:
        """Returns: the name of the value as TFLite stores it, in an order of axes."""
        order = plain_order(len(value.type.shape)) if order is None else order
        if not value.unsigned:
            return self._held(value, order)
        # Known by how the axes move: the same value may stand in the graph under other names of its axes.
        key = (value.name, tuple(value.order.index(axis) for axis in order))
        if key not in self.forms.signed:
            real, name = self.read(value, order), f"{value.name}/signed"
            self.forms.signed[key] = self._quantize(real, value.type, order, name, unsigned=False)
        return self.forms.signed[key]

    def quantized(self, real: str, kind: TensorType, order: Order, name: str) -> Value:
        """Adds QuantizeLinear.

        What TFLite stores as int8 is uint8 from here on, 128 higher. It is the same number, and the one type
        that ONNX Runtime's integer kernels take on every processor: on x86 it turns int8 into uint8 itself,
        but not where two nodes read a value, and no kernel takes one of each.

        Raises:
            UnsupportedOperator: ONNX has no such integers.
        """
        unsigned = _signed(kind)
        return Value(
            self._quantize(real, kind, order, name, unsigned=unsigned), kind, order, unsigned=unsigned
        )

    def _quantize(self, real: str, kind: TensorType, order: Order, name: str, *, unsigned: bool) -> str:
        if kind.dtype not in _QUANTIZED:
            raise UnsupportedOperator(f"ONNX cannot quantize to {kind.dtype.value}")
        self._require(kind.dtype)
        if kind.quant is not None and not np.all((kind.quant.scale > 0) & np.isfinite(kind.quant.scale)):
            raise UnsupportedOperator(f"its result is quantized in steps of {kind.quant.scale.min()}")
        inputs, attrs = self._parameters(kind, order, unsigned=unsigned)
        return self.emit("QuantizeLinear", (real, *inputs), name=name, **attrs)[0]

    def _as_unsigned(self, value: Value) -> Value:
        if value.name not in self.forms.unsigned:
            real, name = self._dequantize(value.name, value, value.order), f"{value.name}/unsigned"
            self.forms.unsigned[value.name] = self._quantize(
                real, value.type, value.order, name, unsigned=True
            )
        return replace(value, name=self.forms.unsigned[value.name], unsigned=True)

    def _held(self, value: Value, order: Order) -> str:
        """Returns: the name of the value as it is held, in an order of axes."""
        if value.data is not None:
            return self._constant_in(value, order)
        if value.order == order:
            return value.name
        key = (value.name, tuple(value.order.index(axis) for axis in order))
        if key not in self.forms.arranged:
            self.forms.arranged[key] = self._moved(value, order, key[1])
        return self.forms.arranged[key]

    def _dequantize(self, held: str, value: Value, order: Order) -> str:
        if value.type.dtype is not DType.INT32:
            self._require(value.type.dtype)
        inputs, attrs = self._parameters(value.type, order, unsigned=value.unsigned)
        return self.emit("DequantizeLinear", (held, *inputs), name=f"{value.name}/real", **attrs)[0]

    def _require(self, dtype: DType) -> None:
        needed = _QUANTIZED.get(dtype)
        if needed is None:
            raise UnsupportedOperator(f"ONNX has no quantized {dtype.value}")
        if needed > self.opset:
            raise NeedsOpset(needed, f"quantized {dtype.value}")

    def _no_dequantize(self, kind: TensorType) -> bool:
        """Returns: whether DequantizeLinear of this opset does not take such constants."""
        quant = kind.quant
        if kind.dtype is DType.INT32:
            return quant is not None and bool(quant.zero_point.any())
        return _QUANTIZED.get(kind.dtype, NEWEST + 1) > self.opset

    def _parameters(
        self, kind: TensorType, order: Order, *, unsigned: bool
    ) -> tuple[list[str], dict[str, Any]]:
        quant = kind.quant
        assert quant is not None
        scale, zero_point = quant.scale.astype(np.float32), quant.zero_point
        attrs: dict[str, Any] = {}
        if quant.axis is None:
            scale, zero_point = scale[:1].reshape(()), zero_point[:1].reshape(())
        else:
            attrs["axis"] = order.index(quant.axis)
        inputs = [self.constant(scale, "scale")]
        if kind.dtype is not DType.INT32:
            points = (zero_point + 128).astype(np.uint8) if unsigned else zero_point.astype(kind.dtype.numpy)
            inputs.append(self.constant(points, "zero_point"))
        return inputs, attrs

    def _constant_in(self, value: Value, order: Order) -> str:
        assert value.data is not None
        key = (value.name, order)
        if key not in self.forms.arranged:
            data = np.transpose(value.data, order) if value.data.ndim else value.data
            self.forms.arranged[key] = self.constant(data, value.name)
        return self.forms.arranged[key]

    def _moved(self, value: Value, order: Order, permutation: Order) -> str:
        real, kind = self.as_held(value), value.type
        sizes = tuple(kind.shape[axis] for axis in order)
        if -1 not in sizes and in_order(permutation, value.stored):  # only axes of size 1 move: nothing does
            moved = self.emit("Reshape", (real, self.integers(*sizes)), name=f"{value.name}/moved")[0]
        else:
            moved = self.emit("Transpose", (real,), name=f"{value.name}/moved", perm=permutation)[0]
        if not kind.is_quantized:
            return moved
        return self._quantize(moved, kind, order, f"{value.name}/moved", unsigned=value.unsigned)

    def as_held(self, value: Value) -> str:
        """Returns: the name of the value's real numbers in the order in which it is held."""
        if not value.type.is_quantized or value.data is not None:
            return self.read(value, value.order)
        key = (value.name, value.type.quant)
        if key not in self.forms.real:
            self.forms.real[key] = self._dequantize(value.name, value, value.order)
        return self.forms.real[key]


def _signed(kind: TensorType) -> bool:
    return (
        kind.is_quantized and kind.dtype is DType.INT8 and kind.quant is not None and kind.quant.axis is None
    )


def relabelled(value: Value, dtype: DType) -> Value:
    """Returns: a constant of bytes as the other kind of bytes, int8 or uint8, 128 lower or higher: the same
    numbers.

    ONNX Runtime's kernels are fastest with activations of uint8 and weights of int8; beside activations of
    uint8 any other operand must be uint8, too.
    """
    kind, quant = value.type, value.type.quant
    if value.data is None or quant is None or {kind.dtype, dtype} != {DType.INT8, DType.UINT8}:
        return value
    change = 128 if dtype is DType.UINT8 else -128
    data = (value.data.astype(np.int16) + change).astype(dtype.numpy)
    kind = replace(kind, dtype=dtype, quant=replace(quant, zero_point=quant.zero_point + change))
    return replace(value, name=f"{value.name}/{dtype.value}", type=kind, data=data)


def in_order(permutation: Sequence[int], shape: Sequence[int]) -> bool:
    """Returns: whether axes that hold more than one element keep their order, so that no element moves."""
    moving = [axis for axis in permutation if shape[axis] != 1]
    return moving == sorted(moving)


def real_constant(value: Value) -> Value:
    """Returns: a quantized constant as plain float32.

    Source: TFLite 8-bit quantization specification: real = scale × (stored − zero_point).
    """
    quant, data = value.type.quant, value.data
    assert quant is not None
    assert data is not None
    scale, zero_point = _along(quant, quant.scale, data.ndim), _along(quant, quant.zero_point, data.ndim)
    real = ((data.astype(np.float64) - zero_point) * scale).astype(np.float32)
    return replace(value, type=TensorType(value.type.shape, DType.FLOAT32), data=real)


def _along(quant: Quant, numbers: Array, rank: int) -> Array:
    shape = [1] * rank
    if quant.axis is None:
        return numbers[:1].reshape(shape)
    shape[quant.axis] = -1
    return numbers.reshape(shape)
