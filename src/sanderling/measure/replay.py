"""Each operator's own error: A's and B's operator, each cut out of its model, fed the same values.

What an operator is fed are the values that A's run had there, rounded to what B stores: a quantized B is
not blamed twice, once where it rounds a value and once more where it reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling import tflite
from sanderling.engines.engine import Port
from sanderling.errors import InputMismatch, SanderlingError
from sanderling.graph.graph import Model, Tensor
from sanderling.graph.types import Array
from sanderling.measure.error_sum import ErrorSum
from sanderling.measure.matching import Match
from sanderling.measure.segments import Segment, Shape, correspondence, cut_out, readable, segment
from sanderling.measure.serving import Loaded, load_file
from sanderling.runtime.ports import dequantize, to_stored

MOST_BYTES = 256 * 2**20  # of recorded values; more samples than fit are not replayed


@dataclass(frozen=True, slots=True)
class Record:
    """One sample's run.

    Attributes:
        values: tensor of A → its stored values.
        shapes: tensor of B → the shape that it had.
    """

    values: Mapping[int, Array]
    shapes: Mapping[int, Shape]

    @property
    def nbytes(self) -> int:
        return sum(value.nbytes for value in self.values.values())


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: a model and what runs it."""

    model: Model
    engine: str


class Replay:
    """Replays matched operators of two models.

    Args:
        a, b: the two.
        pairs: their matched operators.
        records: A's run on some samples.
        folder: where the cut-out models are written.
    """

    def __init__(
        self, a: Side, b: Side, pairs: Sequence[Match], records: Sequence[Record], folder: Path
    ) -> None:
        self._a, self._b, self._records, self._folder = a, b, records, folder
        self._same = correspondence(a.model.main, b.model.main, pairs)
        self._known = set(self._same.values())

    def own(self, pair: Match) -> dict[str, Any]:
        """Measures one operator.

        Returns: ``own_error``, ``own_steps`` and ``own_note`` of ``Difference``.
        """
        ends = (self._a.model.main, pair.tensor_a), (self._b.model.main, pair.tensor_b)
        for graph, index in ends:
            if not readable(graph, index):
                return _unmeasured(f"{graph.tensors[index].dtype.value} values are not compared")
        part_a = segment(self._a.model.main, pair.index_a, self._known)
        part_b = segment(self._b.model.main, pair.index_b, self._same)
        if obstacle := part_a.obstacle or part_b.obstacle:
            return _unmeasured(obstacle)
        error = ErrorSum()
        try:
            exact = self._run(pair, part_a, part_b, error)
        except SanderlingError as failure:  # an engine that refuses the operator by itself: said in the row
            return _unmeasured(failure.what)
        if error.note:
            return _unmeasured(error.note)
        single = len(part_a.nodes) == len(part_b.nodes) == 1
        together = max(len(part_a.nodes), len(part_b.nodes))
        scale = self._step(pair) if exact and single else None
        return {
            "own_error": error.relative,
            "own_steps": None if scale is None else error.largest / scale,
            "own_note": "" if together == 1 else f"with what leads to it: {together} operators",
        }

    def _run(self, pair: Match, part_a: Segment, part_b: Segment, error: ErrorSum) -> bool:
        """Compares on every record. Returns: whether both were fed A's very values."""
        ends = self._a.model.main.tensors[pair.tensor_a], self._b.model.main.tensors[pair.tensor_b]
        always = True
        with _Cut(self._a, self._folder / "a.tflite") as a, _Cut(self._b, self._folder / "b.tflite") as b:
            for record in self._records:
                values_b, values_a, exact = self._feeds(part_a, part_b, record)
                always = always and exact
                if exact and pair.tensor_a in record.values and len(part_a.nodes) == 1:
                    right = record.values[pair.tensor_a]  # that is what it computed from these values
                else:
                    right = a.run(part_a, pair.tensor_a, values_a)
                got = b.run(part_b, pair.tensor_b, values_b)
                error.add(real(right, ends[0]), real(got, ends[1]))
        return always

    def _feeds(
        self, part_a: Segment, part_b: Segment, record: Record
    ) -> tuple[dict[int, Array], dict[int, Array], bool]:
        """Returns: by tensor what B is fed and what A is fed; and whether B takes A's values as they are."""
        tensors_a, tensors_b = self._a.model.main.tensors, self._b.model.main.tensors
        fed_a = {index: record.values[index] for index in part_a.feeds}
        fed_b = {}
        exact = True
        for index in part_b.feeds:
            origin = self._same[index]
            value, left, right = record.values[origin], tensors_a[origin], tensors_b[index]
            shape = record.shapes.get(index, value.shape)
            if int(np.prod(shape)) != value.size:
                raise InputMismatch(f"shapes differ: {list(value.shape)} and {list(shape)}")
            fed_b[index] = converted(value, left, right).reshape(shape)
            if not _alike(left, right):
                exact = False
                if origin in fed_a:
                    fed_a[origin] = converted(fed_b[index], right, left).reshape(value.shape)
        return fed_b, fed_a, exact

    def _step(self, pair: Match) -> float | None:
        left = self._a.model.main.tensors[pair.tensor_a]
        right = self._b.model.main.tensors[pair.tensor_b]
        quant = right.quant
        if not _alike(left, right) or not right.type.is_quantized or quant is None or quant.per_channel:
            return None
        return float(quant.scale[0])


class _Cut:
    """A segment, loaded afresh only when the shapes of what it is fed change."""

    def __init__(self, side: Side, path: Path) -> None:
        self._side, self._path = side, path
        self._shapes: dict[int, Shape] | None = None
        self._loaded: Loaded | None = None

    def run(self, part: Segment, output: int, fed: Mapping[int, Array]) -> Array:
        """Returns: the stored values of ``output``."""
        shapes = {index: value.shape for index, value in fed.items()}
        if self._loaded is None or shapes != self._shapes:
            self.close()
            tflite.write(cut_out(self._side.model, part, output, shapes), self._path)
            self._loaded = load_file(self._path, self._side.engine, 1)
            self._shapes = shapes
        self._loaded.runner.reset()
        return self._loaded.runner.run([fed[index] for index in part.feeds])[0]

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded.runner.close()
            self._loaded = None

    def __enter__(self) -> _Cut:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def converted(value: Array, of: Tensor, to: Tensor) -> Array:
    """Returns: a tensor's stored values as another tensor stores the same real ones.

    Raises:
        InputMismatch: they cannot be stored there.
    """
    if _alike(of, to):
        return value
    port = Port(to.name, replace(to.type, shape=value.shape), value.shape)
    return to_stored(real(value, of), port)


def real(stored: Array, tensor: Tensor) -> Array:
    """Returns: the real values of a tensor's stored ones."""
    return dequantize(stored, Port(tensor.name, tensor.type, tensor.shape))


def _alike(a: Tensor, b: Tensor) -> bool:
    """Returns: whether stored values mean the same in both."""
    if a.dtype != b.dtype or a.type.is_quantized != b.type.is_quantized:
        return False
    if not a.type.is_quantized or a.quant is None or b.quant is None:
        return True
    same = np.array_equal(a.quant.scale, b.quant.scale)
    return same and np.array_equal(a.quant.zero_point, b.quant.zero_point) and a.quant.axis == b.quant.axis


def _unmeasured(why: str) -> dict[str, Any]:
    return {"own_error": None, "own_steps": None, "own_note": why}
