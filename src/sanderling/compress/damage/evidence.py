"""What is known about the values of a float model's tensors and weights, for ``causes``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sanderling.compress.damage import causes
from sanderling.compress.damage.causes import Cause
from sanderling.compress.damage.quantized_as import QuantizedAs
from sanderling.compress.eligible import DATA, WEIGHTS
from sanderling.compress.equalize import extremes
from sanderling.compress.equalizing.scale_rules import scale_rules
from sanderling.compress.quantizing.choose_ranges import visible
from sanderling.compress.quantizing.histogram import Histogram
from sanderling.compress.quantizing.stored import representable, step_of
from sanderling.compress.quantizing.weights import AXIS, channels_first
from sanderling.compress.slimming.channels import trace
from sanderling.compress.technique import Work
from sanderling.graph.constant import real
from sanderling.graph.edit import consumers, producers
from sanderling.graph.graph import Model, Node
from sanderling.graph.types import DType
from sanderling.ops.registry import find

_SUMS = frozenset({"ADD", "SUB"})


class Evidence:
    """Finds the causes of single tensors and operators.

    Args:
        folded: the float model.
        held: how the quantized model holds its values.
        observed: histograms, by tensor index.
        work: with feeds.
    """

    def __init__(
        self, folded: Model, held: QuantizedAs, observed: Mapping[int, Histogram], work: Work
    ) -> None:
        self._graph, self._held, self._observed = folded.main, held, observed
        self._seen = visible(folded.main, observed)
        self.channels = trace(folded.main, scale_rules(folded.main))
        self.extremes = extremes(folded, self.channels, work)
        self._read, self._made = consumers(folded.main), producers(folded.main)

    def activation(self, index: int, position: int) -> tuple[Cause, ...]:
        """Returns: why a tensor loses values, the main cause first; nothing where it is not held as integers.

        Args:
            index: the tensor.
            position: of the node that computes it; negative for an input.
        """
        if index not in self._held.activations or index not in self._seen:
            return ()
        quant = self._held.activations[index]
        node = self._graph.nodes[position] if position >= 0 else None
        low, high = representable(quant, DType.INT8)
        seen, pair = self._seen[index], self.extremes.get(index)
        tensor = causes.Activation(
            seen,
            None if pair is None else np.clip(pair, seen.low, seen.high),
            low,
            high,
            step_of(quant),
            fixed=node is not None and _fixed(node),
            shared=self._shared(index, node),
        )
        found = causes.of_activation(tensor)
        return found or (self._sum(node, step_of(quant)) if node is not None and node.op in _SUMS else ())

    def weights(self, position: int) -> tuple[Cause, ...]:
        """Returns: why an operator loses its weights, the main cause first."""
        if position not in self._held.weights:
            return ()
        node, stored = self._graph.nodes[position], self._held.weights[position]
        values = real(self._graph.tensors[node.inputs[WEIGHTS[node.op]]]).astype(np.float64)
        rows = channels_first(values, AXIS[node.op]).astype(np.float64)
        kept = channels_first(stored.values, AXIS[node.op]).astype(np.float64)
        depthwise = node.op == "DEPTHWISE_CONV_2D"
        columns = None if depthwise else np.abs(values).reshape(-1, values.shape[-1]).max(0)
        first = [self._bias(node, kept - rows, position), _overflow(stored.integers)]
        others = causes.of_weights(causes.Weights(rows, kept, columns, stored.per_channel))
        return (*(c for c in first if c is not None), *others)

    def _shared(self, index: int, node: Node | None) -> bool:
        """Returns: whether a tensor's scale is another tensor's, too."""
        around = [self._graph.nodes[p] for p in self._read.get(index, ())] + ([node] if node else [])
        return any(op is not None and op.quant.share for op in (find(n.op) for n in around))

    def _sum(self, node: Node, step: float) -> tuple[Cause, ...]:
        sizes = []
        for index in node.inputs:
            if index in self._observed:
                values, counts = self._observed[index].bins()
                sizes.append(float(np.sqrt((np.square(values) * counts).sum() / max(counts.sum(), 1))) / step)
        cause = causes.unequal(sizes)
        return () if cause is None else (cause,)

    def _bias(self, node: Node, error: npt.NDArray[np.float64], position: int) -> Cause | None:
        seen = self._observed.get(node.inputs[DATA.get(node.op, 0)])
        results = self._observed.get(node.outputs[0])
        if seen is None or seen.means is None or results is None or node.op == "TRANSPOSE_CONV":
            return None
        means = seen.means
        values, counts = seen.bins()
        power = float((np.square(values) * counts).sum() / max(counts.sum(), 1))
        if node.op == "DEPTHWISE_CONV_2D":
            if error.shape[0] % means.size:
                return None
            inputs = np.repeat(means, error.shape[0] // means.size)[:, None] * np.ones(error.shape[1])
        else:
            if error.shape[1] % means.size:
                return None
            inputs = np.tile(means, error.shape[1] // means.size)[None] * np.ones((error.shape[0], 1))
        shift = (error * inputs).sum(1) + self._bias_error(node, position, error.shape[0])
        spread = (np.square(error) * max(power - float(np.square(means).mean()), 0.0)).sum(1)
        values, counts = results.bins()
        size = float(np.sqrt((np.square(values) * counts).sum() / max(counts.sum(), 1)))
        return causes.mean_shift(shift, spread, size)

    def _bias_error(self, node: Node, position: int, outputs: int) -> npt.NDArray[np.float64]:
        stored = self._held.weights[position].bias
        place = WEIGHTS[node.op] + 1
        index = node.inputs[place] if place < len(node.inputs) else -1
        if stored is None or index < 0 or stored.size != outputs:
            return np.zeros(outputs)
        own = real(self._graph.tensors[index]).ravel()
        return np.asarray(stored - own, np.float64) if own.size == outputs else np.zeros(outputs)


def _fixed(node: Node) -> bool:
    op = find(node.op)
    return op is not None and op.quant.fixed_output is not None


def _overflow(integers: npt.NDArray[np.int64] | None) -> Cause | None:
    return None if integers is None else causes.overflow(integers)
