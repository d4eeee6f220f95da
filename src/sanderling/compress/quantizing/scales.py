"""Gives every tensor of an integer graph its scale: those that operators make share one are united.

Operators that only move or compare integers need one scale for their operands and results, some results have
a scale that the operator dictates, and a caller may give scales of its own. Where such demands conflict, the
tensor keeps its scale and the operator reads (or writes) another one through a QUANTIZE.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sanderling.compress.quantizing.histogram import Range
from sanderling.compress.quantizing.scheme import Operand, Scheme, operands_of, real_results, rule_of
from sanderling.compress.quantizing.stored import quant_of, representable, same_quant, step_of
from sanderling.errors import RecipeError
from sanderling.graph.constant import real
from sanderling.graph.edit import consumers
from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import DType, Quant

# A tensor with other readers gets a scale of its own rather than one that is coarser by more than this.
_COARSER = 2.0
_SLACK_STEPS = 1.01  # a softmax that reaches 1.0 in a scale whose end is 255/256

# Fixed scales of int16: TFLite's 16x8 specification has symmetric ones only.
_FIXED_INT16 = Quant.of(1 / 32768)


@dataclass(slots=True)
class Scales:
    """The result.

    Attributes:
        home: each integer tensor's own quantization, by tensor index.
        reads: what an operator reads where that is not the tensor's own: by (node, operand position).
        writes: what an operator writes where that is not the tensor's own: by (node, result position).
    """

    home: dict[int, Quant] = field(default_factory=dict)
    reads: dict[tuple[int, int], Quant] = field(default_factory=dict)
    writes: dict[tuple[int, int], Quant] = field(default_factory=dict)


def assign_scales(graph: Graph, scheme: Scheme) -> Scales:
    """Chooses the quantization of every tensor that an integer operator reads or writes.

    Args:
        graph: the float graph.
        scheme: which nodes, and the ranges.

    Raises:
        RecipeError: a tensor has no range, and nothing it shares a scale with has one.
    """
    return _Assignment(graph, scheme).run()


def fixed_output(node: Node, dtype: DType) -> Quant | None:
    """Returns: the quantization that an operator dictates for its results."""
    fixed = rule_of(node).fixed_output
    if fixed is None:
        return None
    return _FIXED_INT16 if dtype is DType.INT16 else Quant.of(*fixed)


@dataclass(slots=True)
class _Class:
    """Tensors and operators with one scale. ``fixed``: exactly this one; ``low`` > ``high``: no range yet."""

    low: float = np.inf
    high: float = -np.inf
    fixed: Quant | None = None

    @property
    def width(self) -> float:
        if self.fixed is not None:
            return 255 * step_of(self.fixed)
        return max(self.high, 0.0) - min(self.low, 0.0) if self.low <= self.high else 0.0


Key = tuple[str, int]  # ("tensor", its index) or ("node", its position)


class _Assignment:
    def __init__(self, graph: Graph, scheme: Scheme) -> None:
        self._graph, self._scheme = graph, scheme
        self._parent: dict[Key, Key] = {}
        self._classes: dict[Key, _Class] = {}
        self._readers = consumers(graph)
        self._order = sorted(set(scheme.nodes))
        self._operands = {p: operands_of(graph, graph.nodes[p]) for p in self._order}

    def run(self) -> Scales:
        for position in self._order:
            self._tensors(position)
        scales = Scales()
        sharing = [p for p in self._order if rule_of(self._graph.nodes[p]).share]
        # Those with one operand first: what they pass on has the range of what they read.
        sharing.sort(key=lambda p: sum(o.role == "data" for o in self._operands[p]))
        apart = [edge for p in sharing for edge in self._share(p)]
        for key in list(self._parent):
            if key[0] == "tensor":
                scales.home[key[1]] = self._quant(key)
        for kind, position, place, tensor in apart:
            wanted = self._quant(("node", position))
            if not same_quant(wanted, scales.home[tensor]):
                (scales.reads if kind == "read" else scales.writes)[position, place] = wanted
        self._ports(scales)
        return scales

    def _tensors(self, position: int) -> None:
        """Gives every tensor around an operator a class of its own."""
        node = self._graph.nodes[position]
        indices = [o.tensor for o in self._operands[position] if o.role == "data"]
        for index in indices:
            self._tensor(index, None)
        for _, index in real_results(self._graph, node):
            self._tensor(index, fixed_output(node, self._scheme.activations))

    def _tensor(self, index: int, fixed: Quant | None) -> None:
        key: Key = ("tensor", index)
        given = self._scheme.quants.get(index, fixed)
        if key not in self._parent:
            self._parent[key] = key
            low, high = self._scheme.ranges.get(index, (np.inf, -np.inf))
            self._classes[key] = _Class(low, high, given)
        elif given is not None:
            self._classes[key].fixed = given

    def _share(self, position: int) -> list[tuple[str, int, int, int]]:
        """Unites an operator with what it writes and reads.

        Returns: (``read`` or ``write``, node, place, tensor) of what has to keep a scale of its own.
        """
        node = self._graph.nodes[position]
        key: Key = ("node", position)
        self._parent[key] = key
        self._classes[key] = _Class(*self._constants(position))
        apart = []
        for place, index in real_results(self._graph, node):
            if not self._unite(key, ("tensor", index), shared=False):
                apart.append(("write", position, place, index))
        for operand in self._operands[position]:
            if operand.role != "data":
                continue
            elsewhere = len(self._readers[operand.tensor]) > 1 or operand.tensor in self._graph.outputs
            if not self._unite(key, ("tensor", operand.tensor), shared=elsewhere):
                apart.append(("read", position, operand.position, operand.tensor))
        return apart

    def _constants(self, position: int) -> Range:
        """Returns: the range of an operator's constants where these are all that it reads (a table)."""
        operands: list[Operand] = self._operands[position]
        if any(o.role == "data" for o in operands):
            return np.inf, -np.inf
        values = [real(self._graph.tensors[o.tensor]) for o in operands if o.role in ("constant", "weights")]
        finite = [v[np.isfinite(v)] for v in values]
        low = min((float(v.min()) for v in finite if v.size), default=np.inf)
        high = max((float(v.max()) for v in finite if v.size), default=-np.inf)
        return low, high

    def _root(self, key: Key) -> Key:
        while self._parent[key] != key:
            self._parent[key] = self._parent[self._parent[key]]
            key = self._parent[key]
        return key

    def _unite(self, a: Key, b: Key, *, shared: bool) -> bool:
        """Makes two classes one unless their demands conflict.

        Args:
            shared: the tensor ``b`` has other readers, for whom a much coarser scale would be a loss.
        """
        a, b = self._root(a), self._root(b)
        if a == b:
            return True
        one, other = self._classes[a], self._classes[b]
        if one.fixed is not None and other.fixed is not None:
            if not same_quant(one.fixed, other.fixed):
                return False
        elif not (self._fits(one, other) and self._fits(other, one)):
            return False
        together = _Class(min(one.low, other.low), max(one.high, other.high), one.fixed or other.fixed)
        if shared and 0 < other.width * _COARSER < together.width:
            return False
        self._parent[b] = a
        self._classes[a] = together
        return True

    def _fits(self, fixed: _Class, other: _Class) -> bool:
        """Returns: whether a class's values can be held in the other's given scale (if it has one)."""
        if fixed.fixed is None or other.low > other.high:
            return True
        low, high = representable(fixed.fixed, self._scheme.activations)
        slack = _SLACK_STEPS * step_of(fixed.fixed)
        return low - slack <= other.low and other.high <= high + slack

    def _quant(self, key: Key) -> Quant:
        found = self._classes[self._root(key)]
        if found.fixed is not None:
            return found.fixed
        if found.low > found.high:
            tensor = self._graph.tensors[key[1]].name if key[0] == "tensor" else ""
            raise RecipeError(
                f"there is no range for tensor '{tensor}'",
                where="quantization",
                hint="give samples that lead to it being computed, or keep its operators float",
            )
        return quant_of((found.low, found.high), self._scheme.activations)

    def _ports(self, scales: Scales) -> None:
        """Gives inputs and outputs that only float operators touch a scale, where they become integers."""
        if not self._scheme.integer_ports:
            return
        for index in (*self._graph.inputs, *self._graph.outputs):
            tensor = self._graph.tensors[index]
            if index in scales.home or tensor.dtype is not DType.FLOAT32 or tensor.is_constant:
                continue
            if index in self._scheme.quants:
                scales.home[index] = self._scheme.quants[index]
            elif index in self._scheme.ranges:
                scales.home[index] = quant_of(self._scheme.ranges[index], self._scheme.activations)
