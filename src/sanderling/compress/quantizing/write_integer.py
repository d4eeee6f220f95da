"""Writes a float graph as one that computes on integers: Graph → Graph, by the operators' own rules.

Every operator that is to compute on integers gets its operands as such and gives such results; QUANTIZE and
DEQUANTIZE stand only where integers meet floats, and where two readers need different scales.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.compress.quantizing.scales import Scales, assign_scales
from sanderling.compress.quantizing.scheme import Operand, Scheme, operands_of, real_results, rule_of
from sanderling.compress.quantizing.stored import (
    Stored,
    largest,
    quant_of,
    representable,
    same_quant,
    step_of,
    store_affine,
    store_bias,
    store_symmetric,
)
from sanderling.graph.constant import real
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType, Quant, TensorType

# Results that lie within these limits by their own scale need no comparison: QUANTIZE saturates alike, and
# LiteRT's CPU engine runs it many times faster.
_CLAMPS = {
    "RELU": (0.0, np.inf),
    "RELU6": (0.0, 6.0),
    "RELU_0_TO_1": (0.0, 1.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


def write_integer(graph: Graph, scheme: Scheme) -> Graph:
    """Quantizes a graph.

    Args:
        graph: a verified float graph with plain float32 constants; parts of it may be integer already.
        scheme: which operators, and how.

    Returns: the graph, with its inputs and outputs in the same order and of the same names. Tensors that
        nothing uses any more are left in: see ``edit.compact``.

    Raises:
        RecipeError: a range is missing, or a bias does not fit the scales given.
    """
    return _Writer(graph, scheme, assign_scales(graph, scheme)).run()


class _Writer:
    """Walks the nodes in order and keeps, for every tensor, the forms in which it exists so far."""

    def __init__(self, graph: Graph, scheme: Scheme, scales: Scales) -> None:
        self._graph, self._scheme, self._scales = graph, scheme, scales
        self._chosen = set(scheme.nodes)
        self._tensors: list[Tensor] = list(graph.tensors)
        self._nodes: list[Node] = []
        self._floats: dict[int, int] = {i: i for i, t in enumerate(graph.tensors) if t.is_constant}
        self._integers: dict[int, list[tuple[Quant, int]]] = {}
        self._constants: dict[tuple[object, ...], int] = {}

    def run(self) -> Graph:
        for index in dict.fromkeys(self._graph.inputs):
            if self._scheme.integer_ports and index in self._scales.home:
                self._tensors[index] = self._as_integer(index, self._scales.home[index])
                self._integers[index] = [(self._scales.home[index], index)]
            else:
                self._floats[index] = index
        for position, node in enumerate(self._graph.nodes):
            if position in self._chosen:
                self._integer_node(position, node)
            else:
                self._float_node(node)
        return replace(self._graph, tensors=tuple(self._tensors), nodes=tuple(self._nodes))

    def _float_node(self, node: Node) -> None:
        rule = rule_of(node)
        inputs = tuple(
            i if i < 0 else self._any(i) if p in rule.passthrough else self._float(i)
            for p, i in enumerate(node.inputs)
        )
        outputs = []
        for index in node.outputs:
            if index in self._graph.outputs and self._scheme.integer_ports and index in self._scales.home:
                self._floats[index] = self._add(self._graph.tensors[index], "_float")
            else:
                self._floats[index] = index
            outputs.append(self._floats[index])
        self._nodes.append(replace(node, inputs=inputs, outputs=tuple(outputs)))
        for index, made in zip(node.outputs, outputs, strict=True):
            if made != index:
                self._tensors[index] = self._as_integer(index, self._scales.home[index])
                self._convert("QUANTIZE", made, index)
                self._integers[index] = [(self._scales.home[index], index)]

    def _integer_node(self, position: int, node: Node) -> None:
        inputs = self._inputs(position, node)
        outputs, later = list(node.outputs), []
        for place, index in real_results(self._graph, node):
            home = self._scales.home[index]
            outputs[place] = self._integer_result(index, home)
            own = self._scales.writes.get((position, place))
            if own is not None:
                later.append((index, outputs[place]))
                outputs[place] = self._add(self._as_integer(index, own), "_own")
        for index in set(node.outputs) - {i for _, i in real_results(self._graph, node)}:
            self._floats[index] = index
        self._nodes.append(self._in_integers(node, tuple(inputs), tuple(outputs)))
        for index, made in later:
            self._convert("QUANTIZE", outputs[node.outputs.index(index)], made)
        for _, index in real_results(self._graph, node):
            if self._shown_as_float(index):
                self._convert("DEQUANTIZE", self._integers[index][0][1], index)
                self._floats[index] = index

    def _integer_result(self, index: int, quant: Quant) -> int:
        """Returns: the tensor that an operator writes. A float output of the graph is written from it."""
        if self._shown_as_float(index):
            made = self._add(self._as_integer(index, quant), self._suffix)
        else:
            made = index
            self._tensors[index] = self._as_integer(index, quant)
        self._integers[index] = [(quant, made)]
        return made

    def _in_integers(self, node: Node, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Node:
        written = replace(node, inputs=inputs, outputs=outputs)
        if node.op in _CLAMPS and self._saturates(node, self._tensors[outputs[0]]):
            return Node("QUANTIZE", inputs, outputs, options="QuantizeOptions")
        if node.op == "NEG":
            return self._negated(node, inputs, outputs)
        return written

    def _negated(self, node: Node, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> Node:
        values = np.full((1,) * len(self._tensors[inputs[0]].shape), -1.0, np.float32)
        largest_stored = 32767 if self._wide else 127
        minus_one = store_affine(values, Quant.of(1 / largest_stored), self._scheme.activations)
        name = f"{self._tensors[outputs[0]].name.split(';')[0]}_minus_one"
        operands = (*inputs, self._add(minus_one.tensor(name)))
        attrs = {"fused_activation_function": "NONE"}
        return Node("MUL", operands, outputs, attrs, "MulOptions")

    def _saturates(self, node: Node, result: Tensor) -> bool:
        """Returns: whether a result's scale ends where the operator would cut, so that rounding does it."""
        if self._wide or result.quant is None:
            return False
        low, high = representable(result.quant, result.dtype)
        least, most = _CLAMPS[node.op]
        slack = 0.51 * step_of(result.quant)
        return low >= least - slack and high <= most + slack

    def _inputs(self, position: int, node: Node) -> list[int]:
        inputs = list(node.inputs)
        operands = operands_of(self._graph, node)
        data, weights = None, None
        for operand in sorted(operands, key=lambda o: o.role == "bias"):
            if operand.role == "as_is":
                inputs[operand.position] = self._any(operand.tensor)
                continue
            if operand.role == "data":
                quant = self._scales.reads.get(
                    (position, operand.position), self._scales.home[operand.tensor]
                )
                inputs[operand.position] = self._integer(operand.tensor, quant)
                data = data or quant
                continue
            stored = self._constant(position, node, operand, data, weights)
            if operand.role == "weights":
                weights = stored.quant
            inputs[operand.position] = self._stored(operand.tensor, stored)
        return inputs

    def _constant(
        self, position: int, node: Node, operand: Operand, data: Quant | None, weights: Quant | None
    ) -> Stored:
        """Returns: a constant operand as the operator wants it."""
        tensor, rule = self._graph.tensors[operand.tensor], rule_of(node)
        if operand.role == "weights":
            if operand.tensor in self._scheme.weights:
                return self._scheme.weights[operand.tensor]
            if not rule.share:
                axis = rule.weights[operand.position]
                return store_symmetric(real(tensor), largest(real(tensor), axis), axis)
        values, dtype = real(tensor), self._scheme.activations
        if operand.role == "bias" and data is not None and weights is not None:
            wide = DType.INT64 if self._wide else DType.INT32
            return store_bias(values, data, weights, wide, self._graph.tensors[node.outputs[0]].name)
        if rule.share:
            return store_affine(values, self._own_quant(position, node), dtype)
        low, high = (float(f(np.nan_to_num(values))) if values.size else 0.0 for f in (np.min, np.max))
        return store_affine(values, quant_of((low, high), dtype), dtype)

    def _own_quant(self, position: int, node: Node) -> Quant:
        """Returns: the one scale of an operator whose operands and results share it."""
        place, index = real_results(self._graph, node)[0]
        return self._scales.writes.get((position, place), self._scales.home[index])

    def _stored(self, index: int, stored: Stored) -> int:
        key = (index, stored.dtype, stored.quant.scale.tobytes(), stored.quant.zero_point.tobytes())
        if key not in self._constants:
            self._constants[key] = self._add(stored.tensor(self._graph.tensors[index].name))
        return self._constants[key]

    @property
    def _wide(self) -> bool:
        return self._scheme.activations is DType.INT16

    @property
    def _suffix(self) -> str:
        return f"_{self._scheme.activations.value}"

    def _shown_as_float(self, index: int) -> bool:
        return index in self._graph.outputs and not self._scheme.integer_ports

    def _any(self, index: int) -> int:
        """Returns: a tensor in whatever form it exists."""
        if index in self._floats:
            return self._floats[index]
        return self._integers[index][0][1] if index in self._integers else index

    def _float(self, index: int) -> int:
        """Returns: a tensor in float, converted once however many read it."""
        if index not in self._floats and index in self._integers:
            self._floats[index] = self._add(self._graph.tensors[index], "_float")
            self._convert("DEQUANTIZE", self._integers[index][0][1], self._floats[index])
        return self._floats.get(index, index)

    def _integer(self, index: int, quant: Quant) -> int:
        """Returns: a tensor in integers of one scale, converted once for each scale that is asked for."""
        forms = self._integers.setdefault(index, [])
        for known, made in forms:
            if same_quant(known, quant):
                return made
        source = forms[0][1] if forms else self._floats[index]
        made = self._add(self._as_integer(index, quant), self._suffix)
        self._convert("QUANTIZE", source, made)
        forms.append((quant, made))
        return made

    def _as_integer(self, index: int, quant: Quant) -> Tensor:
        tensor = self._graph.tensors[index]
        return replace(tensor, type=TensorType(tensor.shape, self._scheme.activations, quant))

    def _add(self, tensor: Tensor, suffix: str = "") -> int:
        # Converters join the names of all that they fused with ";": the first says which tensor it is.
        name = f"{tensor.name.split(';')[0]}{suffix}" if suffix else tensor.name
        self._tensors.append(replace(tensor, name=name))
        return len(self._tensors) - 1

    def _convert(self, op: str, source: int, result: int) -> None:
        options = "QuantizeOptions" if op == "QUANTIZE" else "DequantizeOptions"
        self._nodes.append(Node(op, (source,), (result,), options=options))
