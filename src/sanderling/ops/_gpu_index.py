"""GPU kernels of operators that work with indices: gathers, scatters, extremes, one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import DType, TensorType, Verdict, no
from sanderling.ops._gpu import Answer, Inputs, Outputs, activation, kind_of, one
from sanderling.ops._operands import axis_in, integer, integers, operand, whole, word
from sanderling.ops.kernel import (
    Gpu,
    In,
    Kernel,
    Limits,
    Number,
    Out,
    Read,
    Shape,
    Variant,
    Weights,
    quads,
)

RUN_TIME = "its operand {} is computed at run time"
LARGEST = float(np.finfo(np.float32).max)
MOST_STEPS = 2**31  # rows that all threads of a scatter look at, together


def _inner(shape: Shape) -> tuple[int, int]:
    """Returns: any number of axes as two, the last one by itself."""
    return prod(shape[:-1]), shape[-1] if shape else 1


def _strides(sizes: Sequence[int]) -> dict[str, Number]:
    """Returns: the uniforms that turn an index into a row's number."""
    found: dict[str, Number] = {}
    for k, size in enumerate(sizes):
        found |= {f"size{k}": size, f"stride{k}": prod(sizes[k + 1 :])}
    return found


def _rows(
    x: Shape,
    sizes: Sequence[int],
    picks: int,
    *,
    groups: int = 1,
    batch: int = 1,
    index: int = 1,
    data: int = 0,
) -> list[Variant]:
    """Returns: the kernel that takes rows of x.

    Args:
        x: shape of a row.
        sizes: of the axes that an index walks along.
        picks: indices of a group.
        groups, batch: parts of x that have indices of their own, and parts of those that share them.
        index, data: positions of the operands.
    """
    have = (groups * batch * prod(sizes), *_inner(x))
    want = (groups * batch * picks, *_inner(x))
    uniforms = {"picks": picks, "batch": batch, "size": prod(sizes)} | _strides(sizes)
    reads: dict[str, Read | Weights] = {"x": In(data, have), "index": In(index)}
    kernel = Kernel(
        "_index", Out(0, want), (quads(want),), reads, uniforms=uniforms, constants={"DEPTH": len(sizes)}
    )
    return one(kernel)


def gather(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of GATHER."""
    x, index = operand(node, inputs, 0).shape, operand(node, inputs, 1).shape
    axis, batch = axis_in(node, whole(node, "axis"), len(x)), whole(node, "batch_dims")
    batch += len(index) if batch < 0 else 0
    return _rows(
        x[axis + 1 :],
        x[axis : axis + 1],
        prod(index[batch:]),
        groups=prod(x[:batch]),
        batch=prod(x[batch:axis]),
    )


def gather_nd(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of GATHER_ND."""
    x, index = operand(node, inputs, 0).shape, operand(node, inputs, 1).shape
    return _rows(x[index[-1] :], x[: index[-1]], prod(index[:-1]))


def embedding_lookup(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of EMBEDDING_LOOKUP: the rows of operand 1 that operand 0 lists."""
    ids, table = operand(node, inputs, 0).shape, operand(node, inputs, 1).shape
    return _rows(table[1:], table[:1], ids[0], index=0, data=1)


def embedding_lookup_sparse(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of EMBEDDING_LOOKUP_SPARSE."""
    entries, depth = operand(node, inputs, 1).shape
    table, sizes = operand(node, inputs, 4).shape, outputs[0].shape[: depth - 1]
    want = (prod(sizes), *_inner(table[1:]))
    if quads(want) * entries > MOST_STEPS:
        return no(f"it would look {entries} times at each of {prod(want)} elements: too slow on a GPU")
    how = word(node, "combiner", "SUM")
    reads: dict[str, Read | Weights] = {
        "x": In(4, (table[0], *_inner(table[1:]))), "index": In(0, (1, entries)), "position": In(1),
        "z": In(3, (1, entries)),
    }  # fmt: skip
    kernel = Kernel(
        "embedding_lookup_sparse", Out(0, want), (quads(want),), reads,
        uniforms={"entries": entries, **_strides(sizes)},
        constants={"DEPTH": depth - 1, "MEAN": int(how == "MEAN"), "SQRTN": int(how == "SQRTN")},
    )  # fmt: skip
    return one(kernel)


def _scattered(
    how: str,
    x: TensorType,
    rows: int,
    row: Shape,
    sizes: Sequence[int],
    *,
    data: int,
    index: int,
    start: Number = 0.0,
    filler: Read | None = None,
) -> Answer:
    """Returns: the kernel that brings rows to where indices say.

    Args:
        how: what becomes of rows that meet: SUM, PROD, MAX, MIN, or LAST for the last one.
        x: type of the rows.
        rows, row: their number, and the shape of one.
        sizes: of the output's axes that an index walks along.
        data, index: positions of rows and indices.
        start: what the output holds where nothing comes; or operand ``filler``.
    """
    want = (prod(sizes), *_inner(row))
    if quads(want) * rows > MOST_STEPS:
        return no(f"it would look {rows} times at each of {prod(want)} elements: too slow on a GPU")
    constants = {name: int(name == how) for name in ("SUM", "PROD", "MAX", "MIN", "LAST")}
    reads: dict[str, Read | Weights] = {
        "x": In(data, (x.size // prod(row), *_inner(row))),
        "index": In(index),
    }
    if filler is not None:
        reads["f"] = filler
    kernel = Kernel(
        "_scatter", Out(0, want), (quads(want),), reads,
        uniforms={"start": start, "rows": rows, **_strides(sizes)},
        constants=constants | {"DEPTH": len(sizes), "FILLER": int(filler is not None)},
    )  # fmt: skip
    return one(kernel)


def scatter_nd(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of SCATTER_ND."""
    index, updates = operand(node, inputs, 0).shape, operand(node, inputs, 1).type
    if updates.is_quantized or kind_of(updates) == "b":
        return no(f"it adds up {updates}, which its GPU kernel does not")
    target, depth = outputs[0].shape, index[-1]
    return _scattered("SUM", updates, prod(index[:-1]), target[depth:], target[:depth], data=1, index=0)


def sparse_to_dense(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of SPARSE_TO_DENSE."""
    positions, values, target = operand(node, inputs, 0), operand(node, inputs, 2), outputs[0].shape
    rows = positions.type.size // len(target)
    return _scattered("LAST", values.type, rows, (), target, data=2, index=0, filler=In(3))


def segments(how: str, start: float, whole_start: int) -> Gpu:
    """Returns: the answer of an operator that combines rows of one number.

    Args:
        how: SUM, PROD, MAX or MIN.
        start, whole_start: what a segment without rows holds, of real and of whole numbers.
    """

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        x, numbers = operand(node, inputs, 0).type, operand(node, inputs, 1).shape
        kind = kind_of(x)
        if kind is None or kind == "b" or x.is_quantized:
            return no(f"its operand 0 is {x}, which its GPU kernel does not take")
        row = x.shape[len(numbers) :]
        first = start if kind == "f" else whole_start
        return _scattered(how, x, prod(numbers), row, outputs[0].shape[:1], data=0, index=1, start=first)

    return gpu


def extreme(*, largest: bool) -> Gpu:
    """Returns: the answer of ARG_MAX or ARG_MIN."""

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        x, axis = operand(node, inputs, 0), integer(node, inputs, 1)
        if axis is None or kind_of(x.type) in ("b", None):
            return no(RUN_TIME.format(1) if axis is None else f"its operand 0 is {x.type}")
        axis = axis_in(node, axis, len(x.shape))
        have, want = around(x.shape, axis)
        last = axis == len(x.shape) - 1
        kernel = Kernel(
            "_extreme", Out(0, want), (have[0] if last else quads(want),), {"x": In(0, have)}, kind="i",
            constants={"MAX": int(largest), "LAST": int(last)},
        )  # fmt: skip
        return one(kernel)

    return gpu


def around(shape: Shape, axis: int) -> tuple[Shape, Shape]:
    """Returns: [before, axis, after] or, for the last one, [before, axis]; and the same with the axis 1."""
    outer, size = prod(shape[:axis]), shape[axis]
    if axis == len(shape) - 1:
        return (outer, size), (outer, 1)
    inner = _inner(shape[axis + 1 :])
    return (outer, size, *inner), (outer, 1, *inner)


def topk(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of TOPK_V2: a kernel for the values, one for their numbers."""
    x = operand(node, inputs, 0)
    if kind_of(x.type) in ("b", None) or outputs[1].dtype is not DType.INT32:
        return no(f"its operand is {x.type}, its positions {outputs[1].dtype.value}")
    rows, size = prod(x.shape[:-1]), x.shape[-1]
    count = outputs[0].shape[-1]
    kernels = [
        Kernel(
            "topk_v2", Out(number, (rows, 1, count)), (rows,), {"x": In(0, (rows, 1, size))},
            constants={"NUMBERS": number}, kind="i" if number else "",
        )
        for number in range(2)
    ]  # fmt: skip
    return one(*kernels)


def cumsum(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of CUMSUM."""
    x, axis = operand(node, inputs, 0), integer(node, inputs, 1)
    if axis is None or kind_of(x.type) in ("b", None):
        return no(RUN_TIME.format(1) if axis is None else f"its operand 0 is {x.type}")
    axis = axis_in(node, axis, len(x.shape))
    have, want = around(x.shape, axis)
    last = axis == len(x.shape) - 1
    modes: dict[str, Number] = {name: whole(node, name) for name in ("reverse", "exclusive")}
    kernel = Kernel(
        "cumsum", Out(0, have), (have[0] if last else quads(want),), {"x": In(0, have)}, uniforms=modes,
        constants={"LAST": int(last)},
    )  # fmt: skip
    return one(kernel)


def one_hot(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of ONE_HOT."""
    index, out = operand(node, inputs, 0), outputs[0]
    if kind_of(out.type) is None:
        return no(f"its output is {out.type}, which its GPU kernel does not give")
    axis = axis_in(node, whole(node, "axis"), len(out.shape))
    last = axis == len(out.shape) - 1
    before, after = prod(index.shape[:axis]), prod(index.shape[axis:])
    want = (before, out.shape[axis]) if last else (before, out.shape[axis], after)
    kernel = Kernel(
        "one_hot", Out(0, want), (quads(want),), {"x": In(2), "z": In(3), "index": In(0)},
        constants={"LAST": int(last)},
    )  # fmt: skip
    return one(kernel)


def dynamic_update_slice(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of DYNAMIC_UPDATE_SLICE."""
    x = operand(node, inputs, 0)
    reads: dict[str, Read | Weights] = {"x": In(0), "d": In(1), "s": In(2)}
    if kind_of(x.type) is None:
        return no(f"its operand 0 is {x.type}, which its GPU kernel does not take")
    first: dict[str, Number] = {"first": 5 - len(x.shape)}
    return one(Kernel("dynamic_update_slice", Out(0), (quads(x.shape),), reads, uniforms=first))


def reverse_sequence(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of REVERSE_SEQUENCE."""
    x = operand(node, inputs, 0)
    rank = len(x.shape)
    along, batch = (axis_in(node, whole(node, name), rank) for name in ("seq_dim", "batch_dim"))
    kernel = Kernel(
        "reverse_sequence", Out(0), (quads(x.shape),), {"x": In(0), "length": In(1)},
        uniforms={"size": x.shape[along]},
        constants={"ALONG": along + 5 - rank, "BATCH": batch + 5 - rank},
    )  # fmt: skip
    return one(kernel)


def diagonal(*, keep: bool) -> Gpu:
    """Returns: the answer of MATRIX_DIAG, or (``keep``) of MATRIX_SET_DIAG."""

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        d, out = operand(node, inputs, int(keep)), outputs[0]
        if kind_of(d.type) is None or (d.type.is_quantized and not keep):
            return no(f"its operand is {d.type}, which its GPU kernel does not take")
        want = (prod(out.shape[:-2]), *out.shape[-2:])
        reads: dict[str, Read | Weights] = {"d": In(int(keep), (want[0], d.shape[-1]))}
        if keep:
            reads["x"] = In(0, want)
        kernel = Kernel("_diagonal", Out(0, want), (quads(want),), reads, constants={"KEEP": int(keep)})
        return one(kernel)

    return gpu


def bucketize(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of BUCKETIZE."""
    x = operand(node, inputs, 0)
    if kind_of(x.type) not in ("f", "i") or x.type.is_quantized:
        return no(f"its operand 0 is {x.type}, which its GPU kernel does not take")
    limit = np.array(node.attrs.get("boundaries") or (), np.float32).reshape(-1)
    weights = Weights(lambda: np.pad(limit, (0, 4 + -limit.size % 4)), "f32")
    kernel = Kernel(
        "bucketize", Out(0), (quads(x.shape),), {"x": In(0), "w": weights}, uniforms={"count": limit.size},
        kind="i",
    )  # fmt: skip
    return one(kernel)


_WINDOW = {1: "SUM", 2: "PROD", 3: "MIN", 4: "MAX"}


def reduce_window(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of REDUCE_WINDOW."""
    x, how = operand(node, inputs, 0), _WINDOW.get(whole(node, "reduce_function"))
    if how is None:
        return no("it reduces truth values or by an unknown function, which its GPU kernel does not")
    if kind_of(x.type) not in ("f", "i") or x.type.is_quantized:
        return no(f"its operand 0 is {x.type}, which its GPU kernel does not take")
    listed = [integers(node, inputs, i) for i in (2, 3, 4)]
    if None in listed:
        return no(RUN_TIME.format(2 + listed.index(None)))
    sizes = [values or [] for values in listed]
    refused = too_many(prod(sizes[0]), outputs[0].shape)
    return refused or one(windowed(In(0), In(1), how, sizes, outputs[0].shape))


def too_many(taps: int, out: Shape) -> Verdict | None:
    """Returns: that a window of so many elements is too large; None where it is not."""
    if 4 * quads(out) * taps <= MOST_STEPS:
        return None
    return no(f"it combines {taps} elements for each of {prod(out)}: too slow on a GPU")


def windowed(x: Read, start: In, how: str, listed: Sequence[Sequence[int]], out: Shape) -> Kernel:
    """Returns: the kernel that combines the elements under a window.

    Args:
        x, start: the tensor and the value to begin with.
        how: SUM, PROD, MAX or MIN.
        listed: for every axis the window's size, stride and dilation.
        out: shape of the result.
    """
    uniforms: dict[str, Number] = {"taps": prod(listed[0])}
    for name, values in zip(("window", "stride", "dilation"), listed, strict=True):
        full = [1] * (5 - len(values)) + list(values)
        uniforms |= {f"{name}{axis}": value for axis, value in enumerate(full)}
    constants = {name: int(name == how) for name in ("SUM", "PROD", "MAX", "MIN")}
    reads: dict[str, Read | Weights] = {"x": x, "z": start}
    return Kernel("_window", Out(0), (quads(out),), reads, uniforms=uniforms, constants=constants)


def by_rows(body: str) -> Gpu:
    """Returns: the answer of an operator on the rows along the last axis that has a body of its own."""

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        x = operand(node, inputs, 0)
        if kind_of(x.type) != "f":
            return no(f"its operand is {x.type}, the GPU kernel takes floats and quantized integers")
        rows = prod(x.shape[:-1]), x.shape[-1]
        return one(Kernel(body, Out(0, rows), (rows[0],), {"x": In(0, rows)}, steps=activation(node, 0)))

    return gpu
