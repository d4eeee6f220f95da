"""Where int8 adds noise to a float graph, and which operators would have to stay float to avoid it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from sanderling.compress.eligible import WEIGHTS, operator_name
from sanderling.compress.quantizing.fake_quantize import round_weights
from sanderling.compress.quantizing.histogram import Range
from sanderling.compress.quantizing.ranges import Histograms
from sanderling.compress.quantizing.stored import quant_of
from sanderling.compress.quantizing.weights import AXIS, Bounds
from sanderling.graph.constant import real
from sanderling.graph.edit import consumers, producers
from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import DType, Quant
from sanderling.ops.registry import find


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator that can be quantized.

    Attributes:
        name: of its first output tensor.
        kind: TFLite's name.
        weights: index of its constant weights, −1 for none that are rounded.
        cost_share: its share of the model's arithmetic, 0 to 1.
        expected: relative squared error of its weights: a first guess at the damage.
        damage: what rounding its weights does to the outputs; 0 before it was measured.
        measured: whether it was.
    """

    name: str
    kind: str
    weights: int
    cost_share: float
    expected: float
    damage: float = 0.0
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """A tensor that int8 rounds, together with those that only pass its values on (RESHAPE, PAD …).

    Attributes:
        name: the tensor's.
        tensor: its index.
        producer: name of the operator that computes it, "" for an input of the graph.
        operators: names of all operators around it that can be quantized. The values stay unrounded
            only when all of them are float.
        elements: how many values it has.
        scale, zero_point: how it is rounded.
        expected: relative squared rounding error of its values: a first guess at the damage.
        damage, measured: as for ``Operator``.
    """

    name: str
    tensor: int
    producer: str
    operators: tuple[str, ...]
    elements: int
    scale: float
    zero_point: int
    expected: float
    damage: float = 0.0
    measured: bool = False

    @property
    def quant(self) -> Quant:
        return Quant.of(self.scale, self.zero_point)


def survey(
    graph: Graph,
    chosen: Collection[int],
    ranges: Mapping[int, Range],
    observed: Histograms,
    bounds: Mapping[int, Bounds],
) -> tuple[list[Operator], list[Site]]:
    """Finds what quantizing a graph would round.

    Args:
        graph: the folded float graph.
        chosen: positions of the nodes that can be quantized.
        ranges: of activations, by tensor index.
        observed: the histograms behind them.
        bounds: ranges of weights per channel, by tensor index.

    Returns: operators in execution order, and sites in the order of their tensors' computation.
    """
    shares = cost_shares(graph)
    operators = [_operator(graph, graph.nodes[p], shares[p], bounds) for p in sorted(chosen)]
    return operators, _sites(graph, set(chosen), ranges, observed)


def cost_shares(graph: Graph) -> list[float]:
    """Returns: each node's share of the graph's multiply-accumulates and other arithmetic."""
    costs = []
    for node in graph.nodes:
        op = find(node.op)
        results = graph.results(node)
        if op is None:
            costs.append(float(sum(t.type.size for t in results)))
        else:
            cost = op.cost(node, graph.operands(node), results)
            costs.append(float(cost.macs + cost.ops))
    total = sum(costs) or 1.0
    return [cost / total for cost in costs]


def passes_on(graph: Graph, node: Node) -> bool:
    """Returns: whether a node only moves the values of its one float operand, keeping their scale."""
    op = find(node.op)
    floats = [i for i in node.inputs if i >= 0 and _runs(graph, i)]
    return op is not None and op.quant.share and len(floats) == 1


def _operator(graph: Graph, node: Node, share: float, bounds: Mapping[int, Bounds]) -> Operator:
    index = node.inputs[WEIGHTS[node.op]] if node.op in AXIS else -1
    if index not in bounds:
        return Operator(operator_name(graph, node), node.op, -1, share, 0.0)
    values = real(graph.tensors[index])
    error = values - round_weights(values, bounds[index], AXIS[node.op], 8)
    power = float(np.square(values, dtype=np.float64).sum())
    expected = float(np.square(error, dtype=np.float64).sum()) / power if power > 0 else 0.0
    return Operator(operator_name(graph, node), node.op, index, share, expected)


def _sites(graph: Graph, chosen: set[int], ranges: Mapping[int, Range], observed: Histograms) -> list[Site]:
    made, read = producers(graph), consumers(graph)
    root = _roots(graph, chosen)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in (i for i in (*graph.inputs, *sorted(made, key=made.__getitem__)) if i in ranges):
        groups[root.get(index, index)].append(index)
    sites = []
    for first, members in groups.items():
        around = [p for i in members for p in (made.get(i, -1), *read.get(i, ())) if p in chosen]
        if not around or first not in ranges:
            continue
        producer = graph.nodes[made[first]] if first in made else None
        quant = _quant(producer, ranges[first])
        sites.append(
            Site(
                name=graph.tensors[first].name,
                tensor=first,
                producer=operator_name(graph, producer) if producer else "",
                operators=tuple(dict.fromkeys(operator_name(graph, graph.nodes[p]) for p in sorted(around))),
                elements=graph.tensors[first].type.size,
                scale=float(quant.scale[0]),
                zero_point=int(quant.zero_point[0]),
                expected=observed[first].noise(ranges[first]) if first in observed else 0.0,
            )
        )
    return sites


def _roots(graph: Graph, chosen: set[int]) -> dict[int, int]:
    """Returns: result → the tensor whose values it passes on, through chains of such operators."""
    root: dict[int, int] = {}
    for position, node in enumerate(graph.nodes):
        if position in chosen and passes_on(graph, node):
            data = next(i for i in node.inputs if i >= 0 and _runs(graph, i))
            for out in node.outputs:
                root[out] = root.get(data, data)
    return root


def _quant(producer: Node | None, chosen: Range) -> Quant:
    op = find(producer.op) if producer else None
    if op is not None and op.quant.fixed_output is not None:
        return Quant.of(*op.quant.fixed_output)
    return quant_of(chosen)


def _runs(graph: Graph, index: int) -> bool:
    tensor = graph.tensors[index]
    return tensor.dtype is DType.FLOAT32 and not tensor.is_constant
