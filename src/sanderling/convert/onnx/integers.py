"""Puts operators between DEQUANTIZE and QUANTIZE on integers, as the file means it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from sanderling.compress.quantizing.integer_operators import why_float
from sanderling.compress.quantizing.scales import fixed_output
from sanderling.compress.quantizing.scheme import Scheme, operands_of, real_results, rule_of
from sanderling.compress.quantizing.stored import Stored, representable, same_quant, step_of
from sanderling.compress.quantizing.write_integer import write_integer
from sanderling.convert.onnx.movements import move_integers
from sanderling.graph.edit import compact, consumers
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import Array, DType, Quant

Integers = Mapping[str, tuple[Array, Quant]]


def on_integers(model: Model, integers: Integers) -> Model:
    """Rewrites a float graph with QUANTIZE and DEQUANTIZE between its operators.

    An operator computes on integers when all it reads comes from integers, all it writes goes to them, and
    LiteRT has a kernel that does it with these scales. All others stay float, with the rounding that the
    file asks for.

    Args:
        model: float, as imported.
        integers: the integers of constants, by the constant's name.
    """
    if not any(node.op == "QUANTIZE" for node in model.main.nodes):
        return model
    symmetric = {
        index
        for index, tensor in enumerate(model.main.tensors)
        if tensor.name in integers and not np.any(integers[tensor.name][1].zero_point)
    }
    model = model.with_main(move_integers(model.main, symmetric))
    graph = model.main
    weights = {
        index: Stored(np.asarray(integers[tensor.name][0]), integers[tensor.name][1], DType.INT8)
        for index, tensor in enumerate(graph.tensors)
        if tensor.name in integers and tensor.is_constant
    }
    survey = _Survey(graph, weights)
    chosen = [position for position, node in enumerate(graph.nodes) if survey.takes(node)]
    if not chosen:
        return model
    # Operators on integers read what was quantized, and write what will be.
    nodes = list(graph.nodes)
    for position in chosen:
        node = nodes[position]
        nodes[position] = replace(node, inputs=tuple(survey.real.get(i, i) for i in node.inputs))
    rewired = replace(graph, nodes=tuple(nodes))
    scheme = Scheme(chosen, {}, weights=weights, quants=survey.quants)
    return compact(model.with_main(write_integer(rewired, scheme)))


class _Survey:
    """What is known of each float tensor: in which scale it is rounded, and what reads it."""

    def __init__(self, graph: Graph, weights: Mapping[int, Stored]) -> None:
        self._graph, self._weights = graph, weights
        self._readers = consumers(graph)
        self.real: dict[int, int] = {}  # rounded numbers → what was rounded
        self.quants: dict[int, Quant] = {}  # what is rounded → its scale
        apart: set[int] = set()
        for node in graph.nodes:
            if node.op != "QUANTIZE" or not graph.tensors[node.inputs[0]].dtype.is_float:
                continue
            source, whole = node.inputs[0], graph.tensors[node.outputs[0]]
            if whole.dtype is not DType.INT8 or whole.quant is None:
                continue
            if source in self.quants and not same_quant(self.quants[source], whole.quant):
                apart.add(source)
            self.quants[source] = whole.quant
            for reader in self._readers.get(node.outputs[0], ()):
                if graph.nodes[reader].op == "DEQUANTIZE":
                    self.real[graph.nodes[reader].outputs[0]] = source
        for node in graph.nodes:  # what was moved as integers counts as rounded
            made = node.outputs[0] if node.op == "DEQUANTIZE" else -1
            stored = graph.tensors[node.inputs[0]] if made >= 0 else None
            if stored is None or made in self.real or stored.dtype is not DType.INT8 or stored.is_constant:
                continue
            if stored.quant is not None:
                self.real[made], self.quants[made] = made, stored.quant
        for source in apart:  # rounded in several scales: none of them is its own
            del self.quants[source]
        self.real = {made: source for made, source in self.real.items() if source in self.quants}

    def takes(self, node: Node) -> bool:
        """Returns: whether an operator can compute on integers just as the file says."""
        if node.op in ("QUANTIZE", "DEQUANTIZE") or not rule_of(node).integer or not node.inputs:
            return False
        if why_float(self._graph, node, slow_too=True):
            return False
        operands, results = operands_of(self._graph, node), real_results(self._graph, node)
        data = [each for each in operands if each.role == "data"]
        if not data or not results or any(each.tensor not in self.real for each in data):
            return False
        if any(each.role == "weights" and not self._exact(each.tensor) for each in operands):
            return False
        if not all(self._written(node, index) for _, index in results):
            return False
        return not rule_of(node).share or all(
            self._holds(self.quants[result], self.quants[self.real[each.tensor]])
            for each in data
            for _, result in results
        )

    def _holds(self, wide: Quant, narrow: Quant) -> bool:
        """Returns: whether a scale can hold whatever another one can: operators that only pass values on
        work in the scale of their result."""
        (low, high), (least, most) = representable(wide), representable(narrow)
        step = step_of(wide)
        return low - step <= least and most <= high + step

    def _exact(self, index: int) -> bool:
        """Returns: whether a constant has integers that LiteRT's kernels take: symmetric ones."""
        stored = self._weights.get(index)
        return stored is not None and not np.any(stored.quant.zero_point)

    def _written(self, node: Node, index: int) -> bool:
        quant = self.quants.get(index)
        readers = [self._graph.nodes[i] for i in self._readers.get(index, ())]
        if quant is None or index in self._graph.outputs or any(r.op != "QUANTIZE" for r in readers):
            return False
        fixed = fixed_output(node, DType.INT8)
        return fixed is None or same_quant(fixed, quant)
