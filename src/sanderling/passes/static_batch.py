"""Fixes the sizes that a caller could change (−1 in a signature) to those of the file, as a rule batch 1.

The model can no longer be resized. In exchange shape arithmetic becomes constants and the other passes know
every shape.
"""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Graph, Model, Tensor
from sanderling.passes._known_shapes import known_shapes
from sanderling.passes.rewrite import Pass


def apply(model: Model) -> tuple[Model, list[str]]:
    """Fixes the shapes of the main graph; a model with several graphs stays as it is."""
    graph = model.main
    open_inputs = [graph.tensors[i] for i in graph.inputs if -1 in graph.tensors[i].shape_signature]
    if not open_inputs or len(model.graphs) > 1 or any(min(t.shape, default=1) < 1 for t in open_inputs):
        return model, []
    fixed = declared(replace(graph, tensors=tuple(_closed(t) for t in graph.tensors)))
    notes = [f"input {t.name!r} is fixed to {'×'.join(map(str, t.shape))}" for t in open_inputs]
    return model.with_main(fixed), notes


def _closed(tensor: Tensor) -> Tensor:
    return replace(tensor, shape_signature=()) if -1 in tensor.shape_signature else tensor


def declared(graph: Graph) -> Graph:
    """Returns: the graph whose values declare the shapes that follow from the inputs, where these are
    certain: what a file says about values between may be an example of another size."""
    shapes = known_shapes(graph)
    tensors = list(graph.tensors)
    for index, shape in shapes.items():
        tensor = tensors[index]
        if not tensor.is_constant and -1 not in shape and shape != tensor.shape:
            tensors[index] = replace(tensor, type=replace(tensor.type, shape=shape))
    return replace(graph, tensors=tuple(tensors))


PASS = Pass("static_batch", "fix the sizes that callers could change", apply, exact=True)
