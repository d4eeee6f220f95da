"""The steps of slimming: look at the original, choose channels, cut, fit layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sanderling.compress import reconstruct
from sanderling.compress._observe import observe
from sanderling.compress._readers import (
    Floats,
    Reader,
    bias_position,
    readers,
    sample_results,
    sample_rows,
    weights_array,
    weights_matrix,
)
from sanderling.compress._widths import Curve, Macs, allocate, allowed
from sanderling.compress.calibration import Feeds
from sanderling.compress.channels import ChannelMap, cut, trace
from sanderling.compress.reconstruct import Elimination, Problem
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType

_ROWS = 4096  # samples of one operator's input, over all feeds
_VALUES = 96_000_000  # and of all operators together, in float32 values
_TRIALS = 4e10  # multiply-accumulates spent on trying groups one by one
_FITS = 1e11  # and on running the slimmed model while it is fitted
_FEWEST = 16  # feeds to fit on, whatever they cost


@dataclass(slots=True, eq=False)
class Rows:
    """Samples taken at an operator.

    Attributes:
        operand: [n, d] rows of its operand.
        feeds: [n] the feed of each.
        beside: [n, O] what its result is added to; None where there is nothing.
    """

    operand: Floats
    feeds: npt.NDArray[np.int64]
    beside: Floats | None

    def of(self, feeds: npt.NDArray[np.int64]) -> Rows:
        """Returns: the samples of these feeds."""
        here = np.isin(self.feeds, feeds)
        return Rows(self.operand[here], self.feeds[here], None if self.beside is None else self.beside[here])


@dataclass(slots=True, eq=False)
class Seen:
    """What the original gave at an operator.

    Attributes:
        rows: samples.
        problem: how to do without inputs; None for an operator that reads no channels which may go.
    """

    rows: Rows
    problem: Problem | None


class Slimming:
    """One model on its way to fewer channels."""

    def __init__(self, model: Model, feeds: Feeds, folder: Path, threads: int = 1) -> None:
        """Args:
        model: folded, float.
        feeds: calibration feeds.
        folder: for scratch files.
        threads: CPU threads for LiteRT.
        """
        self.model, self.feeds, self.threads = model, feeds, threads
        self.file = folder / "part.tflite"
        self.graph: Graph = model.main
        self.found: ChannelMap = trace(self.graph)
        self.macs = Macs(self.graph, self.found)
        self.readers = readers(self.graph, self.found)
        self.per_feed = self._rows_per_feed()

    def _rows_per_feed(self) -> int:
        columns = sum(len(reader.columns) for reader in self.readers) or 1
        rows = min(_ROWS, max(256, _VALUES // columns))
        return max(1, -(-rows // len(self.feeds)))

    def share(self, widths: Sequence[int]) -> float:
        """Returns: multiply-accumulates with these widths / those of the original."""
        return self.macs.total(widths) / max(self.macs.full, 1.0)

    # --- looking ---

    def look(self) -> dict[int, Seen]:
        """Runs the original. Returns: by the operator's position."""
        sampled = self._sample(self.model, self.readers)
        return {r.position: Seen(sampled[r.position], _pose(r, sampled[r.position])) for r in self.readers}

    def _sample(
        self, model: Model, wanted: Sequence[Reader], only: frozenset[int] | None = None
    ) -> dict[int, Rows]:
        operands: dict[int, list[Floats]] = {reader.position: [] for reader in wanted}
        beside: dict[int, list[Floats]] = {r.position: [] for r in wanted if r.beside >= 0}
        tensors = [index for r in wanted for index in (r.tensor, r.beside) if index >= 0]
        numbers = sorted(range(len(self.feeds)) if only is None else only)
        runs = observe(model, tensors, self.feeds, self.file, threads=self.threads, only=only)
        for number, values in zip(numbers, runs, strict=True):
            for r in wanted:
                seed = (r.position, number)
                part = sample_rows(
                    model.main, r, values[r.tensor], self.per_feed, np.random.default_rng(seed)
                )
                operands[r.position].append(part)
                if r.beside >= 0:
                    rng = np.random.default_rng(seed)
                    beside[r.position].append(sample_results(values[r.beside], self.per_feed, rng))
        return {
            place: Rows(
                np.concatenate(parts),
                np.repeat(numbers, [len(part) for part in parts]),
                np.concatenate(beside[place]) if place in beside else None,
            )
            for place, parts in operands.items()
        }

    # --- choosing ---

    def orders(self, seen: Mapping[int, Seen], granularity: int) -> list[Elimination]:
        """Returns: for every group, in which order its channels go and what that costs its readers."""
        found = []
        for group in self.found.groups:
            problems = [
                problem
                for r in self.readers
                if (problem := seen[r.position].problem) and np.isin(r.columns, group.channels).any()
            ]
            lowest = allowed(group, granularity)[-1]
            found.append(reconstruct.eliminate(problems, group.channels, lowest))
        return found

    def curves(
        self, seen: Mapping[int, Seen], orders: Sequence[Elimination], granularity: int
    ) -> list[Curve]:
        """Returns: for every group, width → damage at the model's outputs."""
        tried = [allowed(group, granularity) for group in self.found.groups]
        scales = self._scales(seen, orders, tried)
        return [
            Curve({w: scale * order.damage[len(group) - w] for w in widths})
            for group, order, widths, scale in zip(self.found.groups, orders, tried, scales, strict=True)
        ]

    def _scales(
        self,
        seen: Mapping[int, Seen],
        orders: Sequence[Elimination],
        tried: Sequence[Sequence[int]],
    ) -> list[float]:
        """Narrows one group at a time and measures the error at the outputs.

        Returns: for every group, error at the outputs / damage at the readers.
        """
        answers = _answers(self.graph)
        feeds = self._judges(tried)
        want = list(observe(self.model, answers, self.feeds, self.file, threads=self.threads, only=feeds))
        scales = []
        for group, order, widths in zip(self.found.groups, orders, tried, strict=True):
            if len(widths) == 1:
                scales.append(1.0)
                continue
            middle = min(widths[1:], key=lambda w: abs(w - len(group) / 2))
            removed = len(group) - middle
            narrow, _ = self.cut(seen, order.order[:removed])
            got = observe(narrow, answers, self.feeds, self.file, threads=self.threads, only=feeds)
            error = _relative_error(answers, want, list(got))
            scales.append(error / max(order.damage[removed], 1e-12))
        return scales

    def _judges(self, tried: Sequence[Sequence[int]]) -> frozenset[int]:
        """Returns: the feeds on which groups are tried: held out while weights were fitted, where enough."""
        numbers = np.arange(len(self.feeds))
        held = numbers[reconstruct.held_out(numbers)]
        numbers = held if len(held) else numbers
        trials = sum(len(widths) > 1 for widths in tried) or 1
        affordable = int(_TRIALS / (trials * max(self.macs.full, 1.0)))
        limit = max(4, min(affordable, len(numbers)))
        return frozenset(numbers[:limit].tolist())

    # --- cutting and fitting ---

    def cut(self, seen: Mapping[int, Seen], gone: Sequence[int]) -> tuple[Model, list[Reader]]:
        """Removes channels; what reads them makes up for it as well as the original's samples tell.

        Returns: the model, and the operators that lost inputs, as they were.
        """
        graph = cut(self.graph, self.found, gone)
        missing = np.array(sorted(gone), np.int64)
        hit = [reader for reader in self.readers if np.isin(reader.columns, missing).any()]
        tensors = list(graph.tensors)
        for reader in hit:
            kept = ~np.isin(reader.columns, missing)
            problem = seen[reader.position].problem
            assert problem is not None
            outputs = self._kept_outputs(reader, missing)
            matrix = reconstruct.compensate(problem, reader.matrix[:, outputs], reader.columns, kept)
            bias = None
            if reader.centred:
                mean = seen[reader.position].rows.operand.mean(0, dtype=np.float64)
                bias = mean @ reader.matrix[:, outputs] - mean[kept] @ matrix
                bias += 0.0 if reader.bias is None else reader.bias[outputs]
            graph = replace(graph, nodes=_install(graph, tensors, reader, matrix, bias))
        return self.model.with_main(replace(graph, tensors=tuple(tensors))), self._after(hit)

    def _after(self, hit: Sequence[Reader]) -> list[Reader]:
        """Returns: these operators, and all that depend on them."""
        first = {self.graph.nodes[reader.position].outputs[0] for reader in hit}
        reached = set(first)
        for node in self.graph.nodes:
            if not reached.isdisjoint(node.inputs):
                reached.update(node.outputs)
        return [r for r in self.readers if self.graph.nodes[r.position].outputs[0] in reached]

    def _kept_outputs(self, reader: Reader, missing: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        slots = self.found.slots[self.graph.nodes[reader.position].outputs[0]]
        kept = ~np.isin(slots, missing)
        return np.repeat(kept, reader.matrix.shape[1] // kept.size)

    def fit(self, model: Model, seen: Mapping[int, Seen], hit: Sequence[Reader], gone: Sequence[int]) -> Model:
        """Fits the operators in the order of execution, each on what those before it now give."""
        missing = np.array(sorted(gone), np.int64)
        rounds = _rounds(self.graph, hit)
        affordable = int(2 * _FITS / (len(rounds) * max(self.macs.full, 1.0)))
        few = frozenset(range(len(self.feeds))[: max(_FEWEST, affordable)])
        for batch in rounds:
            scarce = any(len(seen[r.position].rows.feeds) < 8 * len(self.feeds) for r in batch)
            sampled = self._sample(model, batch, None if scarce else few)
            graph = model.main
            tensors = list(graph.tensors)
            for reader in batch:
                now, outputs = sampled[reader.position], self._kept_outputs(reader, missing)
                targets = _targets(reader, seen[reader.position].rows.of(now.feeds), now, outputs)
                start = weights_matrix(graph, graph.nodes[reader.position]).astype(np.float64)
                matrix, bias = reconstruct.refit(
                    now.operand, targets, start, now.feeds, centre=reader.centred
                )
                nodes = _install(graph, tensors, reader, matrix, bias if reader.centred else None)
                graph = replace(graph, nodes=nodes)
            model = model.with_main(replace(graph, tensors=tuple(tensors)))
        return model


def _pose(reader: Reader, rows: Rows) -> Problem | None:
    if not reader.cuttable:
        return None
    return reconstruct.pose(rows.operand, reader.matrix, reader.columns, rows.feeds, centre=reader.centred)


def _targets(reader: Reader, before: Rows, now: Rows, outputs: npt.NDArray[np.bool_]) -> Floats:
    """Returns: [n, O] what an operator should give, so that it (or the sum it goes into) is what it was."""
    targets = before.operand @ reader.matrix[:, outputs]
    if reader.bias is not None:
        targets += reader.bias[outputs]
    if before.beside is not None and now.beside is not None:
        targets += before.beside[:, outputs] - now.beside
    return targets


def _install(
    graph: Graph,
    tensors: list[Tensor],
    reader: Reader,
    matrix: npt.NDArray[np.float64],
    bias: npt.NDArray[np.float64] | None,
) -> tuple[Node, ...]:
    """Puts fitted weights into ``tensors``. Returns: the nodes, of which one may have got a bias."""
    node = graph.nodes[reader.position]
    index = node.inputs[1]
    tensors[index] = replace(tensors[index], data=weights_array(graph, node, matrix))
    if bias is None:
        return graph.nodes
    place = bias_position(node)
    operands = [*node.inputs, *[-1] * (place + 1 - len(node.inputs))]
    values = bias.astype(np.float32)
    if operands[place] >= 0:
        old = tensors[operands[place]]
        tensors[operands[place]] = replace(old, data=values.reshape(old.shape))
        return graph.nodes
    operands[place] = len(tensors)
    tensors.append(Tensor(f"{tensors[index].name}_bias", TensorType(values.shape, DType.FLOAT32), values))
    nodes = list(graph.nodes)
    nodes[reader.position] = replace(node, inputs=tuple(operands))
    return tuple(nodes)


def _rounds(graph: Graph, hit: Sequence[Reader]) -> list[list[Reader]]:
    """Returns: the operators in batches of which none depends on another of its batch, in order."""
    by_position = {reader.position: reader for reader in hit}
    depth: dict[int, int] = {}
    levels: dict[int, list[Reader]] = {}
    for position, node in enumerate(graph.nodes):
        level = max((depth.get(index, 0) for index in node.inputs), default=0)
        if position in by_position:  # what it is added to comes first, so that it can make up for that too
            level = max(level, depth.get(by_position[position].beside, 0))
            levels.setdefault(level, []).append(by_position[position])
            level += 1
        for index in node.outputs:
            depth[index] = level
    return [levels[level] for level in sorted(levels)]


# Behind these the answers say less about the error than before: they saturate, choose or sort.
_LAST = frozenset({"SOFTMAX", "LOG_SOFTMAX", "ARG_MAX", "ARG_MIN", "TOPK_V2", "CUSTOM"})


def _answers(graph: Graph) -> list[int]:
    """Returns: the float tensors by which the damage to a model's answers is measured."""
    maker = {index: node for node in graph.nodes for index in node.outputs}
    found: dict[int, None] = {}
    todo = list(graph.outputs)
    while todo:
        index = todo.pop(0)
        tensor, node = graph.tensors[index], maker.get(index)
        if node is None or tensor.is_constant:
            continue
        if tensor.dtype is DType.FLOAT32 and node.op not in _LAST:
            found[index] = None
        else:
            todo.extend(i for i in node.inputs if i >= 0)
    return list(found)


def _relative_error(
    tensors: Sequence[int], want: Sequence[Mapping[int, Array]], got: Sequence[Mapping[int, Array]]
) -> float:
    """Returns: mean over tensors of squared error / variance around the tensor's mean."""
    errors = []
    for index in tensors:
        pairs = [(w[index].astype(np.float64), g[index].astype(np.float64)) for w, g in zip(want, got, strict=True)]
        error = sum(float(np.sum((w - g) ** 2)) for w, g in pairs)
        mean = np.mean([w.mean() for w, _ in pairs])
        power = sum(float(np.sum((w - mean) ** 2)) for w, _ in pairs)
        errors.append(error / max(power, 1e-12))
    return float(np.mean(errors)) if errors else 1.0
