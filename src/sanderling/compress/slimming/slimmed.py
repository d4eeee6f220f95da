"""The steps of slimming: look at the original, choose channels, cut, fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sanderling.compress.calibration import Feeds
from sanderling.compress.fitting import reconstruct
from sanderling.compress.fitting.answers import answers, unexplained_variance
from sanderling.compress.fitting.in_order import fit, in_rounds, with_weights
from sanderling.compress.fitting.observe import observe
from sanderling.compress.fitting.readers import Reader, readers, unfitted
from sanderling.compress.fitting.reconstruct import Elimination, Problem
from sanderling.compress.fitting.sampling import Rows, Sampler
from sanderling.compress.slimming.channels import ChannelMap, Group, cut, trace
from sanderling.compress.slimming.widths import Curve, Macs, allocate, allowed
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array

_TRIALS = 4e10  # multiply-accumulates spent on trying groups one by one, unless
_FEWEST = 4  # feeds take more
_HURTS = 0.05  # share of the energy where a group's channels are read
_LEAST = 1e-3  # no group is free: what the samples do not show may still be there
_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What the original gave, by the position of the operator.

    Attributes:
        rows: samples.
        problems: how to do without inputs, of operators that read channels which may go.
        lost: the same where nothing can make up for them.
    """

    rows: dict[int, Rows]
    problems: dict[int, Problem]
    lost: list[Problem]


class Slimming:
    """One model on its way to fewer channels."""

    def __init__(self, model: Model, feeds: Feeds, folder: Path, threads: int = 1) -> None:
        """Looks for channels, without running anything.

        Args:
            model: a float model after ``prepare.fold``.
            feeds: calibration feeds.
            folder: for scratch files.
            threads: CPU threads for LiteRT.
        """
        self.model = model
        self.graph: Graph = model.main
        self.found: ChannelMap = trace(self.graph)
        self.macs = Macs(self.graph, self.found)
        self._readers = readers(self.graph, self.found)
        self._sampler = Sampler.of(feeds, self._readers, folder / "part.tflite", threads)
        self._orders: dict[int, Elimination] = {}

    def choose(self, keep: float, granularity: int, cost: Macs) -> list[int]:
        """Chooses widths by what narrowing each group does to the answers.

        Args:
            keep: share of the cost to come down to.
            granularity: widths are multiples of it.
            cost: of a call: its multiply-accumulates or milliseconds.

        Returns: for every group, how many channels remain.
        """
        tried = [allowed(group, granularity) for group in self.found.groups]
        curves = []
        for group, widths, scale in zip(self.found.groups, tried, self._scales(tried), strict=True):
            damage = self._order(group, widths[-1]).damage
            curves.append(Curve({width: scale * damage[len(group) - width] for width in widths}))
        return allocate(cost, curves, keep)

    def slimmed(self, widths: Sequence[int]) -> Model:
        """Returns: the model with so many channels in every group, fitted; with its unused constants."""
        gone: list[int] = []
        for group, width in zip(self.found.groups, widths, strict=True):
            gone += self._order(group, width).order[: len(group) - width]
        if not gone:
            return self.model
        narrow, hit = self._cut(gone)
        missing = np.array(sorted(gone), np.int64)
        rounds = [
            [(reader, self._kept_outputs(reader, missing)) for reader in batch]
            for batch in in_rounds(self.graph, self._behind(hit))
        ]
        return fit(narrow, self._seen.rows, rounds, self._sampler, self.macs.total(widths))

    @cached_property
    def _seen(self) -> _Seen:
        rows = self._sampler.rows(self.model, self._readers)
        problems = {}
        for r in self._readers:
            if r.cuttable:
                here = rows[r.position]
                problems[r.position] = reconstruct.pose(
                    here.operand, r.matrix, r.columns, here.feeds, centre=r.centred
                )
        ends = unfitted(self.graph, self.found, self._readers)
        strengths = self._sampler.strengths(self.model, ends)
        lost = [reconstruct.lost(strengths[index], self.found.slots[index]) for index in ends]
        return _Seen(rows, problems, lost)

    def _order(self, group: Group, lowest: int) -> Elimination:
        """Returns: in which order a group's channels go, at least down to ``lowest``."""
        first = group.channels[0]
        known = self._orders.get(first)
        if known is None or len(known.order) < len(group) - lowest:
            problems = [
                self._seen.problems[r.position]
                for r in self._readers
                if r.cuttable and np.isin(r.columns, group.channels).any()
            ]
            problems += [p for p in self._seen.lost if np.isin(p.columns, group.channels).any()]
            known = self._orders[first] = reconstruct.eliminate(problems, group.channels, lowest)
        return known

    def _scales(self, tried: Sequence[Sequence[int]]) -> list[float]:
        """Narrows one group at a time, until it hurts, and measures the error of the answers.

        Returns: for every group, error of the answers / damage where its channels are read.
        """
        compared = answers(self.graph)
        feeds = self._judges(sum(len(widths) > 1 for widths in tried))
        want = list(self._run(self.model, compared, feeds))
        scales = []
        for group, widths in zip(self.found.groups, tried, strict=True):
            if len(widths) == 1:
                scales.append(1.0)
                continue
            order = self._order(group, widths[-1])
            removed = next((n for n in (len(group) - w for w in widths) if order.damage[n] > _HURTS), None)
            removed = len(group) - widths[-1] if removed is None else removed
            got = list(self._run(self._cut(order.order[:removed])[0], compared, feeds))
            error = unexplained_variance(compared, want, got)
            scales.append(max(error / max(order.damage[removed], _TINY), _LEAST))
        return scales

    def _judges(self, trials: int) -> frozenset[int]:
        """Returns: the feeds on which groups are tried: those held out from the problems, if any are."""
        numbers = np.arange(len(self._sampler.feeds))
        held = numbers[reconstruct.held_out(numbers)]
        numbers = held if len(held) else numbers
        affordable = int(_TRIALS / (max(trials, 1) * max(self.macs.full, 1.0)))
        return frozenset(numbers[: max(_FEWEST, affordable)].tolist())

    def _run(self, model: Model, tensors: Sequence[int], feeds: frozenset[int]) -> Iterator[dict[int, Array]]:
        sampler = self._sampler
        return observe(model, tensors, sampler.feeds, sampler.file, threads=sampler.threads, only=feeds)

    def _cut(self, gone: Sequence[int]) -> tuple[Model, list[Reader]]:
        """Removes channels; what reads them makes up for it as well as the original's samples tell.

        Returns: the model, and the operators that lost inputs, as they were.
        """
        graph = cut(self.graph, self.found, gone)
        missing = np.array(sorted(gone), np.int64)
        hit = [reader for reader in self._readers if np.isin(reader.columns, missing).any()]
        for reader in hit:
            kept = ~np.isin(reader.columns, missing)
            outputs = self._kept_outputs(reader, missing)
            weights = reader.matrix[:, outputs]
            matrix = reconstruct.compensate(
                self._seen.problems[reader.position], weights, reader.columns, kept
            )
            bias = None
            if reader.centred:
                mean = self._seen.rows[reader.position].operand.mean(0, dtype=np.float64)
                bias = mean @ weights - mean[kept] @ matrix
                bias += 0.0 if reader.bias is None else reader.bias[outputs]
            graph = with_weights(graph, reader, matrix, bias)
        return self.model.with_main(graph), hit

    def _behind(self, hit: Sequence[Reader]) -> list[Reader]:
        """Returns: these operators, and all that depend on them."""
        reached = {self.graph.nodes[reader.position].outputs[0] for reader in hit}
        for node in self.graph.nodes:
            if not reached.isdisjoint(node.inputs):
                reached.update(node.outputs)
        return [r for r in self._readers if self.graph.nodes[r.position].outputs[0] in reached]

    def _kept_outputs(self, reader: Reader, missing: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Returns: [O] which columns of an operator's matrix remain."""
        slots = self.found.slots[self.graph.nodes[reader.position].outputs[0]]
        kept = ~np.isin(slots, missing)
        return np.repeat(kept, reader.matrix.shape[1] // kept.size)
