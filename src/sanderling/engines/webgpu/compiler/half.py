"""Which operators work in 16 bits, and how sums of their products are kept from overflowing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from math import ceil, isfinite, log2

import numpy as np

from sanderling.engines.webgpu.compiler.plan import WHOLE
from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import Array
from sanderling.ops._gpu_weights import later
from sanderling.ops.kernel import Channel, Flow, Limits, Step

TOGETHER = 4  # products that kernels add up in 16 bits


def halved(graph: Graph, node: Node, *, half: bool, wide: Collection[str]) -> bool:
    """Returns: whether all that flows through a node is floats that are stored in 16 bits.

    Args:
        half: floats are stored as f16.
        wide: names of tensors that are stored as f32 all the same.
    """
    ends = (graph.tensors[i] for i in (*node.inputs, *node.outputs) if i >= 0)
    flowing = (tensor for tensor in ends if not tensor.is_constant)
    return half and all(t.dtype.is_float and t.name not in wide for t in flowing)


def narrow(graph: Graph, node: Node, *, half: bool, wide: Collection[str]) -> list[str]:
    """Returns: names of what flows through a node and is stored in 16 bits; see ``halved``."""
    ends = [graph.tensors[i] for i in (*node.inputs, *node.outputs) if i >= 0]
    floats = [t.name for t in ends if t.dtype.is_float and not t.is_constant and t.name not in wide]
    return floats if half else []


def leading_to(graph: Graph, last: Node) -> list[Node]:
    """Returns: a node and all whose results it is computed from, in execution order."""
    wanted, found = set(last.outputs), list[Node]()
    for node in reversed(graph.nodes):
        if wanted & set(node.outputs):
            wanted |= set(node.inputs)
            found.append(node)
    return found[::-1]


def limits_of(graph: Graph, node: Node, limits: Limits, *, half: bool, wide: Collection[str]) -> Limits:
    """Returns: what the kernels of a node may ask of the device: see ``halved``."""
    return replace(limits, f16=limits.f16 and halved(graph, node, half=half, wide=wide))


def scaled(weights: Array, storage: str) -> tuple[Array, float]:
    """Makes weights so small that no sum of ``TOGETHER`` products is larger than what they multiply.

    Returns: the weights as they are to be stored, and the power of two that they were divided by. Integers
    are stored as they are and divided when they are loaded.
    """
    if storage in WHOLE:
        return weights, float(WHOLE[storage])
    largest = float(np.abs(weights).max(initial=0.0))
    if not isfinite(largest) or largest == 0:
        return weights, 1.0
    factor = 2.0 ** ceil(log2(TOGETHER * largest))
    return weights / np.float32(factor), factor


def rescaled(steps: Sequence[Step], factor: float) -> tuple[Step, ...]:
    """Returns: the steps behind one that multiplies by what the weights were divided by."""
    first = Step("x * s", {"x": Flow(0), "s": Channel(np.array([factor], np.float32))})
    return (first, *map(later, steps))
