"""StableHLO operators whose arithmetic is a graph: REDUCE_WINDOW and SCATTER.

The graph takes and gives scalars. It is called on whole arrays, which for elementwise operators is the same.

Source: StableHLO specification, ``reduce_window`` and ``scatter``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from sanderling.errors import RunError
from sanderling.graph.constant import MAX_ELEMENTS
from sanderling.graph.graph import Node
from sanderling.graph.types import Array

Combine = Callable[[Array, Array], Array]


def reduce_window(node: Node, inputs: Sequence[Array], combine: Combine) -> Array:
    """Combines the elements under a window that slides over every dimension of a padded, dilated tensor.

    Raises:
        RunError: the options do not fit the tensor.
    """
    x, start = inputs[0], inputs[1].reshape(-1)[0]
    window, stride, spread, dilation = (
        _listed(node, name, x.ndim)
        for name in ("window_dimensions", "window_strides", "base_dilations", "window_dilations")
    )
    edges = _listed(node, "padding", 2 * x.ndim)
    if min((*window, *stride, *spread, *dilation), default=1) < 1:
        raise RunError(f"{node.op} has a window of {window}, strides {stride} and dilations {dilation}")
    wide = _padded(node, x, start, edges, spread)
    extents = [(w - 1) * d + 1 for w, d in zip(window, dilation, strict=True)]
    shape = [
        max(0, (n - e) // s + 1) if n >= e else 0 for n, e, s in zip(wide.shape, extents, stride, strict=True)
    ]
    total: Array = np.full(shape, start, x.dtype)
    if not total.size:
        return total
    for tap in np.ndindex(*window):
        spans = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, s, n in zip(tap, dilation, stride, shape, strict=True)
        )
        total = combine(total, wide[spans])
    return total


def _listed(node: Node, name: str, count: int) -> tuple[int, ...]:
    """Returns: an attribute with one number for each of ``count`` places; all 1 (or 0) where it is absent."""
    values = tuple(int(n) for n in node.attrs.get(name) or ())
    values = values or (0 if name == "padding" else 1,) * count
    if len(values) != count:
        raise RunError(f"{node.op} has {len(values)} numbers in {name}, expected {count}")
    return values


def _padded(node: Node, x: Array, start: object, edges: tuple[int, ...], spread: tuple[int, ...]) -> Array:
    """Returns: x with gaps between its elements and padding around them; negative padding cuts."""
    gaps = [max(0, (n - 1) * step + 1) if n else 0 for n, step in zip(x.shape, spread, strict=True)]
    before, after = edges[::2], edges[1::2]
    shape = [n + max(a, 0) + max(b, 0) for n, a, b in zip(gaps, before, after, strict=True)]
    if prod(shape) > MAX_ELEMENTS:
        raise RunError(f"{node.op} pads to {prod(shape)} elements, more than {MAX_ELEMENTS}")
    wide: Array = np.full(shape, start, x.dtype)
    inner = zip(before, gaps, spread, strict=True)
    wide[tuple(slice(max(a, 0), max(a, 0) + n, step) for a, n, step in inner)] = x
    cut = zip(before, after, shape, strict=True)
    return wide[tuple(slice(max(-a, 0), max(n - max(-b, 0), 0)) for a, b, n in cut)]


def scatter(node: Node, inputs: Sequence[Array], combine: Combine) -> Array:
    """Writes updates into a tensor at positions; an update that does not fit inside is left out.

    Raises:
        RunError: the options do not fit the operands.
    """
    total, positions, updates = inputs[0].copy(), inputs[1], inputs[2]
    inside = _axes(node, "update_window_dims")
    inserted, where = _axes(node, "inserted_window_dims"), _axes(node, "scatter_dims_to_operand_dims")
    depth = int(node.attrs.get("index_vector_dim", 0))
    if not 0 <= depth <= positions.ndim:
        raise RunError(f"{node.op} has its positions along dimension {depth} of {positions.ndim}")
    starts = positions[..., None] if depth == positions.ndim else np.moveaxis(positions, depth, -1)
    outside = [axis for axis in range(updates.ndim) if axis not in inside]
    fits = all(0 <= axis < updates.ndim for axis in inside) and starts.shape[-1] == len(where)
    fits = fits and all(0 <= axis < total.ndim for axis in (*inserted, *where))
    fits = fits and len(inside) + len(set(inserted)) == total.ndim
    if not fits or tuple(updates.shape[axis] for axis in outside) != starts.shape[:-1]:
        raise RunError(f"{node.op} cannot put updates {updates.shape} at {positions.shape} of {total.shape}")
    blocks = np.transpose(updates, [*outside, *inside])
    for place in np.ndindex(*starts.shape[:-1]):
        block = np.expand_dims(blocks[place], tuple(sorted(inserted)))
        begin = np.zeros(total.ndim, np.int64)
        begin[list(where)] = starts[place]
        end = begin + block.shape
        if (begin >= 0).all() and (end <= total.shape).all():
            spans = tuple(slice(int(a), int(b)) for a, b in zip(begin, end, strict=True))
            total[spans] = combine(total[spans], block)
    return total


def _axes(node: Node, name: str) -> tuple[int, ...]:
    return tuple(int(n) for n in node.attrs.get(name) or ())
