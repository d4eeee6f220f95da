"""Checked access to operands and attributes: what every ``infer`` starts with.

A graph may come from a damaged or hostile file: everything here raises ``InvalidGraph`` with one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.ops.op import MissingOperand, Operands

Values = npt.NDArray[Any]
Shape = tuple[int, ...]
INTEGERS = (DType.INT8, DType.UINT8, DType.INT16, DType.UINT16, DType.INT32, DType.UINT32, DType.INT64,
            DType.UINT64)  # fmt: skip
INDICES = (DType.INT32, DType.INT64)
_HINT = "the file is damaged or its converter wrote it wrong: convert the model again"


def invalid(node: Node, what: str) -> InvalidGraph:
    """Returns: the error to raise when the operands of ``node`` do not fit."""
    return InvalidGraph(what, where=node.kind, hint=_HINT)


def operand(node: Node, inputs: Operands, position: int) -> Tensor:
    """Returns: the input at ``position``, which the operator cannot do without."""
    tensor = optional(inputs, position)
    if tensor is None:
        raise MissingOperand(f"operand {position} is missing", where=node.kind, hint=_HINT)
    return tensor


def optional(inputs: Operands, position: int) -> Tensor | None:
    """Returns: the input at ``position``, or None when it is absent."""
    return inputs[position] if position < len(inputs) else None


def every(node: Node, inputs: Operands, minimum: int = 1) -> list[Tensor]:
    """Returns: all inputs, of which none may be absent."""
    return [operand(node, inputs, position) for position in range(max(minimum, len(inputs)))]


def ranked(node: Node, inputs: Operands, position: int, *ranks: int) -> Tensor:
    """Returns: the input at ``position``, whose rank is one of ``ranks``."""
    tensor = operand(node, inputs, position)
    if len(tensor.shape) not in ranks:
        expected = " or ".join(map(str, ranks))
        raise invalid(node, f"operand {position} has rank {len(tensor.shape)}, expected {expected}")
    return tensor


def typed(node: Node, inputs: Operands, position: int, *dtypes: DType) -> Tensor:
    """Returns: the input at ``position``, whose dtype is one of ``dtypes``."""
    tensor = operand(node, inputs, position)
    if tensor.dtype not in dtypes:
        expected = " or ".join(d.value for d in dtypes)
        raise invalid(node, f"operand {position} is {tensor.dtype.value}, expected {expected}")
    return tensor


def same_dtype(node: Node, *tensors: Tensor) -> DType:
    """Returns: the dtype that all of these tensors share."""
    dtypes = {tensor.dtype for tensor in tensors}
    if len(dtypes) > 1:
        raise invalid(node, f"its operands mix {' and '.join(sorted(dtypes))}, expected one dtype")
    return tensors[0].dtype


def constant(tensor: Tensor | None) -> Values | None:
    """Returns: the values of a plain constant, or None when they are known only at run time."""
    if tensor is None or tensor.data is None or tensor.sparsity is not None:
        return None
    plain = tensor.dtype not in _NOT_PLAIN and tensor.data.dtype == tensor.dtype.numpy
    return tensor.data if plain and tensor.data.shape == tensor.shape else None


_NOT_PLAIN = {DType.STRING, DType.RESOURCE, DType.VARIANT, DType.BFLOAT16, DType.INT4, DType.UINT4,
              DType.INT2, DType.FLOAT8_E4M3FN, DType.FLOAT8_E5M2}  # fmt: skip


def integers(node: Node, inputs: Operands, position: int) -> list[int] | None:
    """Returns: a required integer operand, flattened; None when it is known only at run time."""
    values = constant(typed(node, inputs, position, *INTEGERS))
    return None if values is None else [int(v) for v in values.ravel()]


def integer(node: Node, inputs: Operands, position: int) -> int | None:
    """Returns: a required operand that is one integer; None when it is known only at run time."""
    if operand(node, inputs, position).type.size != 1:
        raise invalid(
            node, f"operand {position} has shape {operand(node, inputs, position).shape}, expected a scalar"
        )
    values = integers(node, inputs, position)
    return values[0] if values else None


def axis_in(node: Node, axis: int, rank: int) -> int:
    """Returns: ``axis`` counted from the front; negative ones count from the end."""
    if not -rank <= axis < rank:
        raise invalid(node, f"axis {axis} does not exist in a tensor of rank {rank}")
    return axis % rank


def axes_in(node: Node, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Returns: the axes counted from the front, sorted, each once."""
    return tuple(sorted({axis_in(node, axis, rank) for axis in axes}))


def whole(node: Node, name: str, default: int = 0) -> int:
    """Returns: an integer (or boolean) attribute."""
    return int(node.attrs.get(name, default))


def real(node: Node, name: str, default: float = 0.0) -> float:
    """Returns: a floating point attribute."""
    return float(node.attrs.get(name, default))


def word(node: Node, name: str, default: str) -> str:
    """Returns: an attribute that is the name of an enumeration's value."""
    return str(node.attrs.get(name, default))


def positive(node: Node, name: str, default: int = 0) -> int:
    """Returns: an integer attribute that must be at least 1."""
    value = whole(node, name, default)
    if value < 1:
        raise invalid(node, f"{name} is {value}, expected at least 1")
    return value


def dtype_attr(node: Node, name: str, default: DType) -> DType:
    """Returns: an attribute that names an element type."""
    value = word(node, name, default.value)
    try:
        return DType(value)
    except ValueError:
        raise invalid(node, f"{name} is {value}, which is no element type") from None


def bounded(node: Node, dims: Sequence[int]) -> Shape:
    """Returns: sizes computed from run-time values as a shape, none of them negative but −1 (unknown)."""
    for size in dims:
        if size < -1 or size >= 2**31:
            raise invalid(node, f"its output would have a size of {size}, expected 0 to {2**31 - 1}")
    return tuple(int(d) for d in dims)


def unknown(rank: int) -> Shape:
    """Returns: a shape of which only the rank is known."""
    return (-1,) * rank


def like_declared(outputs: Sequence[Tensor], position: int, dtype: DType) -> TensorType:
    """Returns: a type of which neither sizes nor rank can be inferred: the declared rank is believed."""
    rank = len(outputs[position].shape) if position < len(outputs) else 0
    return TensorType(unknown(rank), dtype)


def of_rank(shape: Tensor, outputs: Sequence[Tensor], dtype: DType) -> TensorType:
    """Returns: a type whose sizes will be the run-time values of the vector ``shape``."""
    rank = shape.shape[0]
    return TensorType(unknown(rank), dtype) if rank >= 0 else like_declared(outputs, 0, dtype)


def declared_dtype(node: Node, outputs: Sequence[Tensor], position: int = 0) -> DType:
    """Returns: the dtype that the file declares for an output, where nothing else says it."""
    if position >= len(outputs):
        raise invalid(node, f"output {position} is missing")
    return outputs[position].dtype


def vector(values: Sequence[int]) -> npt.NDArray[np.int32]:
    """Returns: int32 [len(values)], for shape and axis operands."""
    return np.array(values, np.int32)
