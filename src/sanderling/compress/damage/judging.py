"""Runs changed copies of a model on a few feeds, and says how far their outputs are from the original's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from sanderling.compress.fitting.litert import feed_inputs, invoke, load
from sanderling.compress.technique import Work
from sanderling.errors import RunError
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array
from sanderling.tflite import write

Outputs = list[list[Array]]  # per sample, per output
Damage = Callable[[Outputs, Outputs], float]


def noise_to_signal(reference: Outputs, changed: Outputs) -> float:
    """Returns: squared error over squared values, of each float output over all samples, summed."""
    total = 0.0
    for position in range(len(reference[0])):
        pairs = [
            (np.float64(a[position]), np.float64(b[position]))
            for a, b in zip(reference, changed, strict=True)
        ]
        error = sum(float(np.square(a - b).sum()) for a, b in pairs)
        power = sum(float(np.square(a).sum()) for a, _ in pairs)
        total += error / power if power > 0 else float(error > 0)
    return total


class Bench:
    """The original's outputs, and what changes do to them.

    Args:
        model: a float model.
        feeds: on which outputs are compared.
        work: where, and with how many threads.
        damage: (float outputs, changed outputs) → a number ≥ 0.

    Raises:
        RunError: there are no feeds, or LiteRT cannot run the model.
    """

    def __init__(
        self,
        model: Model,
        feeds: Sequence[Mapping[str, Array]],
        work: Work,
        damage: Damage = noise_to_signal,
    ) -> None:
        self._model, self._feeds, self._work, self._damage = model, feeds, work, damage
        self._names = model.input_names()
        self._reference = self._outputs(model.main)

    def measure(self, graph: Graph) -> float:
        """Returns: the damage that a changed main graph does."""
        # A graph whose outputs are no numbers is as bad as can be.
        value = float(self._damage(self._reference, self._outputs(graph)))
        return value if np.isfinite(value) else float("inf")

    def _outputs(self, graph: Graph) -> Outputs:
        file = self._work.folder / "changed.tflite"
        write(replace(self._model.with_main(graph), signatures=(), metadata=()), file)
        interpreter = load(file, self._work.threads)
        details = interpreter.get_output_details()
        results = []
        for feed in self._feeds:
            feed_inputs(interpreter, self._names, feed)
            invoke(interpreter)
            results.append([interpreter.get_tensor(d["index"]) for d in details])
        if not results:
            raise RunError("there are no samples to compare outputs on", where=self._model.name)
        return results
