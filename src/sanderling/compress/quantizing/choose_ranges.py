"""Chooses the ranges of a graph's activations, by what their readers can tell apart.

Steps of int8 that lie where a reader saturates would be wasted; values that go to the user must not be cut.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from sanderling.compress.quantizing.histogram import Histogram, Range
from sanderling.compress.quantizing.ranges import Histograms, choose
from sanderling.graph.edit import consumers, producers
from sanderling.graph.graph import Graph
from sanderling.ops.registry import find

# Beyond these inputs the result is constant, exactly or (LOGISTIC, TANH) to less than half an int8 step.
SATURATES: Mapping[str, Range] = {
    "RELU": (0.0, math.inf),
    "RELU6": (0.0, 6.0),
    "RELU_0_TO_1": (0.0, 1.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "HARD_SWISH": (-3.0, math.inf),
    "LOGISTIC": (-6.5, 6.5),
    "TANH": (-3.5, 3.5),
}

CALIBRATIONS = ("minmax", "percentile", "mse", "entropy", "octav")
Choose = Callable[[Graph, Histograms], dict[int, Range]]


def chooser(calibration: str, percent: float) -> Choose:
    """Returns: a function that chooses every tensor's range from its histogram.

    Args:
        calibration: one of ``CALIBRATIONS``; ``octav`` is about weights, activations take ``minmax``.
        percent: for ``percentile``: the share of values to keep. What the user gets to see is not cut, by
            ``entropy`` neither.
    """
    method = "minmax" if calibration == "octav" else calibration

    def choose_all(graph: Graph, observed: Histograms) -> dict[int, Range]:
        whole = shown(graph) if method in ("percentile", "entropy") else set()
        return {
            index: choose(histogram, "minmax" if index in whole else method, percent)
            for index, histogram in visible(graph, observed).items()
        }

    return choose_all


def shown(graph: Graph) -> set[int]:
    """Returns: the outputs, and all tensors whose values reach one unchanged (RESHAPE, CONCATENATION)."""
    made = producers(graph)
    found: set[int] = set()
    waiting = list(graph.outputs)
    while waiting:
        index = waiting.pop()
        if index < 0 or index in found:
            continue
        found.add(index)
        node = graph.nodes[made[index]] if index in made else None
        op = find(node.op) if node else None
        if node and op and (op.quant.share or node.op == "CONCATENATION"):
            waiting.extend(node.inputs)
    return found


def visible(graph: Graph, observed: Histograms) -> Histograms:
    """Returns: the histograms without the values that none of a tensor's readers can tell from their limit.

    Args:
        graph: the folded graph.
        observed: by tensor index.
    """
    read = consumers(graph)
    outputs = set(graph.outputs)
    narrowed: dict[int, Histogram] = {}
    for index, histogram in observed.items():
        limits = [SATURATES.get(graph.nodes[p].op) for p in read.get(index, ())]
        known = [limit for limit in limits if limit is not None]
        if index in outputs or not known or len(known) < len(limits):
            narrowed[index] = histogram
        else:
            low, high = min(limit[0] for limit in known), max(limit[1] for limit in known)
            narrowed[index] = histogram.within(low, high)
    return narrowed
