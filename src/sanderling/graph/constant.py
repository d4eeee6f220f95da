"""Decodes stored constants: packed integers, sparse weights, strings."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Sparsity, Tensor
from sanderling.graph.types import Array, DType

MAX_ELEMENTS = 2**28


def decode(tensor: Tensor) -> Array:
    """Returns: a constant as an array of its shape: sub-byte integers unpacked, sparse weights densified.

    Float16 stays float16 and quantized integers stay integers. May be a view on the file.

    Raises:
        InvalidGraph: the tensor is no constant, or its bytes do not fit its type.
    """
    if tensor.data is None:
        raise InvalidGraph("is not a constant", where=tensor.name)
    if tensor.sparsity is not None:
        return _densify(tensor, tensor.sparsity)
    if tensor.dtype is DType.STRING:
        return _strings(tensor)
    if tensor.dtype.is_packed:
        return _unpack(tensor.data, tensor.dtype, tensor.type.size).reshape(tensor.shape)
    if tensor.data.shape != tensor.shape or tensor.data.dtype != tensor.dtype.numpy:
        raise InvalidGraph(
            f"holds {tensor.data.nbytes} bytes, {tensor.type} takes {tensor.type.nbytes}", where=tensor.name
        )
    return tensor.data


def real(tensor: Tensor) -> Array:
    """Returns: a constant's real values as float32: dequantized when it carries scales.

    Source: TFLite 8-bit quantization specification: real = scale × (stored − zero_point).
    """
    values = decode(tensor)
    quant = tensor.quant
    if not tensor.type.is_quantized or quant is None:
        return values.astype(np.float32)
    shape = [1] * values.ndim
    if quant.axis is not None:
        if quant.axis >= values.ndim or quant.scale.size != values.shape[quant.axis]:
            raise InvalidGraph(f"{quant.scale.size} scales do not fit {tensor.type}", where=tensor.name)
        shape[quant.axis] = -1
    scale, zero_point = quant.scale.reshape(shape), quant.zero_point.reshape(shape)
    return ((values.astype(np.float64) - zero_point) * scale).astype(np.float32)


def _unpack(data: Array, dtype: DType, size: int) -> Array:
    """Unpacks sub-byte integers, lowest bits first, to int8 (or uint8).

    Source: TFLite's packed int4 layout: element 2i in the low half of byte i, element 2i + 1 in the high.
    """
    per_byte = 8 // dtype.bits
    raw = data.reshape(-1).view(np.uint8)
    if raw.size * per_byte < size:
        raise InvalidGraph(f"holds {raw.size} bytes, {size} elements of {dtype.value} need more")
    shifts = np.arange(per_byte, dtype=np.uint8) * np.uint8(dtype.bits)
    mask = np.uint8((1 << dtype.bits) - 1)
    values = ((raw[:, None] >> shifts) & mask).reshape(-1)[:size]
    if dtype is DType.UINT4:
        return values
    sign = np.uint8(1 << (dtype.bits - 1))
    return ((values ^ sign).astype(np.int8) - np.int8(sign)).astype(np.int8)


def pack(values: Array, dtype: DType) -> Array:
    """Packs integers into sub-byte elements, the reverse of ``decode``.

    Args:
        values: integers within the range of ``dtype``, any shape.
        dtype: INT4, UINT4 or INT2.

    Returns: flat uint8.
    """
    per_byte = 8 // dtype.bits
    flat = values.reshape(-1).astype(np.int16) & ((1 << dtype.bits) - 1)
    flat = np.pad(flat, (0, -flat.size % per_byte)).reshape(-1, per_byte)
    packed: Array = (flat << (np.arange(per_byte) * dtype.bits)).sum(axis=1).astype(np.uint8)
    return packed


def _densify(tensor: Tensor, sparsity: Sparsity) -> Array:
    """Walks the compressed levels from the outermost to the innermost, all entries of a level at once.

    Source: TFLite's ``SparsityParameters`` in schema.fbs (after the TACO format).
    """
    where, shape, rank = tensor.name, tensor.shape, len(tensor.shape)
    assert tensor.data is not None
    if tensor.type.size > MAX_ELEMENTS:
        raise InvalidGraph(f"unpacks to {tensor.type.size} elements", where=where)
    order, dims = sparsity.traversal_order, sparsity.dims
    levels = rank + len(sparsity.block_map)
    if sorted(order) != list(range(levels)) or len(dims) != levels:
        raise InvalidGraph("its sparsity does not match its rank", where=where)
    positions: Array = np.zeros(1, np.int64)
    coordinates = np.zeros((levels, 1), np.int64)
    for level, (size, segments, indices) in enumerate(dims):
        if segments is None or indices is None:
            parent = np.repeat(np.arange(positions.size), _bounded(size, positions.size, tensor))
            index: Array = np.tile(np.arange(size), positions.size)
            positions = positions[parent] * size + index
        else:
            parent, child = _children(positions, segments, indices, where)
            index = indices.astype(np.int64)[child]
            positions = child
        coordinates = coordinates[:, parent]
        coordinates[order[level]] = index
    return _scatter(tensor, sparsity, coordinates, positions, shape, rank)


def _bounded(size: int, entries: int, tensor: Tensor) -> int:
    if size < 0 or size * max(entries, 1) > max(tensor.type.size, 1):
        raise InvalidGraph("its sparsity describes more elements than its shape has", where=tensor.name)
    return size


def _children(positions: Array, segments: Array, indices: Array, where: str) -> tuple[Array, Array]:
    """Returns: for every child of a compressed level, its parent's row and its own position."""
    edges = segments.astype(np.int64)
    steps = np.diff(edges)
    if positions.size and (int(positions.max()) + 1 >= edges.size or (steps < 0).any()):
        raise InvalidGraph("its sparse segments do not fit", where=where)
    starts, counts = edges[positions], steps[positions]
    if (
        counts.sum() > indices.size
        or (counts.size and (starts + counts).max() > indices.size)
        or (starts < 0).any()
    ):
        raise InvalidGraph("its sparse indices do not fit", where=where)
    parent = np.repeat(np.arange(positions.size), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return parent, np.repeat(starts, counts) + np.arange(parent.size) - first


def _scatter(
    tensor: Tensor,
    sparsity: Sparsity,
    coordinates: Array,
    positions: Array,
    shape: tuple[int, ...],
    rank: int,
) -> Array:
    assert tensor.data is not None
    values = tensor.data.reshape(-1)
    dtype = tensor.dtype.numpy
    if values.dtype != dtype:
        if values.nbytes % dtype.itemsize:
            raise InvalidGraph(f"{values.nbytes} bytes are no whole number of {dtype}", where=tensor.name)
        values = values.view(dtype)
    block = [1] * rank
    level_size = {sparsity.traversal_order[level]: dim[0] for level, dim in enumerate(sparsity.dims)}
    index = [coordinates[d] for d in range(rank)]
    for b, d in enumerate(sparsity.block_map):
        if not 0 <= d < rank:
            raise InvalidGraph("its block map names a dimension that it lacks", where=tensor.name)
        block[d] = level_size[rank + b]
        index[d] = index[d] * block[d] + coordinates[rank + b]
    inside = all(((i >= 0) & (i < n)).all() for i, n in zip(index, shape, strict=True))
    if not inside or (positions.size and positions.max() >= values.size):
        raise InvalidGraph("its sparse indices lie outside of its shape", where=tensor.name)
    dense = np.zeros(shape, dtype)
    dense[tuple(index)] = values[positions]
    return dense


def _strings(tensor: Tensor) -> Array:
    """Source: TFLite's string tensors: int32 count, count + 1 int32 offsets, then the bytes."""
    assert tensor.data is not None
    raw = tensor.data.reshape(-1).view(np.uint8).tobytes()
    count = int.from_bytes(raw[:4], "little")
    if count != tensor.type.size or 4 * (count + 2) > len(raw):
        raise InvalidGraph(
            f"holds {count} strings, its shape {tensor.shape} has {tensor.type.size}", where=tensor.name
        )
    edges = np.frombuffer(raw, "<i4", count + 1, 4)
    if (edges < 0).any() or (edges > len(raw)).any():
        raise InvalidGraph("its strings lie outside of its buffer", where=tensor.name)
    texts = np.array([raw[a:b] for a, b in pairwise(edges)], dtype=object)
    return texts.reshape(tensor.shape)
