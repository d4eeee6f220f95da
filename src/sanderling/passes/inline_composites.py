"""Puts the operators of its graph in the place of a STABLEHLO_COMPOSITE.

A composite stands for one operator of a framework (a normalization, an attention), for engines that know it.
All others run the graph that it names; inlined, these operators can be placed, fused and folded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.passes.rewrite import Pass

# Graphs may call each other: what grows beyond this is nothing that somebody meant.
_MOST_NODES, _MOST_TENSORS, _DEEPEST = 100_000, 1_000_000, 16


def apply(model: Model) -> tuple[Model, list[str]]:
    """Inlines in the main graph, composites within composites, too."""
    if not any(node.op == "STABLEHLO_COMPOSITE" for node in model.main.nodes):
        return model, []
    tensors, nodes, notes = list(model.main.tensors), list[Node](), list[str]()
    waiting = [(node, 0) for node in reversed(model.main.nodes)]
    while waiting:
        node, depth = waiting.pop()
        body = _body(model, tensors, node) if depth < _DEEPEST else None
        if body is None or len(nodes) + len(waiting) + len(body.nodes) > _MOST_NODES:
            nodes.append(node)
            continue
        names = dict(zip(body.inputs, node.inputs, strict=True))
        names |= dict(zip(body.outputs, node.outputs, strict=True))
        for index, tensor in enumerate(body.tensors):
            if index not in names:
                names[index] = len(tensors)
                tensors.append(tensor)
        waiting += [(_renamed(one, names), depth + 1) for one in reversed(body.nodes)]
        notes.append(f"{node.attrs.get('name') or 'a composite'} became {len(body.nodes)} operators")
    if not notes:
        return model, []
    return model.with_main(replace(model.main, tensors=tuple(tensors), nodes=tuple(nodes))), notes


def _renamed(node: Node, names: dict[int, int]) -> Node:
    def moved(indices: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(names[i] if i >= 0 else i for i in indices)

    return replace(
        node, inputs=moved(node.inputs), outputs=moved(node.outputs), intermediates=moved(node.intermediates)
    )


def _body(model: Model, tensors: Sequence[Tensor], node: Node) -> Graph | None:
    """Returns: the graph of a composite that can be put in its place."""
    number = int(node.attrs.get("decomposition_subgraph_index", 0))
    if node.op != "STABLEHLO_COMPOSITE" or not 0 < number < len(model.graphs) or -1 in node.inputs:
        return None
    body = model.graphs[number]
    if len(tensors) + len(body.tensors) > _MOST_TENSORS:
        return None
    written = {index for one in body.nodes for index in one.outputs}
    fits = len(body.inputs) == len(node.inputs) and len(body.outputs) == len(node.outputs)
    # What it hands through or gives twice would need an operator that copies.
    plain = set(body.outputs) <= written and len({*body.inputs, *body.outputs}) == len(body.inputs) + len(
        body.outputs
    )
    if not fits or not plain or any(tensor.is_variable for tensor in body.tensors):
        return None
    pairs = zip((*body.inputs, *body.outputs), (*node.inputs, *node.outputs), strict=True)
    same = all(body.tensors[i].type == tensors[j].type for i, j in pairs)
    stateful = any(one.op in ("CALL_ONCE", "VAR_HANDLE") for one in body.nodes)
    return body if same and not stateful else None


PASS = Pass(
    "inline_composites", "run the operators of a composite in its place", apply, exact=True, grows=True
)
