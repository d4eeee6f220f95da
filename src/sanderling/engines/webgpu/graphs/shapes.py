"""The main graph for given input shapes: shapes inferred, constants folded, every node in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sanderling.engines.webgpu.graphs.complex_parts import separate_complex
from sanderling.engines.webgpu.graphs.flatten import flatten
from sanderling.engines.webgpu.graphs.regions import with_regions
from sanderling.graph.edit import without_nodes
from sanderling.graph.graph import Graph, Model, Tensor
from sanderling.graph.types import Verdict, no
from sanderling.passes._known_shapes import known_shapes
from sanderling.passes.drop_dead_code import EFFECTS
from sanderling.passes.pipeline import run

Shape = tuple[int, ...]
# They leave a value's index among the tensors as it is, so that nodes can be recognised by what they write.
_FOLD = ("fold_weights", "fold_constants", "replace_transpose_conv_bias")


def at_shapes(model: Model, shapes: Sequence[Shape], seen: Mapping[int, Shape] | None = None) -> Model:
    """Fixes the main graph to input shapes.

    Args:
        model: any number of graphs; only the main one changes.
        shapes: one per input of the main graph.
        seen: tensors whose declared shape turned out wrong at run time: their sizes count as unknown.

    Returns: the model; sizes that depend on values have −1 in ``shape_signature``.
    """
    model = with_regions(run(model, ("inline_composites",))[0])
    graph = model.main
    as_declared = all(graph.tensors[i].shape == s for i, s in zip(graph.inputs, shapes, strict=True))
    tensors = list(graph.tensors)
    for index, shape in zip(graph.inputs, shapes, strict=True):
        tensors[index] = _sized(tensors[index], shape)
    model = model.with_main(replace(graph, tensors=tuple(tensors)))
    for _ in range(2):  # folding makes shapes known that were computed
        model = model.with_main(_inferred(model.main, as_declared, seen or {}))
        model = run(model, _FOLD)[0]
    return model.with_main(_alive(flatten(separate_complex(model.main))))


def _inferred(graph: Graph, as_declared: bool, seen: Mapping[int, Shape]) -> Graph:
    known = known_shapes(graph)
    tensors = list(graph.tensors)
    for node in graph.nodes:
        for index in node.outputs:
            tensor = tensors[index]
            if tensor.is_constant:
                continue
            shape = known.get(index)
            if shape is None:
                shape = _declared(tensor) if as_declared else (-1,) * len(tensor.shape)
            if index in seen:
                shape = (-1,) * len(seen[index])
            tensors[index] = _sized(tensor, shape)
    return replace(graph, tensors=tuple(tensors))


def _declared(tensor: Tensor) -> Shape:
    signature = tensor.shape_signature
    return signature if len(signature) == len(tensor.shape) else tensor.shape


def _sized(tensor: Tensor, shape: Shape) -> Tensor:
    sizes = shape
    if -1 in shape:  # an example is needed all the same
        told = tensor.shape if len(tensor.shape) == len(shape) else (1,) * len(shape)
        sizes = tuple(t if s < 0 else s for s, t in zip(shape, told, strict=True))
    return replace(
        tensor, type=replace(tensor.type, shape=sizes), shape_signature=shape if -1 in shape else ()
    )


def sized(tensor: Tensor) -> Verdict:
    """Returns: whether a tensor's sizes are known before the model runs."""
    if tensor.is_constant or -1 not in tensor.shape_signature:
        return Verdict(True)
    sizes = "x".join("?" if n < 0 else str(n) for n in tensor.shape_signature)
    return no(f"{tensor.name or 'a tensor'} is {tensor.dtype.value}[{sizes}]: its sizes depend on values")


def _alive(graph: Graph) -> Graph:
    """Returns: the graph without nodes whose results nobody reads; no tensor moves."""
    live = set(graph.outputs) | {i for i, t in enumerate(graph.tensors) if t.is_variable}
    dead = []
    for position in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[position]
        if node.op in EFFECTS or any(node.mutating) or live & set(node.outputs) or not node.outputs:
            live.update(node.inputs)
        else:
            dead.append(position)
    return without_nodes(graph, dead) if dead else graph
