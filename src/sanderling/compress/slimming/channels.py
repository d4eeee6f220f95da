"""Which channels of a graph can be removed together, and the graph without them.

Source: Fang et al., DepGraph: Towards Any Structural Pruning (2023), section 3, in a form of our own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from sanderling.compress.slimming.cutter import Cutter, Rule
from sanderling.compress.slimming.rules import RULES
from sanderling.compress.slimming.tracer import ChannelMap, Frozen, Group, Slots, Tracer
from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType
from sanderling.ops.registry import find

__all__ = ["ChannelMap", "Frozen", "Group", "Slots", "cut", "trace"]


def trace(graph: Graph, rules: Mapping[str, Rule] = RULES) -> ChannelMap:
    """Finds the groups of channels of a graph whose weights are plain constants.

    Args:
        graph: a verified main graph after ``prepare.fold``.
        rules: what each kind of operator says about channels; those around others stay.
    """
    tracer = Tracer(graph)
    for index in graph.inputs:
        tracer.of(index, "is an input of the model")
    for node in graph.nodes:
        reason = _trace(tracer, node, rules)
        if reason:
            _freeze(tracer, node, reason.format(node.kind))
    for index in graph.outputs:
        tracer.freeze(tracer.of(index), "is an output of the model")
    return tracer.result()


def cut(graph: Graph, found: ChannelMap, gone: Collection[int]) -> Graph:
    """Removes channels: weights, constants and shapes become smaller, nodes keep their positions.

    Args:
        graph: what ``trace`` saw.
        found: what it found.
        gone: numbers of the channels to remove, all of them from groups.

    Raises:
        InvalidGraph: the smaller graph's shapes contradict each other.
    """
    kept = np.ones(found.count, np.bool_)
    kept[list(gone)] = False
    cutter = Cutter(graph, found, kept, list(graph.tensors))
    touched = {index for index, slots in found.slots.items() if not kept[slots].all()}
    nodes = []
    for node in graph.nodes:
        rule = RULES.get(node.op)
        here = rule is not None and not touched.isdisjoint((*node.inputs, *node.outputs))
        nodes.append(rule.cut(cutter, node) if rule is not None and here else node)
    for index in touched:
        cutter.tensors[index] = _narrowed(graph.tensors[index], int(cutter.mask(index).sum()))
    smaller = replace(graph, tensors=tuple(cutter.tensors), nodes=tuple(nodes))
    _check(smaller, touched)
    return smaller


def _trace(tracer: Tracer, node: Node, rules: Mapping[str, Rule]) -> str:
    """Lets an operator's rule speak. Returns: "" or why the channels around it must stay."""
    rule = rules.get(node.op)
    if rule is None:
        return "meets {}, whose channels are not understood"
    if not all(tracer.graph.tensors[i].dtype is DType.FLOAT32 for i in node.outputs):
        return "meets {} on other numbers than float32"
    if all(i < 0 or tracer.graph.tensors[i].is_constant for i in node.inputs):
        return "is computed from constants"
    return rule.trace(tracer, node)


def _freeze(tracer: Tracer, node: Node, reason: str) -> None:
    for index in (*node.inputs, *node.outputs):
        if index >= 0 and not tracer.graph.tensors[index].is_constant:
            tracer.freeze(tracer.of(index, reason), reason)


def _narrowed(tensor: Tensor, width: int) -> Tensor:
    signature = tensor.shape_signature
    if signature and signature[-1] >= 0:
        signature = (*signature[:-1], width)
    kind = replace(tensor.type, shape=(*tensor.shape[:-1], width))
    return replace(tensor, type=kind, shape_signature=signature)


def _check(graph: Graph, touched: Collection[int]) -> None:
    """Infers the shapes around every cut once more, independently of the rules.

    Raises:
        InvalidGraph: they are not what the cut says.
    """
    for node in graph.nodes:
        op = find(node.op)
        if op is None or set(touched).isdisjoint((*node.inputs, *node.outputs)):
            continue
        results = graph.results(node)
        inferred = op.infer(node, graph.operands(node), results)
        for tensor, kind in zip(results, inferred, strict=True):
            if -1 not in kind.shape and kind.shape != tensor.shape:
                raise InvalidGraph(
                    f"'{tensor.name}' has shape {tensor.shape} without its channels, expected {kind.shape}",
                    where=node.kind,
                )
