"""Which constants of a graph are parameters, and which tensors never change at run time.

**Parameters** are counted as papers count those of a network whose batch normalisation is folded: elements
of weights and biases. A constant counts if it is a real number (floating point, stored integers that carry a
scale, or a bias) and if an operator computes with it. Shapes, axes, paddings, indices and the like do not.
Every constant counts once, however many operators share it, and once in its stored form: behind a DEQUANTIZE
or DENSIFY the elements of the decoded tensor, zeros included.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass

from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType
from sanderling.ops.registry import find

_BIASES = {DType.INT32, DType.INT64}


def fixed_tensors(graph: Graph) -> frozenset[int]:
    """Returns: tensors that never change: constants, and what is computed from constants alone."""
    fixed = {i for i, tensor in enumerate(graph.tensors) if tensor.is_constant and not tensor.is_variable}
    for node in graph.nodes:
        if is_fixed(node, fixed):
            fixed.update(i for i in node.outputs if not graph.tensors[i].is_variable)
    return frozenset(fixed)


def is_fixed(node: Node, fixed: Set[int]) -> bool:
    """Returns: whether a node computes the same in every call, and so only has to be computed once."""
    op = find(node.op)
    operands = [i for i in node.inputs if i >= 0]
    return op is not None and op.reference is not None and bool(operands) and fixed >= set(operands)


@dataclass(frozen=True, slots=True)
class Weights:
    """The parameters that one node uses.

    Attributes:
        used: (operand position, tensor as the node reads it, index of the constant as it is stored).
        new: indices of the stored constants that no node before it uses.
    """

    used: tuple[tuple[int, Tensor, int], ...]
    new: tuple[int, ...]


Place = tuple[int, int]


def weights(graph: Graph, fixed: frozenset[int], seen: set[Place] | None = None) -> list[Weights]:
    """Finds the parameters behind every node.

    Args:
        fixed: what ``fixed_tensors`` gave.
        seen: places in memory of the parameters that count elsewhere already; those found are added.

    Returns: per node its parameters; none for nodes that only prepare constants for others.
    """
    sources = _sources(graph, fixed)
    seen = set() if seen is None else seen
    found: list[Weights] = []
    for node in graph.nodes:
        used = () if is_fixed(node, fixed) else tuple(_used(graph, node, sources))
        new = []
        for root in dict.fromkeys(root for _, _, root in used):
            place = _place(graph.tensors[root])  # tensors, also of several graphs, may share a buffer
            if place not in seen:
                seen.add(place)
                new.append(root)
        found.append(Weights(used, tuple(new)))
    return found


def _place(tensor: Tensor) -> Place:
    assert tensor.data is not None
    return tensor.data.ctypes.data, tensor.data.nbytes


def _used(graph: Graph, node: Node, sources: dict[int, tuple[int, ...]]) -> Iterator[tuple[int, Tensor, int]]:
    for position, index in _computed_with(node):
        for root in sources.get(index, ()):
            if _is_real(graph.tensors[root], node, position):
                yield position, graph.tensors[index], root


def _sources(graph: Graph, fixed: frozenset[int]) -> dict[int, tuple[int, ...]]:
    """Returns: for every fixed tensor, the stored constants that its numbers come from."""
    sources: dict[int, tuple[int, ...]] = {i: (i,) for i in fixed if graph.tensors[i].is_constant}
    for node in graph.nodes:
        if is_fixed(node, fixed):
            roots = {root: None for _, index in _computed_with(node) for root in sources.get(index, ())}
            sources.update((index, tuple(roots)) for index in node.outputs if index in fixed)
    return sources


def _computed_with(node: Node) -> Iterator[tuple[int, int]]:
    """Yields: position and tensor index of the operands that are numbers, not shapes or indices."""
    op = find(node.op)
    passthrough = op.quant.passthrough if op is not None else ()
    for position, index in enumerate(node.inputs):
        if index >= 0 and position not in passthrough:
            yield position, index


def _is_real(tensor: Tensor, node: Node, position: int) -> bool:
    op = find(node.op)
    is_bias = op is not None and op.quant.bias == position and tensor.dtype in _BIASES
    return tensor.dtype.is_float or tensor.type.is_quantized or is_bias
