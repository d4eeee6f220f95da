"""GPU kernels of StableHLO's gather, scatter and windows, whose axes go anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from sanderling.graph.constant import MAX_ELEMENTS
from sanderling.graph.graph import Node
from sanderling.graph.types import no
from sanderling.ops._gpu import Answer, Inputs, Outputs, gathered, kind_of, one
from sanderling.ops._gpu_index import MOST_STEPS, too_many, windowed
from sanderling.ops._gpu_pick import spread_out
from sanderling.ops._operands import operand, whole
from sanderling.ops.kernel import In, Kernel, Limits, Number, Out, Read, Shape, Temp, Weights, quads
from sanderling.ops.op import COMBINES

_NOTHING = 5  # an axis or an entry that is always 0
_FUNCTIONS = ("SUM", "PROD", "MAX", "MIN", "LAST")


def _listed(node: Node, name: str) -> list[int]:
    return [int(n) for n in node.attrs.get(name) or ()]


def _starts(shape: Shape, depth: int, position: int) -> tuple[Read, list[Kernel], Shape]:
    """Returns: the operand that holds index vectors as [rows, entries], the kernel that brings it there, and
    the shape of the axes that the rows go along."""
    vectors = 1 if depth == len(shape) else shape[depth]
    outer = tuple(n for axis, n in enumerate(shape) if axis != depth)
    flat = (prod(outer), vectors)
    if depth >= len(shape) - 1:
        return In(position, flat), [], outer
    order = [axis for axis in range(len(shape)) if axis != depth] + [depth]
    turned = tuple(shape[axis] for axis in order)
    walks = [order.index(axis) for axis in range(len(shape))]
    kernel = gathered(shape, turned, walks, read=In(position), write=Temp("starts", turned, "i"))
    return Temp("starts", flat), [kernel], outer


def _by_axis(name: str, values: Sequence[int], lead: int) -> dict[str, Number]:
    """Returns: a uniform for each of five axes, ``lead`` for those in front of the tensor's."""
    full = [lead] * (5 - len(values)) + list(values)
    return {f"{name}{axis}": value for axis, value in enumerate(full)}


def gather(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of STABLEHLO_GATHER."""
    x, index, out = operand(node, inputs, 0).shape, operand(node, inputs, 1).shape, outputs[0].shape
    sizes, collapsed, where = (
        _listed(node, n) for n in ("slice_sizes", "collapsed_slice_dims", "start_index_map")
    )
    offsets = _listed(node, "offset_dims")
    starts, before, rows = _starts(index, whole(node, "index_vector_dim"), 1)
    lead = 5 - len(out)
    kept = iter(offsets)
    off = [_NOTHING if axis in collapsed else next(kept) + lead for axis in range(len(x))]
    batch = [axis for axis in range(len(out)) if axis not in offsets]
    by = [0] * len(out)
    for k, axis in enumerate(batch):
        by[axis] = prod(rows[k + 1 :])
    uniforms = _by_axis("off", off, _NOTHING) | _by_axis("by", by, 0)
    uniforms |= _by_axis("last", [n - size for n, size in zip(x, sizes, strict=True)], 0)
    uniforms |= _by_axis("from", _entries(where, len(x)), _NOTHING)
    kernel = Kernel(
        "stablehlo_gather", Out(0), (quads(out),), {"x": In(0), "index": starts}, uniforms=uniforms,
        constants={"DEPTH": len(where)},
    )  # fmt: skip
    return one(*before, kernel)


def _entries(where: Sequence[int], rank: int) -> list[int]:
    """Returns: for every axis the entry of an index vector that moves along it."""
    return [where.index(axis) if axis in where else _NOTHING for axis in range(rank)]


def scatter(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of STABLEHLO_SCATTER, of which the engine has found out what its graph does."""
    x, index, updates = (operand(node, inputs, i) for i in range(3))
    how = node.attrs.get(COMBINES)
    if how not in _FUNCTIONS:
        return no("the graph that combines its updates is none of sum, product, maximum, minimum and last")
    if x.type.is_quantized or kind_of(x.type) not in ("f", "i"):
        return no(f"it changes {x.type}, which its GPU kernel does not take")
    inside, inserted, where = (
        _listed(node, n)
        for n in ("update_window_dims", "inserted_window_dims", "scatter_dims_to_operand_dims")
    )
    depth, rank = whole(node, "index_vector_dim"), len(x.shape)
    outside = [axis for axis in range(len(updates.shape)) if axis not in inside]
    if not 0 <= depth <= len(index.shape) or not _fit(where, inserted, inside, rank, len(updates.shape)):
        return no(f"its dimensions do not fit operands of {x.type}, {index.type} and {updates.type}")
    starts, before, rows = _starts(index.shape, depth, 1)
    entries = 1 if depth == len(index.shape) else index.shape[depth]
    window = [updates.shape[axis] for axis in inside]
    if entries != len(where) or tuple(updates.shape[axis] for axis in outside) != rows:
        return no(f"its updates {updates.type} do not fit positions {index.type}")
    if quads(x.shape) * prod(rows) > MOST_STEPS:
        return no(f"it would look {prod(rows)} times at each of {x.type.size} elements: too slow on a GPU")
    order = [*outside, *inside]
    blocks: Read = In(2, (prod(rows), prod(window)))
    if order != list(range(len(order))):
        turned = tuple(updates.shape[axis] for axis in order)
        walks = [order.index(axis) for axis in range(len(order))]
        before.append(gathered(updates.shape, turned, walks, read=In(2), write=Temp("blocks", turned)))
        blocks = Temp("blocks", (prod(rows), prod(window)))
    left = iter(range(len(window)))
    places = [None if axis in inserted else next(left) for axis in range(rank)]
    sizes = [1 if k is None else window[k] for k in places]
    strides = [0 if k is None else prod(window[k + 1 :]) for k in places]
    uniforms = _by_axis("size", sizes, 1) | _by_axis("stride", strides, 0) | {"rows": prod(rows)}
    uniforms |= _by_axis("from", _entries(where, rank), _NOTHING)
    reads: dict[str, Read | Weights] = {"x": In(0), "b": blocks, "index": starts}
    constants = {name: int(name == how) for name in _FUNCTIONS} | {"DEPTH": len(where)}
    kernel = Kernel(
        "stablehlo_scatter", Out(0), (quads(x.shape),), reads, uniforms=uniforms, constants=constants
    )
    return one(*before, kernel)


def _fit(
    where: Sequence[int], inserted: Sequence[int], inside: Sequence[int], rank: int, update_rank: int
) -> bool:
    """Returns: whether dimensions are there, each once, and those of window and tensor are as many."""
    once = all(len(set(axes)) == len(axes) for axes in (where, inserted, inside))
    there = all(0 <= axis < rank for axis in (*where, *inserted)) and all(
        0 <= a < update_rank for a in inside
    )
    return once and there and sorted(inside) == list(inside) and len(inside) + len(inserted) == rank


def reduce_window(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of STABLEHLO_REDUCE_WINDOW, of which the engine has found out what its graph does."""
    x, how, rank = operand(node, inputs, 0), node.attrs.get(COMBINES), len(operand(node, inputs, 0).shape)
    if how not in _FUNCTIONS[:4]:
        return no("the graph that combines its elements is none of sum, product, maximum and minimum")
    if x.type.is_quantized or kind_of(x.type) not in ("f", "i") or len(inputs) != 2:
        return no(f"it reduces {x.type}, which its GPU kernel does not take")
    ones = [1] * rank
    names = ("window_dimensions", "window_strides", "base_dilations", "window_dilations")
    window, stride, gaps, dilation = (_listed(node, name) or ones for name in names)
    edges = _listed(node, "padding") or [0] * (2 * rank)
    fits = all(len(values) == rank and min(values) >= 1 for values in (window, stride, gaps, dilation))
    if not fits or len(edges) != 2 * rank:
        return no(f"its window of {window} does not fit {x.type}")
    wide = tuple(
        (n - 1) * gap + 1 + before + after
        for n, gap, before, after in zip(x.shape, gaps, edges[::2], edges[1::2], strict=True)
    )
    places = zip(wide, window, stride, dilation, strict=True)
    shape = tuple((n - (w - 1) * d - 1) // s + 1 for n, w, s, d in places)
    if min(wide) < 1 or shape != outputs[0].shape:
        return no(f"its output is declared as {outputs[0].type}, its operands give {shape}")
    if prod(wide) > MAX_ELEMENTS:
        return no(f"it pads to {prod(wide)} elements, more than {MAX_ELEMENTS}")
    refused = too_many(prod(window), shape)
    if refused is not None:
        return refused
    read: Read = In(0)
    kernels = []
    if wide != x.shape:
        write = Temp("wide", wide, "i" if kind_of(x.type) == "i" else "f")
        kernels.append(spread_out(x.shape, wide, edges[::2], gaps, In(1), write))
        read = write
    return one(*kernels, windowed(read, In(1), str(how), (window, stride, dilation), outputs[0].shape))
