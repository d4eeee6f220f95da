"""Constants that are mostly zeros in the format's own sparse encoding, wherever that is smaller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

import numpy as np

from sanderling.graph.constant import decode
from sanderling.graph.graph import Sparsity, Tensor
from sanderling.graph.types import Array, DType

# LiteRT's DENSIFY has kernels for these.
DTYPES = frozenset({DType.FLOAT32, DType.FLOAT16, DType.INT8})
# What the tables around an encoded constant take in the file, with the DENSIFY that reads it.
OVERHEAD_BYTES = 512
_LEVELS = (1, 2)  # innermost dimensions that are compressed


def sparsify(tensor: Tensor, overhead: int = OVERHEAD_BYTES) -> Tensor | None:
    """Encodes a constant in the smallest of several orders of its dimensions.

    Args:
        tensor: a constant with at least one dimension, dense or sparse.
        overhead: bytes that an encoded constant costs besides its values and indices.

    Returns: the encoded constant, of the same values; None where that would not be smaller.
    """
    if tensor.dtype not in DTYPES or not tensor.is_constant or not 1 <= len(tensor.shape) <= 4:
        return None
    values = decode(tensor)
    if np.count_nonzero(values) * (values.itemsize + 1) + overhead >= values.nbytes:
        return None
    size, best = min(
        ((_nbytes(sparsity, data), (sparsity, data)) for sparsity, data in _encodings(values)),
        key=lambda pair: pair[0],
    )
    if size + overhead >= values.nbytes:
        return None
    return replace(tensor, sparsity=best[0], data=best[1])


def densify(tensor: Tensor) -> Tensor:
    """Returns: a constant written out in full."""
    return tensor if tensor.sparsity is None else replace(tensor, sparsity=None, data=decode(tensor))


def encode(values: Array, order: tuple[int, ...], compressed: int) -> tuple[Sparsity, Array]:
    """Encodes an array.

    Args:
        values: any shape of rank ≥ 1.
        order: in which its dimensions are walked, outermost first.
        compressed: how many of the innermost of these keep nonzero entries only; ≥ 1.

    Returns: the indices, and the values that they stand for. Where nothing is kept there is one value, a
    zero: a file cannot tell an empty constant from one that is computed.

    Source: TFLite's ``SparsityParameters`` in schema.fbs (after the TACO format).
    """
    walked = np.ascontiguousarray(values.transpose(order))
    outer = len(order) - compressed
    kept = np.nonzero(walked)
    dims: list[tuple[int, Array | None, Array | None]] = [(n, None, None) for n in walked.shape[:outer]]
    parents = np.ravel_multi_index(kept[:outer], walked.shape[:outer]) if outer else np.zeros_like(kept[0])
    count = prod(walked.shape[:outer])
    for level in range(outer, len(order)):
        paths = parents * walked.shape[level] + kept[level]
        unique, inverse = np.unique(paths, return_inverse=True)
        owners, indices = np.divmod(unique, walked.shape[level])
        segments = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=count))])
        dims.append((0, _narrow(segments), _narrow(indices)))
        parents, count = inverse.reshape(-1), unique.size
    data = walked[kept] if kept[0].size else np.zeros(1, values.dtype)
    return Sparsity(tuple(order), (), tuple(dims)), data


def _encodings(values: Array) -> Iterator[tuple[Sparsity, Array]]:
    rank = values.ndim
    for innermost in range(rank):
        order = (*(d for d in range(rank) if d != innermost), innermost)
        for compressed in _LEVELS:
            if compressed <= rank:
                yield encode(values, order, compressed)


def _narrow(numbers: Array) -> Array:
    """Returns: the numbers in the narrowest type that the format has for them."""
    largest = int(numbers.max(initial=0))
    kind = np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.int32
    return numbers.astype(kind)


def _nbytes(sparsity: Sparsity, data: Array) -> int:
    arrays = [a for _, segments, indices in sparsity.dims for a in (segments, indices) if a is not None]
    return data.nbytes + sum(array.nbytes for array in arrays)
