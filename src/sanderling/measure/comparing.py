"""The worker's part of ``diff``: runs two models on the same samples and compares every value they share."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sanderling import tflite
from sanderling.errors import InputMismatch
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.measure.differences import Difference
from sanderling.measure.error_sum import ErrorSum, dims
from sanderling.measure.matching import Match, match, match_itself
from sanderling.measure.replay import MOST_BYTES, Record, Replay, Side, converted, real
from sanderling.measure.segments import correspondence, exposed
from sanderling.measure.serving import Feed, Loaded, arrange, load_file
from sanderling.runtime.loading import read_model
from sanderling.runtime.opening import Read
from sanderling.runtime.ports import dequantize, to_stored


def compare_models(
    a: str, b: str, engines: Sequence[str], feeds: Sequence[Feed], sequential: bool = False
) -> dict[str, Any]:
    """Runs both models and compares them. Called in the worker.

    Args:
        a, b: files.
        engines: what runs A, and what runs B: ``litert``, ``litert:builtin`` …
        feeds: samples, as A takes them.
        sequential: the samples follow one another: state is kept between them.

    Returns: ``{"rows", "outputs", "replayed"}``; rows are ``Difference`` as JSON values.

    Raises:
        InputMismatch: B does not take A's inputs, or gives other outputs.
        ModelError: an engine refuses a model.
    """
    with tempfile.TemporaryDirectory(prefix="sanderling-diff-") as name:
        folder = Path(name)
        sides = _Run(Path(a), engines[0], folder / "a.tflite"), _Run(Path(b), engines[1], folder / "b.tflite")
        graphs = sides[0].model.main, sides[1].model.main
        pairs = match_itself(graphs[0]) if a == b else match(*graphs)
        same = correspondence(*graphs, pairs)
        sides[0].expose(same.values())
        sides[1].expose(same)
        compared = _Comparison(sides[0], sides[1], pairs, same)
        for feed in feeds:
            compared.add(feed, reset=not sequential)
        for side in sides:
            side.close()
        replay = Replay(sides[0].side, sides[1].side, pairs, compared.records, folder)
        rows = [asdict(compared.row(i)) | replay.own(pair) for i, pair in enumerate(pairs)]
        return {"rows": rows, "outputs": compared.outputs(), "replayed": len(compared.records)}


class _Run:
    """One of the two models, loaded twice: as it is, and with every value that is compared given out."""

    def __init__(self, path: Path, engine: str, scratch: Path) -> None:
        self.name = path.name
        self.model: Model = read_model(path)
        self.side = Side(self.model, engine)
        self.plain: Loaded = load_file(path, engine, 1, read=Read(path, (self.model,)))
        self._scratch = scratch
        self._open: Loaded | None = None
        self._given: tuple[int, ...] = ()

    def expose(self, tensors: Any) -> None:
        """Loads the copy of the model that gives out these tensors."""
        graph = self.model.main
        wider = exposed(self.model, (t for t in tensors if t not in graph.inputs))
        tflite.write(wider, self._scratch)
        self._open = load_file(self._scratch, self.side.engine, 1)
        self._given = wider.main.outputs

    def run(self, inputs: Sequence[Array]) -> tuple[list[Array], dict[int, Array]]:
        """Returns: the outputs of the model as it is, and stored values by tensor."""
        assert self._open is not None
        answers = self.plain.runner.run(inputs)
        values = dict(zip(self._given, self._open.runner.run(inputs), strict=True))
        return answers, values | dict(zip(self.model.main.inputs, inputs, strict=True))

    def reset(self) -> None:
        assert self._open is not None
        self.plain.runner.reset()
        self._open.runner.reset()

    def close(self) -> None:
        assert self._open is not None
        self.plain.runner.close()
        self._open.runner.close()


class _Comparison:
    """Errors of all pairs and outputs, summed over the samples; and A's values, for replaying."""

    def __init__(self, a: _Run, b: _Run, pairs: Sequence[Match], same: Mapping[int, int]) -> None:
        self._a, self._b, self._pairs, self._same = a, b, pairs, same
        self._errors = [ErrorSum() for _ in pairs]
        self._ends = [ErrorSum() for _ in a.model.main.outputs]
        self._bytes = 0
        self.records: list[Record] = []

    def add(self, feed: Feed, *, reset: bool) -> None:
        """Runs both on one sample."""
        inputs_a, inputs_b = _inputs(self._a, self._b, feed)
        if reset:
            self._a.reset()
            self._b.reset()
        answers_a, values_a = self._a.run(inputs_a)
        answers_b, values_b = self._b.run(inputs_b)
        tensors = self._a.model.main.tensors, self._b.model.main.tensors
        for pair, error in zip(self._pairs, self._errors, strict=True):
            if pair.tensor_a not in values_a or pair.tensor_b not in values_b:
                error.note = f"{tensors[0][pair.tensor_a].dtype.value} values are not compared"
                continue
            error.add(
                real(values_a[pair.tensor_a], tensors[0][pair.tensor_a]),
                real(values_b[pair.tensor_b], tensors[1][pair.tensor_b]),
            )
        self._add_outputs(answers_a, answers_b)
        self._record(values_a, values_b)

    def _record(self, values_a: Mapping[int, Array], values_b: Mapping[int, Array]) -> None:
        wanted = set(self._same.values()) | {pair.tensor_a for pair in self._pairs}
        record = Record(
            {index: value for index, value in values_a.items() if index in wanted},
            {index: value.shape for index, value in values_b.items()},
        )
        if not self.records or self._bytes + record.nbytes <= MOST_BYTES:
            self._bytes += record.nbytes
            self.records.append(record)

    def _add_outputs(self, answers_a: Sequence[Array], answers_b: Sequence[Array]) -> None:
        ports = self._a.plain.runner.outputs, self._b.plain.runner.outputs
        for error, left, right, port_a, port_b in zip(self._ends, answers_a, answers_b, *ports, strict=True):
            if left.shape != right.shape:
                raise InputMismatch(
                    f"output {port_b.name!r} has shape {dims(right.shape)}, {port_a.name!r} of "
                    f"{self._a.name} has {dims(left.shape)}",
                    where=self._b.name,
                    hint="compare models with the same outputs",
                )
            error.add(dequantize(left, port_a), dequantize(right, port_b))

    def row(self, position: int) -> Difference:
        """Returns: what was found for a pair of operators; its own error is not in it."""
        pair = self._pairs[position]
        a, b = self._a.model.main, self._b.model.main
        return Difference(
            pair.index_a, pair.index_b, a.nodes[pair.index_a].kind, b.nodes[pair.index_b].kind,
            a.tensors[pair.tensor_a].name, b.tensors[pair.tensor_b].name, a.tensors[pair.tensor_a].shape,
            pair.by, **_measured(self._errors[position]),
        )  # fmt: skip

    def outputs(self) -> list[dict[str, Any]]:
        """Returns: what was found for the outputs, as JSON values."""
        names = self._a.model.output_names(), self._b.model.output_names()
        shapes = [port.type.shape for port in self._a.plain.runner.outputs]
        return [
            asdict(Difference(-1, -1, "", "", name_a, name_b, shape, "output", **_measured(error)))
            for name_a, name_b, shape, error in zip(*names, shapes, self._ends, strict=True)
        ]


def _inputs(a: _Run, b: _Run, feed: Feed) -> tuple[list[Array], list[Array]]:
    """Returns: the stored inputs of both models for the same real values."""
    own = arrange(a.plain, feed)
    left, right = a.model.main, b.model.main
    for what, mine, others in (
        ("inputs", right.inputs, left.inputs),
        ("outputs", right.outputs, left.outputs),
    ):
        if len(mine) != len(others):
            raise InputMismatch(
                f"has {len(mine)} {what}, {a.name} has {len(others)}",
                where=b.name,
                hint=f"compare models with the same {what}",
            )
    other = []
    for value, index_a, index_b, port in zip(
        own, left.inputs, right.inputs, b.plain.runner.inputs, strict=True
    ):
        try:
            stored = converted(value, left.tensors[index_a], right.tensors[index_b])
            other.append(to_stored(stored, port))
        except InputMismatch as error:
            hint = "both models must take the same inputs"
            raise InputMismatch(error.what, where=b.name, hint=hint) from None
    return own, other


def _measured(error: ErrorSum) -> dict[str, Any]:
    return {
        "relative_error": error.relative,
        "spread": error.spread,
        "sqnr_db": error.sqnr_db,
        "max_error": error.largest,
        "compared": not error.note,
        "note": error.note,
    }
