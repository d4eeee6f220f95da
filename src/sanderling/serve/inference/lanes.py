"""A loaded model that answers several requests at a time: their rows put together, or one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sanderling.engines.engine import Runner
from sanderling.errors import DeviceLost, SanderlingError
from sanderling.graph.types import Array

Inputs = Sequence[Array]
Outputs = list[Array]
_TOLERANCE = 1e-5  # of an output's largest value


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of rows that a model is called with.

    Attributes:
        seconds: rows → seconds of one call, measured.
    """

    seconds: Mapping[int, float]

    @property
    def largest(self) -> int:
        """The most rows of one call."""
        return max(self.seconds)

    def best(self, waiting: int) -> int:
        """Returns: the size that gets most done in a second where so many rows are waiting."""
        return max(self.seconds, key=lambda size: min(size, waiting) / self.seconds[size])

    def pace(self, rows: int) -> float:
        """Returns: rows a second where calls have so many."""
        size = min((size for size in self.seconds if size >= rows), default=self.largest)
        return min(rows, size) / self.seconds[size]


SINGLE = Sizes({1: 1.0})


class ModelLane:
    """One replica.

    Args:
        runner: the model; for sizes above 1 with open leading dimensions.
        sizes: to put rows together by; None where the model is called with what each request brings.

    Attributes:
        compared: how many more calls of several rows are compared with single ones.
        differs: how far their answers were apart, in a sentence; "" while they agree.
    """

    def __init__(self, runner: Runner, sizes: Sizes | None = None, compared: int = 0) -> None:
        self._runner, self._sizes = runner, sizes
        self.compared, self.differs = compared, ""

    def __call__(self, group: Sequence[Inputs]) -> list[Outputs | SanderlingError]:
        """Answers requests.

        Returns: for each its outputs, or why there are none.
        """
        if self._sizes is None or (len(group) == 1 and len(group[0][0]) == 1):
            return [self._alone(inputs) for inputs in group]
        try:
            return [*self._together(group, self._sizes)]
        except SanderlingError as error:
            if len(group) == 1:
                return [error]
        return [answer for inputs in group for answer in self([inputs])]  # whose fault it is

    def _alone(self, inputs: Inputs) -> Outputs | SanderlingError:
        try:
            return self._call(inputs)
        except SanderlingError as error:
            return error

    def _call(self, inputs: Inputs) -> Outputs:
        """Runs the model; once more where its device went away and is back."""
        try:
            return self._runner.run(inputs)
        except DeviceLost:
            rebuild = getattr(self._runner, "rebuild", None)
            if rebuild is None:
                raise
            rebuild()
            return self._runner.run(inputs)

    def _together(self, group: Sequence[Inputs], sizes: Sizes) -> list[Outputs]:
        joined = list(group[0])
        if len(group) > 1:
            joined = [np.concatenate(arrays) for arrays in zip(*group, strict=True)]
        total = len(joined[0])
        answers = self._run(joined, total, sizes)
        if self.compared and total > 1 and sizes.largest > 1:
            answers = self._compare(joined, answers)
        if len(group) == 1:
            return [answers]
        ends = np.cumsum([len(inputs[0]) for inputs in group]).tolist()
        begins = [0, *ends[:-1]]
        return [[o[begin:end] for o in answers] for begin, end in zip(begins, ends, strict=True)]

    def _run(self, joined: Sequence[Array], total: int, sizes: Sizes) -> Outputs:
        pieces: list[Outputs] = []
        at = 0
        while at < total:
            size = sizes.best(total - at)
            taken = min(size, total - at)
            part = joined if taken == total else [x[at : at + taken] for x in joined]
            outputs = self._call([_filled(x, size) for x in part])
            pieces.append(outputs if taken == size else [y[:taken] for y in outputs])
            at += taken
        if len(pieces) == 1:
            return pieces[0]
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]

    def _compare(self, joined: Sequence[Array], answers: Outputs) -> Outputs:
        """Returns: single calls' answers; noise may not have shown that rows depend on each other."""
        self.compared -= 1
        single = self._run(joined, len(joined[0]), SINGLE)
        self.differs = self.differs or apart(answers, single)
        if self.differs:
            self._sizes, self.compared = SINGLE, 0
        return single

    def close(self) -> None:
        """Frees the model."""
        self._runner.close()


def _filled(rows: Array, size: int) -> Array:
    """Returns: so many rows, the missing ones copies of the last."""
    missing = size - len(rows)
    return rows if not missing else np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])


def apart(ours: Sequence[Array], theirs: Sequence[Array]) -> str:
    """Compares answers of several rows with those of single calls.

    Returns: "" where they are the same, for floats within 0.00001 of the output's largest value; else by how
        much they are apart.
    """
    for position, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            return f"output {position} is {list(a.shape)} instead of {list(b.shape)}"
        if np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            continue
        if a.dtype.kind != "f":
            return f"output {position} has other values"
        scale = float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b)))
        with np.errstate(invalid="ignore"):
            error = float(np.max(np.abs(a.astype(np.float64) - b)))
        if not error <= _TOLERANCE * max(scale, 1e-6):
            return f"output {position} is off by {error:.2g}, of {scale:.2g}"
    return ""
