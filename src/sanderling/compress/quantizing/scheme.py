"""What the writer of quantized graphs is told: which operators, in which ranges, with which weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sanderling.compress.quantizing.histogram import Range
from sanderling.compress.quantizing.stored import Stored
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType, Quant
from sanderling.ops.op import QuantRule
from sanderling.ops.registry import find


@dataclass(frozen=True, slots=True)
class Scheme:
    """How to quantize one graph.

    Attributes:
        nodes: positions of the nodes that compute on integers; all others stay float.
        ranges: of activations, by tensor index. A tensor without one takes that of those it shares its
            scale with, or its operator's fixed scale.
        weights: exact integers and scales of constants, by tensor index, wherever the constant is read as
            weights. Others are rounded here: symmetric, per channel where the operator's rule says so.
        quants: exact scales and zero points of activations, by tensor index; they win over ranges.
        activations: INT8 or INT16.
        integer_ports: float inputs and outputs of the graph become integers too.
    """

    nodes: Collection[int]
    ranges: Mapping[int, Range]
    weights: Mapping[int, Stored] = field(default_factory=dict)
    quants: Mapping[int, Quant] = field(default_factory=dict)
    activations: DType = DType.INT8
    integer_ports: bool = False


@dataclass(frozen=True, slots=True)
class Operand:
    """One input of an integer operator: its position, its tensor, and what becomes of it.

    ``role``: ``data`` (a value computed at run time), ``constant``, ``weights``, ``bias`` or ``as_is``.
    """

    position: int
    tensor: int
    role: str


# LiteRT's int8 NEG turns −128 into itself; as a product with −1 (see ``write_integer``) it is exact.
_AS_PRODUCT = QuantRule()


def rule_of(node: Node) -> QuantRule:
    """Returns: how an operator quantizes; that of an operator that stays float for one without a file."""
    if node.op == "NEG":
        return _AS_PRODUCT
    op = find(node.op)
    return op.quant if op is not None else QuantRule(integer=False, reason="it is not known here")


def is_real(tensor: Tensor) -> bool:
    """Returns: whether a tensor holds numbers that can be quantized."""
    return tensor.dtype is DType.FLOAT32


def operands_of(graph: Graph, node: Node) -> list[Operand]:
    """Returns: what an integer operator reads, without absent operands."""
    rule = rule_of(node)
    found = []
    for position, index in enumerate(node.inputs):
        if index < 0:
            continue
        tensor = graph.tensors[index]
        if position in rule.passthrough or not is_real(tensor):
            role = "as_is"
        elif not tensor.is_constant:
            role = "data"
        elif position == rule.bias:
            role = "bias"
        else:
            role = "weights" if position in rule.weights else "constant"
        found.append(Operand(position, index, role))
    return found


def real_results(graph: Graph, node: Node) -> list[tuple[int, int]]:
    """Returns: (position, tensor) of the results that hold real numbers."""
    return [(k, i) for k, i in enumerate(node.outputs) if i >= 0 and is_real(graph.tensors[i])]
