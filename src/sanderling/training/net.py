"""Any float graph as a PyTorch network whose weights can be trained and written back.

Values keep TFLite's layouts. An operator without a PyTorch form is computed by its reference: what comes
before it gets no gradients through it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from sanderling.errors import InvalidGraph, RecipeError, UnsupportedOperator
from sanderling.graph.constant import decode
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops.registry import find_for
from sanderling.passes._known_shapes import known_shapes

# Operands that are learned besides an operator's weights and bias: scales and shifts of normalisations.
_SCALES = frozenset({"ADD", "SUB", "MUL", "DIV"})
# Kernels and biases of operators that nobody quantizes, so that no rule names them.
_VOLUMES = {"CONV_3D": {1, 2}, "CONV_3D_TRANSPOSE": {1, 3}}
# Tables of many rows of which a sample reads a few: what the others should become, nothing tells.
_SAME = 1e-3  # of the largest answer
_TABLES = frozenset({"GATHER", "EMBEDDING_LOOKUP"})


class Hooks(Protocol):
    """What may come between the operators: see ``Net.run``."""

    def operand(self, position: int, place: int, index: int, value: Any) -> Any:
        """Returns: what node ``position`` reads as operand ``place`` instead of tensor ``index``."""

    def result(self, position: int, place: int, index: int, value: Any) -> Any:
        """Returns: what stands for tensor ``index`` from here on."""


class Net:
    """A float graph in PyTorch.

    Args:
        torch: the module.
        graph: a verified float graph with plain constants.
        frozen: tensors whose constants are not to be learned.

    Raises:
        UnsupportedOperator: an operator can be computed in no way here.
    """

    def __init__(self, torch: Any, graph: Graph, frozen: Collection[int] = ()) -> None:
        self.torch, self.graph = torch, graph
        self._check()
        learned = set(weights_of(graph)) - set(frozen)
        self.weights: dict[int, Any] = {}
        self._constants: dict[int, Any] = {}
        for index, tensor in enumerate(graph.tensors):
            if tensor.is_constant and tensor.dtype not in (DType.STRING, DType.RESOURCE, DType.VARIANT):
                value = torch.from_numpy(np.array(decode(tensor)))
                if index in learned:
                    self.weights[index] = torch.nn.Parameter(value)
                else:
                    self._constants[index] = value
            elif tensor.is_variable:
                self._constants[index] = torch.from_numpy(np.zeros(tensor.shape, tensor.dtype.numpy))
        self._types = _types_of(graph)
        self._batches: bool | None = None
        self._uses = Counter(i for node in graph.nodes for i in node.inputs)

    def _check(self) -> None:
        for node in self.graph.nodes:
            op = find_for(node)
            if op is None or (op.torch is None and op.reference is None):
                raise UnsupportedOperator(
                    f"{node.kind} cannot be trained through: it has no form in PyTorch",
                    where=self.graph.results(node)[0].name if node.outputs else "",
                    hint="use a technique that needs no training",
                )

    @property
    def frozen_operators(self) -> list[Node]:
        """Nodes that pass no gradients on because they have no form in PyTorch."""
        return [node for node in self.graph.nodes if (op := find_for(node)) is not None and op.torch is None]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample of the declared shape."""
        total = 0
        for node in self.graph.nodes:
            op = find_for(node)
            if op is not None:
                total += op.cost(node, self.graph.operands(node), self.graph.results(node)).macs
        return total

    def run(
        self, feeds: Sequence[Any], *, wanted: Collection[int] | None = None, hooks: Hooks | None = None
    ) -> dict[int, Any]:
        """Computes.

        Args:
            feeds: one torch tensor per input, of the declared shape or with a longer first axis.
            wanted: tensors whose values are asked for; None for the graph's outputs.
            hooks: change what operators read and give.

        Returns: the values by tensor index.
        """
        graph = self.graph
        wanted = set(graph.outputs if wanted is None else wanted)
        values: dict[int, Any] = {**self._constants, **self.weights}
        values |= dict(zip(graph.inputs, feeds, strict=True))
        left = self._uses.copy()
        for position, node in enumerate(graph.nodes):
            operands = [None if i < 0 else values[i] for i in node.inputs]
            if hooks is not None:
                operands = [
                    value if value is None else hooks.operand(position, place, node.inputs[place], value)
                    for place, value in enumerate(operands)
                ]
            for place, (index, value) in enumerate(
                zip(node.outputs, self._compute(node, operands), strict=True)
            ):
                values[index] = value if hooks is None else hooks.result(position, place, index, value)
            for index in node.inputs:
                left[index] -= 1
                if index >= 0 and not left[index] and index not in wanted:
                    values.pop(index, None)
        return {index: values[index] for index in wanted}

    def answer(
        self, feeds: Sequence[Any], *, wanted: Collection[int] | None = None, hooks: Hooks | None = None
    ) -> dict[int, Any]:
        """Computes any number of samples: all at once where that gives the same, else one by one.

        Args: as for ``run``.
        """
        declared = self.graph.tensors[self.graph.inputs[0]].shape
        size = declared[0] if declared else 1
        count = len(feeds[0]) // max(size, 1)
        if count == 1 or self._together(feeds, size):
            return self.run(feeds, wanted=wanted, hooks=hooks)
        parts = [
            self.run([f[k * size : (k + 1) * size] for f in feeds], wanted=wanted, hooks=hooks)
            for k in range(count)
        ]
        return {index: self.torch.cat([part[index] for part in parts]) for index in parts[0]}

    def _together(self, feeds: Sequence[Any], size: int) -> bool:
        """Returns: whether two samples at once give what they give one after the other: found out once."""
        if self._batches is None:
            with self.torch.no_grad():
                pair = [f[: 2 * size] for f in feeds]
                alone = [self.run([f[:size] for f in pair]), self.run([f[size:] for f in pair])]
                try:
                    both = self.run(pair)
                except (RuntimeError, ValueError, IndexError, InvalidGraph, UnsupportedOperator):
                    self._batches = False
                else:
                    self._batches = all(
                        self._same(
                            both[i], self.torch.cat([a[i].reshape(size, *a[i].shape[1:]) for a in alone])
                        )
                        if alone[0][i].dim() and alone[0][i].shape[0] == size
                        else False
                        for i in both
                    )
        return self._batches

    def _same(self, one: Any, other: Any) -> bool:
        if one.shape != other.shape:
            return False
        limit = _SAME * float(other.abs().max()) if other.is_floating_point() else 0
        return bool((one - other).abs().max() <= limit) if one.numel() else True

    def _compute(self, node: Node, operands: list[Any]) -> list[Any]:
        op = find_for(node)
        assert op is not None
        if op.torch is not None:
            types = [None if i < 0 else self._types[i] for i in node.inputs]
            out = [self._types[i] for i in node.outputs]
            return op.torch(self.torch, node, operands, types, out)
        return self._by_reference(node, operands)

    def _by_reference(self, node: Node, operands: list[Any]) -> list[Any]:
        op = find_for(node)
        assert op is not None
        assert op.reference is not None
        arrays = [None if v is None else np.array(v.detach().numpy()) for v in operands]
        types = [None if a is None else TensorType(a.shape, DType(str(a.dtype))) for a in arrays]
        given = [
            None if a is None or t is None else Tensor("", t, a) for a, t in zip(arrays, types, strict=True)
        ]
        out = op.infer(node, given, self.graph.results(node))
        return [self.torch.from_numpy(np.array(r)) for r in op.reference(node, arrays, types, out)]

    def arrays(self) -> dict[int, Array]:
        """Returns: the learned constants as they are now, by tensor index."""
        return {index: value.detach().numpy().copy() for index, value in self.weights.items()}

    def written(self, arrays: Mapping[int, Array] | None = None) -> Graph:
        """Returns: the graph with the learned constants in place.

        Args:
            arrays: instead of the present ones: as ``arrays`` gave them.
        """
        tensors = list(self.graph.tensors)
        for index, array in (self.arrays() if arrays is None else arrays).items():
            tensors[index] = replace(tensors[index], data=np.ascontiguousarray(array, np.float32))
        return replace(self.graph, tensors=tuple(tensors))


def _types_of(graph: Graph) -> list[TensorType]:
    """Returns: the types of all values for inputs of the declared sizes. What a file declares for the others
    is an example where callers may change the sizes of inputs."""
    fixed = replace(graph, tensors=tuple(replace(tensor, shape_signature=()) for tensor in graph.tensors))
    shapes = known_shapes(fixed)
    return [replace(tensor.type, shape=shapes.get(i, tensor.shape)) for i, tensor in enumerate(graph.tensors)]


def weights_of(graph: Graph) -> list[int]:
    """Returns: the constants of a graph that can be learned: weights, biases, scales and shifts."""
    found: dict[int, None] = {}
    for node in graph.nodes:
        op = find_for(node)
        if op is None or op.torch is None or node.op in _TABLES:
            continue
        places = {*op.quant.weights, *([] if op.quant.bias is None else [op.quant.bias])}
        if node.op in _SCALES:
            places |= {0, 1}
        places |= _VOLUMES.get(node.op, set())
        if op.states(node):  # besides weights a cell has a bias, a peephole and a scale for every gate
            places |= set(range(len(node.inputs)))
        for place, index in enumerate(node.inputs):
            tensor = graph.tensors[index] if index >= 0 else None
            if place in places and tensor is not None and _is_learned(tensor):
                found[index] = None
    return list(found)


def _is_learned(tensor: Tensor) -> bool:
    return tensor.is_constant and tensor.dtype is DType.FLOAT32 and tensor.type.size > 1


def require_gradients(net: Net, values: Mapping[int, Any]) -> None:
    """Makes sure that there is something to learn.

    Raises:
        RecipeError: no weights reach the answers, with the operator that is in the way.
    """
    if any(value.requires_grad for value in values.values()):
        return
    blocking = sorted({node.kind for node in net.frozen_operators})
    why = f": {', '.join(blocking)} pass no gradients on" if blocking else ""
    raise RecipeError(
        f"there is nothing to train in this model{why}", hint="use a technique that needs no training"
    )
