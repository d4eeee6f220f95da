"""Samples of what goes into a model's operators with weights, and of what their results are added to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sanderling.compress.calibration import Feeds
from sanderling.compress.fitting.observe import observe
from sanderling.compress.fitting.readers import Floats, Reader, sample_results, sample_rows
from sanderling.errors import SampleError
from sanderling.graph.graph import Graph, Model

_ROWS = 4096  # samples of one operator's operand, over all feeds
_FEWEST_ROWS = 256
_VALUES = 96_000_000  # and of all operators together, in float32 values

# Sums of squares of these still fit into float32.
_LARGEST = 1e16


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Samples taken at an operator.

    Attributes:
        operand: [n, d] rows of its operand.
        feeds: [n] the number of the feed that each comes from.
        beside: [n, O] what its result is added to; None where there is nothing.
    """

    operand: Floats
    feeds: npt.NDArray[np.int64]
    beside: Floats | None

    def of(self, feeds: npt.NDArray[np.int64]) -> Rows:
        """Returns: the samples of these feeds."""
        here = np.isin(self.feeds, feeds)
        return Rows(self.operand[here], self.feeds[here], None if self.beside is None else self.beside[here])


@dataclass(frozen=True, slots=True)
class Sampler:
    """Runs models over feeds and takes samples, at the same places every time.

    Attributes:
        feeds: calibration feeds.
        per_feed: rows that an operator gets from one feed, at most.
        file: where to put the models that are run.
        threads: CPU threads for LiteRT.
    """

    feeds: Feeds
    per_feed: int
    file: Path
    threads: int

    @classmethod
    def of(cls, feeds: Feeds, readers: Sequence[Reader], file: Path, threads: int) -> Sampler:
        """Returns: a sampler that keeps within memory when all of these operators are looked at together."""
        columns = sum(len(reader.columns) for reader in readers) or 1
        rows = min(_ROWS, max(_FEWEST_ROWS, _VALUES // columns))
        return cls(feeds, max(1, -(-rows // len(feeds))), file, threads)

    def rows(
        self,
        model: Model,
        readers: Sequence[Reader],
        only: Collection[int] | None = None,
        *,
        graph: Graph | None = None,
    ) -> dict[int, Rows]:
        """Takes samples.

        Args:
            model: the original or one that was cut: operators have the same positions.
            readers: where to take them.
            only: numbers of the feeds to run; None for all.
            graph: where the operators stand, where that is not the model's own: it may compute the same
                tensors by others.

        Returns: by the operator's position.

        Raises:
            SampleError: a value is NaN, infinite or too large.
        """
        operands: dict[int, list[Floats]] = {reader.position: [] for reader in readers}
        beside: dict[int, list[Floats]] = {r.position: [] for r in readers if r.beside >= 0}
        tensors = [index for r in readers for index in (r.tensor, r.beside) if index >= 0]
        numbers = sorted(range(len(self.feeds)) if only is None else only)
        runs = observe(model, tensors, self.feeds, self.file, threads=self.threads, only=only)
        for number, values in zip(numbers, runs, strict=True):
            for r in readers:
                seed = (r.position, number)
                rng = np.random.default_rng(seed)
                part = sample_rows(graph or model.main, r, values[r.tensor], self.per_feed, rng)
                if not (np.abs(part) < _LARGEST).all():  # NaN is not, either
                    raise _not_finite(model, r.tensor, number)
                operands[r.position].append(part)
                if r.beside >= 0:
                    rng = np.random.default_rng(seed)
                    beside[r.position].append(sample_results(values[r.beside], self.per_feed, rng))
        return {
            place: Rows(
                np.concatenate(parts),
                np.repeat(np.array(numbers, np.int64), [len(part) for part in parts]),
                np.concatenate(beside[place]) if place in beside else None,
            )
            for place, parts in operands.items()
        }

    def strengths(self, model: Model, tensors: Sequence[int]) -> dict[int, npt.NDArray[np.float64]]:
        """Measures how strong channels are.

        Args:
            model: the original.
            tensors: indices of its tensors.

        Returns: mean square of every channel [C], by tensor.

        Raises:
            SampleError: a value is NaN or infinite.
        """
        totals = {index: np.zeros(model.main.tensors[index].shape[-1]) for index in tensors}
        runs = observe(model, tensors, self.feeds, self.file, threads=self.threads)
        for number, values in enumerate(runs if totals else ()):
            for index, total in totals.items():
                rows = values[index].reshape(-1, len(total))
                total += np.einsum("nc,nc->c", rows, rows, dtype=np.float64) / max(len(rows), 1)
                if not np.isfinite(total).all():
                    raise _not_finite(model, index, number)
        return {index: total / len(self.feeds) for index, total in totals.items()}


def _not_finite(model: Model, tensor: int, feed: int) -> SampleError:
    return SampleError(
        f"sample {feed} makes tensor '{model.main.tensors[tensor].name}' NaN, infinite or too large",
        where=model.name,
        hint="check that the samples are preprocessed as the model expects",
    )
