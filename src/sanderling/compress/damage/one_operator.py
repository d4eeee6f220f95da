"""Remedies for one operator, put into the float model in place of what the quantized model does there."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from sanderling.compress.damage.evidence import Evidence
from sanderling.compress.damage.judging import Bench
from sanderling.compress.damage.quantized_as import QuantizedAs
from sanderling.compress.eligible import DATA
from sanderling.compress.equalize import balance
from sanderling.compress.equalizing.scaling import scaled
from sanderling.compress.quantizing.bias_correction import correct_biases
from sanderling.compress.quantizing.choose_ranges import visible
from sanderling.compress.quantizing.fake_quantize import with_noise_at, with_rounded_weights
from sanderling.compress.quantizing.histogram import with_zero
from sanderling.compress.quantizing.ranges import Histograms, choose
from sanderling.compress.quantizing.stored import quant_of
from sanderling.compress.quantizing.weights import Method, weight_ranges
from sanderling.graph.graph import Graph, Model
from sanderling.ops.registry import find

_CALIBRATIONS = ("minmax", "percentile", "mse")
_RANGES: tuple[Method, ...] = ("minmax", "mse", "octav")


class Trials:
    """Tries remedies until the time is up.

    Args:
        folded: the float model.
        held: how the quantized model holds its values.
        observed: histograms, by tensor index.
        evidence: the channels and their extremes.
        bench: measures damages.
        deadline: by ``time.monotonic``.
    """

    def __init__(
        self,
        folded: Model,
        held: QuantizedAs,
        observed: Histograms,
        evidence: Evidence,
        bench: Bench,
        deadline: float,
    ) -> None:
        self._graph, self._held, self._bench, self._deadline = folded.main, held, bench, deadline
        self._seen = visible(folded.main, observed)
        self._evidence, self._observed = evidence, observed
        self._factors = balance(folded.main, evidence.channels, evidence.extremes, by="activations")
        self._balanced = scaled(folded.main, evidence.channels, self._factors)

    def activation(self, index: int, position: int, rest: float) -> list[tuple[str, float]]:
        """Tries other ranges for a tensor.

        Args:
            index: the tensor.
            position: of its operator; negative for an input.
            rest: damage of the operator's weights, which stays.

        Returns: (remedy, damage that is left), cheapest first.
        """
        node = self._graph.nodes[position] if position >= 0 else None
        op = find(node.op) if node is not None else None
        if index not in self._seen or (op is not None and op.quant.fixed_output is not None):
            return []
        tried: list[tuple[str, float]] = []
        for method in _CALIBRATIONS:
            if self.late:
                return tried
            quant = quant_of(choose(self._seen[index], method))
            damage = self._bench.measure(with_noise_at(self._graph, {index: quant}))
            tried.append((f"calibration {method}", damage + rest))
        slots = self._evidence.channels.slots.get(index)
        pair = self._evidence.extremes.get(index)
        if slots is not None and pair is not None and np.any(self._factors[slots] != 1) and not self.late:
            smaller = pair / self._factors[slots]
            quant = quant_of(with_zero(float(smaller.min()), float(smaller.max())))
            damage = self._bench.measure(with_noise_at(self._balanced, {index: quant}))
            tried.append(("equalize", damage + rest))
        return _best_of_each(tried)

    def weights(self, position: int, rest: float) -> list[tuple[str, float]]:
        """Tries other ranges for an operator's weights, per channel.

        Args:
            position: of the operator.
            rest: damage of its result, which stays.

        Returns: (remedy, damage that is left), cheapest first.
        """
        tried: list[tuple[str, float]] = []
        for method in _RANGES:
            if self.late:
                return tried
            rounded = self._rounded(self._graph, self._observed, position, method)
            tried.append((f"weights {method}", self._bench.measure(rounded) + rest))
        node = self._graph.nodes[position]
        slots = self._evidence.channels.slots
        around = [slots[i] for i in (node.inputs[DATA.get(node.op, 0)], node.outputs[0]) if i in slots]
        if any(np.any(self._factors[some] != 1) for some in around) and not self.late:
            rounded = self._rounded(self._balanced, self._smaller(), position, "minmax")
            tried.append(("equalize", self._bench.measure(rounded) + rest))
        return _best_of_each(tried)

    def _rounded(self, graph: Graph, observed: Histograms, position: int, method: Method) -> Graph:
        """Returns: the graph with one operator's weights as integers, its bias corrected."""
        bits = self._held.weights[position].bits
        narrow = (position,) if bits == 4 else ()
        bounds = {w.tensor: w.bounds for w in weight_ranges(graph, (position,), method, four_bit=narrow)}
        corrected = correct_biases(graph, (position,), bounds, observed, narrow)
        return with_rounded_weights(corrected, bounds, bits)

    def _smaller(self) -> Histograms:
        """Returns: the means of channels in the balanced graph."""
        slots = self._evidence.channels.slots
        found = {}
        for index, seen in self._observed.items():
            if index in slots and seen.sums is not None and seen.sums.size == slots[index].size:
                found[index] = replace(seen, sums=seen.sums / self._factors[slots[index]])
        return found

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self._deadline


def _best_of_each(tried: list[tuple[str, float]]) -> list[tuple[str, float]]:
    """Returns: of each kind of remedy the one that does best."""
    best: dict[str, tuple[str, float]] = {}
    for name, damage in tried:
        kind = name.split()[0]
        if kind not in best or damage < best[kind][1]:
            best[kind] = (name, damage)
    return list(best.values())
