"""A model that takes any number of rows: its leading dimension, 1 in the file, is opened.

Samples follow each other along the first axis from end to end, so that what a file says about sizes has to be
said again where it names the leading one. Whether the rows of an answer are those of single calls is not told
by shapes: it has to be tried (see ``serve/inference/rows.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from sanderling.errors import RunError
from sanderling.graph.constant import decode
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.passes._known_shapes import known_shapes

Shapes = Mapping[int, tuple[int, ...]]
_MOST_STRIDED = 5  # dimensions of STRIDED_SLICE
_TRIED = 3  # rows that shapes are inferred for: no size of a model is likely to be this by chance alone


def with_rows(model: Model) -> Model:
    """Opens the leading dimension of all inputs.

    Args:
        model: every input [1,…].

    Returns: the model with inputs and outputs [−1,…].

    Raises:
        RunError: an input or output has no leading dimension of 1, or an operator stands in the way; says
            which.
    """
    graph = model.main
    for index in (*graph.inputs, *graph.outputs):
        _require_row(graph.tensors[index], model.name)
    fixed = _sized(graph, 1)
    before = known_shapes(fixed)
    opened = _Opening(fixed, before).run()
    after = known_shapes(_sized(opened, _TRIED))
    _check(opened, before, after, model.name)
    return replace(model.with_main(_sized(opened, -1)), source=None)


def _require_row(tensor: Tensor, where: str) -> None:
    shape, signature = tensor.shape, tensor.shape_signature or tensor.shape
    name = tensor.name.split(";")[0]
    if tensor.dtype is DType.STRING:
        raise RunError(f"{name!r} is text, which is not put together", where=where)
    if not shape or shape[0] != 1 or signature[0] not in (1, -1):
        raise RunError(f"{name!r} is {list(signature)}, so its first dimension counts no rows", where=where)
    if -1 in signature[1:]:
        raise RunError(f"{name!r} is {list(signature)}: rows may differ in their sizes", where=where)


def _sized(graph: Graph, rows: int) -> Graph:
    """Returns: the graph for so many rows; −1 leaves them open in its inputs and outputs."""
    tensors = list(graph.tensors)
    ends = graph.inputs if rows > 0 else (*graph.inputs, *graph.outputs)
    for index in ends:
        old = tensors[index]
        rest = old.shape[1:]
        kind = TensorType((max(rows, 1), *rest), old.dtype, old.quant)
        tensors[index] = replace(old, type=kind, shape_signature=(-1, *rest) if rows < 0 else ())
    return replace(graph, tensors=tuple(tensors))


def _check(graph: Graph, before: Shapes, after: Shapes, where: str) -> None:
    for node in graph.nodes:
        for index in node.outputs:
            if index in before and index not in after:
                name = graph.tensors[index].name.split(";")[0]
                raise RunError(f"{node.kind} {name!r} takes one row at a time", where=where)
    for index in graph.outputs:
        was, now = before.get(index), after.get(index)
        name = graph.tensors[index].name.split(";")[0]
        if was is None or now is None:
            raise RunError(f"the size of output {name!r} depends on values", where=where)
        if now != (_TRIED, *was[1:]):
            raise RunError(
                f"output {name!r} would be {list(now)} for {_TRIED} rows of {list(was)}", where=where
            )


class _Opening:
    """Says the leading size anew wherever a graph names it.

    Args:
        graph: for one row.
        shapes: of its values.
    """

    def __init__(self, graph: Graph, shapes: Shapes) -> None:
        self._graph, self._shapes = graph, shapes
        self._tensors = list(graph.tensors)
        self._holds = set(graph.inputs)  # values that hold rows

    def run(self) -> Graph:
        """Returns: the graph for any number of rows."""
        nodes = []
        for node in self._graph.nodes:
            data = node.op != "SHAPE" and any(index in self._holds for index in node.inputs)
            if data:
                self._holds |= set(node.outputs)
            opens = _OPENS.get(node.op)
            holds = bool(node.inputs) and node.inputs[0] in self._holds
            nodes.append(opens(self, node) if opens is not None and holds else node)
        return replace(self._graph, nodes=tuple(nodes), tensors=tuple(self._tensors))

    def reshape(self, node: Node) -> Node:
        """What is behind the first axis stays; the first takes what is left."""
        shape = self._shapes.get(node.outputs[0])
        told = len(node.inputs) > 1 and self._constant(node.inputs[1]) is None
        if not shape or told or 0 in shape:  # told: the sizes are computed, from those of the inputs
            return node
        target = (-1, *shape[1:])
        inputs = node.inputs[:1]
        if len(node.inputs) > 1:
            inputs = (*inputs, self._stored(node.inputs[1], np.array(target, np.int32)))
        attrs = {**node.attrs, "new_shape": target}
        return replace(node, inputs=inputs, attrs=attrs, options=node.options or "ReshapeOptions")

    def slice(self, node: Node) -> Node:
        """A slice that takes the one row takes all: as a strided one, since LiteRT's SLICE keeps the size
        that the file states."""
        begin, size = (self._constant(i) for i in node.inputs[1:3])
        shape = self._shapes.get(node.outputs[0])
        if begin is None or size is None or not shape or int(begin[0]) != 0 or int(size[0]) not in (1, -1):
            return node
        if len(shape) > _MOST_STRIDED:
            return node
        first = np.array(begin, np.int32)
        corners = (first, first + np.array(shape, np.int32), np.ones(len(shape), np.int32))
        inputs = (node.inputs[0], *(self._stored(node.inputs[1], each) for each in corners))
        masks = dict.fromkeys(("ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0)
        attrs = {"begin_mask": 1, "end_mask": 1, **masks, "offset": False}
        return Node("STRIDED_SLICE", inputs, node.outputs, attrs, "StridedSliceOptions")

    def strided_slice(self, node: Node) -> Node:
        """The same, where masks say so."""
        begin, end, stride = (self._constant(i) for i in node.inputs[1:4])
        if begin is None or end is None or stride is None:
            return node
        special = ("shrink_axis_mask", "ellipsis_mask", "new_axis_mask")
        if any(int(node.attrs.get(mask, 0)) & 1 for mask in special) or int(stride[0]) != 1:
            return node
        if int(begin[0]) not in (0, -1) or (int(end[0]) != 1 and not int(node.attrs.get("end_mask", 0)) & 1):
            return node
        masks = {name: int(node.attrs.get(name, 0)) | 1 for name in ("begin_mask", "end_mask")}
        return replace(node, attrs={**node.attrs, **masks})

    def _constant(self, index: int) -> Array | None:
        tensor = self._tensors[index] if index >= 0 else None
        return decode(tensor) if tensor is not None and tensor.is_constant else None

    def _stored(self, like: int, values: Array) -> int:
        """Returns: a new constant; the old one may have other readers."""
        name = f"{self._tensors[like].name}_rows"
        kind = TensorType(values.shape, DType(values.dtype.name))
        self._tensors.append(Tensor(name, kind, values))
        return len(self._tensors) - 1


_OPENS: dict[str, Callable[[_Opening, Node], Node]] = {
    "RESHAPE": _Opening.reshape,
    "SLICE": _Opening.slice,
    "STRIDED_SLICE": _Opening.strided_slice,
}
