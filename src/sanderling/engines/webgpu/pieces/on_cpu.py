"""A piece of a graph in LiteRT, fed with the states of its lifted calls like with any other input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sanderling.engines.litert import ENGINE as LITERT
from sanderling.engines.webgpu.graphs.cells import settle
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.tflite import write


class OnCpu:
    """A model, lifted calls and all, that LiteRT runs.

    Args:
        model: the model.
        path: where its file is written; it must stay until ``close``.
        threads: CPU threads.
        options: see ``engines.litert``.

    Raises:
        ModelError: LiteRT does not take it.
    """

    def __init__(
        self, model: Model, path: Path, *, threads: int = 1, options: Mapping[str, object] | None = None
    ) -> None:
        settled = settle(model)
        self._sources, self._targets = settled.sources, settled.targets
        self._outputs = model.main.outputs
        write(settled.model, path)
        self._runner = LITERT.load(path, settled.model, threads=threads, options=options)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once. See ``engines.engine.Runner.run``."""
        if not self._targets:
            return self._runner.run(inputs)
        states = {index: inputs[position] for position, index in self._sources.items()}
        plain = [array for position, array in enumerate(inputs) if position not in self._sources]
        found = iter(self._runner.run(plain, variables=states))
        return [
            self._runner.variable(self._targets[i]) if i in self._targets else next(found)
            for i in self._outputs
        ]

    def tensor(self, index: int) -> Array:
        """Returns: the value of a tensor after ``run``.

        Raises:
            RunError: it is not kept.
        """
        if index in self._targets:
            return self._runner.variable(self._targets[index])
        return self._runner.tensor(index)

    def reset(self) -> None:
        """Sets variables back to their initial values."""
        self._runner.reset()

    def close(self) -> None:
        """Frees the interpreter."""
        self._runner.close()
