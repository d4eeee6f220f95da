"""Runs an operator on arrays as a file stores them, quantized or not.

Float operands go to ``Op.reference``. Stored integers go to ``Op.integer``, which follows TFLite's integer
kernels bit for bit. An operator without one goes the generic way: dequantize the operands, compute with
real numbers, quantize the results. That is within one step of an integer kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sanderling.errors import InvalidGraph, UnsupportedOperator
from sanderling.graph.graph import Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._quantized import dequantize, quantize
from sanderling.ops.op import Op, Types


def compute(
    op: Op, node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    """Computes one call.

    Args:
        op: the operator's declaration.
        inputs: arrays as stored, in operand order; None for an absent operand.
        types: their types, None for an absent operand.
        out: declared types of the outputs; their quantization counts, their shapes do not.

    Returns: the outputs, as stored.

    Raises:
        InvalidGraph: the operands do not fit.
        UnsupportedOperator: the operator has no implementation here.
    """
    if op.reference is None and op.integer is None:
        raise UnsupportedOperator("it has no implementation in NumPy", where=node.kind)
    results = _results(op, node, inputs, types, out)
    for array, kind in zip(results, out, strict=True):
        if array.dtype != kind.dtype.numpy:
            what = f"no integer kernel gives {kind.dtype.value}, which the file declares, but {array.dtype}"
            raise InvalidGraph(what, where=node.kind)
    return results


def _results(
    op: Op, node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    if not is_stored(op, types, out):
        return _reference(op, node, inputs, types, out)
    if op.integer is not None:
        return op.integer(node, inputs, types, out)
    if op.name in ("QUANTIZE", "DEQUANTIZE") or (op.moves_data and _one_dtype(op, types, out)):
        return _reference(op, node, inputs, types, out)
    return _through_reals(op, node, inputs, types, out)


def is_stored(op: Op, types: Types, out: Sequence[TensorType]) -> bool:
    """Returns: whether an operand that is computed with, or an output, is of quantized integers."""
    return any(kind.is_quantized for kind in (*_taken(op, types), *out))


def _one_dtype(op: Op, types: Types, out: Sequence[TensorType]) -> bool:
    return len({kind.dtype for kind in (*_taken(op, types), *out)}) == 1


def _taken(op: Op, types: Types) -> list[TensorType]:
    return [kind for i, kind in enumerate(types) if kind is not None and i not in op.quant.passthrough]


def _reference(
    op: Op, node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    if op.reference is None:
        raise UnsupportedOperator("it has no implementation in NumPy for real numbers", where=node.kind)
    return op.reference(node, inputs, types, out)


def _through_reals(
    op: Op, node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    arrays: list[Array | None] = []
    kinds: list[TensorType | None] = []
    for position, (array, kind) in enumerate(zip(inputs, types, strict=True)):
        if array is None or kind is None or position in op.quant.passthrough or not kind.is_quantized:
            arrays.append(array)
            kinds.append(kind if kind is None or not kind.is_quantized else replace(kind, quant=None))
            continue
        shaped = replace(kind, shape=array.shape)
        arrays.append(dequantize(node, array, shaped))
        kinds.append(TensorType(array.shape, DType.FLOAT32))
    wanted = [TensorType(k.shape, DType.FLOAT32) if k.is_quantized else k for k in out]
    results = _reference(op, node, arrays, kinds, wanted)
    return [
        quantize(node, array, replace(kind, shape=array.shape)) if kind.is_quantized else array
        for array, kind in zip(results, out, strict=True)
    ]
