"""Runs stages one behind the other: while a stage has one item, the stage before has the next."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.engines.engine import Runner
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.runtime.loading import load_runner
from sanderling.runtime.parallel.replicas import Inputs, Outputs
from sanderling.runtime.parallel.spread import spread
from sanderling.runtime.parallel.stages import Stage, cut, cuts
from sanderling.tflite import write

Values = dict[int, Array]
_AHEAD = 3
_ROUNDS = 5


class StageRunner:
    """A stage, loaded.

    Args:
        stage: what it computes.
        needed: tensors that later stages, or the caller, still want behind it.
        load: loads its model from a file.
        file: where to write it.
    """

    def __init__(
        self, stage: Stage, needed: frozenset[int], load: Callable[[Path, Model], Runner], file: Path
    ) -> None:
        self._stage, self._needed = stage, needed
        write(stage.model, file)
        self._runner = load(file, stage.model)

    def __call__(self, values: Values) -> Values:
        outputs = self._runner.run([values[i] for i in self._stage.reads])
        every = {**values, **dict(zip(self._stage.makes, outputs, strict=True))}
        return {index: value for index, value in every.items() if index in self._needed}

    def close(self) -> None:
        """Frees its memory."""
        self._runner.close()


class Pipeline:
    """A model in stages, each on an engine of its own, in a thread of its own.

    Args:
        model: the model.
        engines: of the stages, in order; their number is that of the stages.
        how: further arguments of ``load_runner``.
        positions: where to cut; None: so that the slowest stage is as fast as can be, which is measured.
        sample: inputs to measure with; needed without ``positions``.

    Attributes:
        positions: where it is cut, as operators' numbers.
        seconds: of each stage, as measured; empty with ``positions``.

    Raises:
        RunError: the model cannot be cut into so many stages.
        ModelError: an engine does not take its stage.
    """

    def __init__(
        self,
        model: Model,
        engines: Sequence[str],
        how: dict[str, Any],
        positions: Sequence[int] | None = None,
        sample: Inputs = (),
    ) -> None:
        self._model, self._engines, self._how = model, tuple(engines), how
        self._folder = tempfile.TemporaryDirectory(prefix="sanderling-")
        self._runners: list[StageRunner] = []
        self.seconds: tuple[float, ...] = ()
        try:
            if positions is None:
                positions, self.seconds = self._balanced(sample)
            self.positions = tuple(positions)
            self._runners = self._load(self.positions)
        except BaseException:
            self._folder.cleanup()
            raise

    def _load(self, positions: Sequence[int]) -> list[StageRunner]:
        graph = self._model.main
        stages = cut(self._model, positions)
        runners: list[StageRunner] = []
        for number, (stage, engine) in enumerate(zip(stages, self._engines, strict=True)):
            later = {i for other in stages[number + 1 :] for i in other.reads}

            def load(file: Path, model: Model, engine: str = engine) -> Runner:
                return load_runner(file, model, engine, **self._how)

            file = Path(self._folder.name) / f"stage{number}-{'-'.join(map(str, positions))}.tflite"
            runners.append(StageRunner(stage, frozenset(later | set(graph.outputs)), load, file))
        return runners

    def _balanced(self, sample: Inputs) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """Returns: the cut whose slowest stage is the fastest, and what its stages take."""
        found = []
        for positions in cuts(self._model.main, len(self._engines)):
            runners = self._load(positions)
            seconds = _measured(runners, self._fed(sample))
            for runner in runners:
                runner.close()
            found.append((max(seconds), positions, seconds))
        _, positions, seconds = min(found)
        return positions, seconds

    def _fed(self, inputs: Inputs) -> Values:
        return dict(zip(self._model.main.inputs, inputs, strict=True))

    def __call__(self, stream: Iterable[Inputs]) -> Iterator[Outputs]:
        """Yields: the outputs for each item, in order."""
        flow: Iterator[Values] = map(self._fed, stream)
        for runner in self._runners:
            flow = spread([runner], flow, _AHEAD)
        for values in flow:
            yield [values[index] for index in self._model.main.outputs]

    def in_turn(self, inputs: Inputs) -> Outputs:
        """Returns: the outputs for one item, stage after stage: what the pipeline is compared with."""
        values = self._fed(inputs)
        for runner in self._runners:
            values = runner(values)
        return [values[index] for index in self._model.main.outputs]

    def close(self) -> None:
        """Frees the stages."""
        for runner in self._runners:
            runner.close()
        self._runners = []
        self._folder.cleanup()


def _measured(runners: Sequence[StageRunner], values: Values) -> tuple[float, ...]:
    """Returns: seconds of each stage, the median of a few calls."""
    found = []
    for runner in runners:
        times = []
        after = runner(values)
        for _ in range(_ROUNDS):
            begin = time.perf_counter()
            after = runner(values)
            times.append(time.perf_counter() - begin)
        found.append(float(np.median(times)))
        values = after
    return tuple(found)
