"""The same weights on smaller or larger pictures, for networks whose layers do not depend on the size.

Convolutions and means over the whole picture do not; a dense layer on all pixels does, and is told. Fewer
pixels are the cheapest way to less arithmetic: half the side is a quarter of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sanderling.errors import UsageError
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import TensorType
from sanderling.passes._known_shapes import known_shapes
from sanderling.passes.static_batch import declared

_POOLS = frozenset({"AVERAGE_POOL_2D", "MAX_POOL_2D"})
_CHANNELS = frozenset({1, 3, 4})  # grey, colour, colour with alpha
LEAST = 8


def at_resolution(model: Model, pixels: int) -> Model:
    """Returns: the model for pictures of another size.

    Args:
        pixels: rows; the columns keep their ratio to them.

    Raises:
        UsageError: the model takes no picture, or a layer depends on its size; names the first that does.
    """
    where = str(model.source or model.name)
    graph = model.main
    index = _picture(model, where)
    shape = graph.tensors[index].shape
    height, width = _sides(shape)
    if pixels < LEAST:
        raise UsageError(f"{pixels} pixels were asked for, expected at least {LEAST}", where=where)
    size = list(shape)
    size[height], size[width] = pixels, max(1, round(shape[width] * pixels / shape[height]))
    whole = _whole_pools(graph)
    resized = _with_input(graph, index, tuple(size))
    shapes = known_shapes(resized)
    for _ in whole:  # behind a pool nothing is known before the pool itself fits
        nodes = tuple(_fitted(node, shapes) if at in whole else node for at, node in enumerate(resized.nodes))
        resized = replace(resized, nodes=nodes)
        shapes = known_shapes(resized)
    _check(graph, resized, shapes, f"{pixels} pixels", where)
    return replace(model.with_main(declared(resized)), source=None)


def rows(model: Model) -> int:
    """Returns: the rows of the picture that a model takes.

    Raises:
        UsageError: it takes none.
    """
    shape = model.main.tensors[_picture(model, str(model.source or model.name))].shape
    return shape[_sides(shape)[0]]


def _picture(model: Model, where: str) -> int:
    """Returns: the input that is a picture, [N,H,W,C] or [N,C,H,W]."""
    tensors = model.main.tensors
    found = [
        index
        for index in model.main.inputs
        if len(tensors[index].shape) == 4 and {tensors[index].shape[1], tensors[index].shape[3]} & _CHANNELS
    ]
    if len(found) != 1 or len(model.graphs) > 1:
        inputs = ", ".join(f"{tensors[i].name} {list(tensors[i].shape)}" for i in model.main.inputs)
        raise UsageError(
            f"has no input of which the resolution could be changed ({inputs})",
            where=where,
            hint="it takes one picture, [N,H,W,C] or [N,C,H,W], and the model has one graph",
        )
    return found[0]


def _sides(shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns: the axes of rows and columns."""
    return (1, 2) if shape[3] in _CHANNELS else (2, 3)


def _with_input(graph: Graph, index: int, size: tuple[int, ...]) -> Graph:
    tensors = list(graph.tensors)
    old = tensors[index]
    tensors[index] = replace(old, type=TensorType(size, old.dtype, old.quant), shape_signature=())
    return replace(graph, tensors=tuple(tensors))


def _whole_pools(graph: Graph) -> frozenset[int]:
    """Returns: positions of the pools whose window is the whole picture: they are means of it."""
    shapes = known_shapes(graph)
    return frozenset(
        position
        for position, node in enumerate(graph.nodes)
        if node.op in _POOLS
        and shapes.get(node.inputs[0], ())[1:3] == (node.attrs["filter_height"], node.attrs["filter_width"])
        and shapes.get(node.outputs[0], ())[1:3] == (1, 1)
    )


def _fitted(node: Node, shapes: Mapping[int, tuple[int, ...]]) -> Node:
    """Returns: a pool with the window that covers its input, if that is known by now."""
    shape = shapes.get(node.inputs[0])
    if shape is None:
        return node
    window = {"filter_height": shape[1], "filter_width": shape[2]}
    return replace(node, attrs={**node.attrs, **window, "stride_h": shape[1], "stride_w": shape[2]})


def _check(
    before: Graph, after: Graph, shapes: Mapping[int, tuple[int, ...]], asked: str, where: str
) -> None:
    """Raises: UsageError, if something does not follow from the new size, or the answer changes its form."""
    for node in after.nodes:
        if any(index not in shapes for index in node.outputs):
            name = after.tensors[node.outputs[0]].name.split(";")[0]
            raise UsageError(
                f"cannot be run on {asked}: {node.kind} {name!r} depends on the size",
                where=where,
                hint="train it for that size, or convert it anew",
            )
    for index in before.outputs:
        if shapes[index] != before.tensors[index].shape:
            was, now = list(before.tensors[index].shape), list(shapes[index])
            raise UsageError(
                f"would answer {now} instead of {was} on {asked}, which cannot be compared",
                where=where,
                hint="only models whose answer has one form for all sizes can be tried in several",
            )
