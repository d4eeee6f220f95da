"""Goes through a model's layers in the order of execution and gives each new weights of a restricted kind,
such that it comes closest to what it gave in the original while it reads what the new ones before it give."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sanderling.analysis.cost import rows as costs
from sanderling.compress.calibration import Feeds
from sanderling.compress.fitting.in_order import affordable, in_rounds, targets_of, with_weights
from sanderling.compress.fitting.layers import Layer
from sanderling.compress.fitting.quadratic import Matrix, Rows
from sanderling.compress.fitting.readers import Reader
from sanderling.compress.fitting.reconstruct import held_out
from sanderling.compress.fitting.sampling import Rows as Samples
from sanderling.compress.fitting.sampling import Sampler
from sanderling.compress.technique import Work
from sanderling.graph.graph import Model

# (layer, what goes in and should come out, the original's weights [d, O]) → new weights.
Solve = Callable[[Layer, Rows, Matrix], Matrix]


class Rebuilding:
    """One model whose layers are to get new weights.

    Attributes:
        before: samples of the original, by the position of the operator.
    """

    def __init__(
        self, model: Model, found: Sequence[Layer], feeds: Feeds, work: Work, originals: int
    ) -> None:
        """Runs the original over the feeds.

        Args:
            model: folded; what ``found`` was made from.
            found: the layers; those without a reader stay as they are.
            feeds: calibration feeds.
            work: for scratch files and threads.
            originals: how many feeds are the user's; the others are copies of them, in the same order.

        Raises:
            SampleError, InputMismatch: the feeds do not fit, or lead to infinite values.
        """
        self._layers = {layer.reader.position: layer for layer in found if layer.reader is not None}
        self._readers = [layer.reader for layer in self._layers.values() if layer.reader is not None]
        self._sampler = Sampler.of(feeds, self._readers, work.folder / "part.tflite", work.threads)
        self._macs = float(sum(row.macs or 0 for row in costs(model.main)))
        self._originals = originals
        self.before = self._sampler.rows(model, self._readers) if self._readers else {}

    def run(self, model: Model, solve: Solve) -> Model:
        """Gives every layer with a reader new weights, and the bias that goes with them.

        Args:
            model: the original, in which layers without a reader may be changed.
            solve: chooses the weights of one layer.
        """
        rounds = in_rounds(model.main, self._readers)
        for batch in rounds:
            only = affordable(self._sampler, self.before, batch, len(rounds), self._macs)
            sampled = self._sampler.rows(model, batch, only)
            graph = model.main
            for reader in batch:
                rows = self._rows(reader, sampled[reader.position])
                weights = solve(self._layers[reader.position], rows, reader.matrix.astype(np.float64))
                graph = with_weights(graph, reader, weights, rows.bias(weights) if reader.centred else None)
            model = model.with_main(graph)
        return model

    def _rows(self, reader: Reader, now: Samples) -> Rows:
        every = np.ones(reader.matrix.shape[1], np.bool_)
        wanted = targets_of(reader, self.before[reader.position].of(now.feeds), now, every)
        if not reader.centred and reader.bias is not None:
            wanted = wanted - reader.bias
        return Rows(now.operand, wanted, held_out(now.feeds % self._originals), reader.centred)
