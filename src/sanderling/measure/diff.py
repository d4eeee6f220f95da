"""Where two models first disagree: runs both on the same samples and compares them operator by operator.

Both run with every intermediate tensor kept. Values are compared as real numbers (dequantized), so that an
integer model can be held against the float model that it was made from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.engines.engine import Port
from sanderling.engines.litert.operators import supported
from sanderling.errors import InputMismatch, RunError
from sanderling.graph.graph import Model, Tensor
from sanderling.graph.types import Array
from sanderling.measure.client import Worker
from sanderling.measure.matching import Match, comparable, match
from sanderling.measure.serving import Feed, Loaded, arrange, load_file
from sanderling.runtime.loading import read_model
from sanderling.runtime.ports import dequantize, to_stored

_SAMPLES = 8  # the first disagreement shows on few
FLOAT_TOLERANCE, INTEGER_TOLERANCE = 1e-3, 0.1


@dataclass(frozen=True, slots=True)
class Difference:
    """One pair of values that ought to be the same.

    Attributes:
        index_a, index_b: positions of the operators that compute them; −1 for an output row.
        kind_a, kind_b: those operators.
        name_a, name_b: the tensors.
        shape: of the value in A.
        matched: how they were paired: ``name`` or ``position``; ``output`` for outputs.
        relative_error: root mean square of the difference / root mean square of A's values.
        sqnr_db: −20 log10 of it; infinite for equal values.
        max_error: largest difference of two elements.
        own_error: how much of ``relative_error`` its inputs do not have yet: where the damage is done.
        compared: False where one engine does not give the value out; ``note`` says why.
    """

    index_a: int
    index_b: int
    kind_a: str
    kind_b: str
    name_a: str
    name_b: str
    shape: tuple[int, ...]
    matched: str
    relative_error: float
    sqnr_db: float
    max_error: float
    own_error: float
    compared: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class DiffResult:
    """Two models, operator by operator.

    Attributes:
        rows: pairs of operators in A's order.
        outputs: the models' outputs, as the engine really runs them (all its optimizations on).
        tolerance: relative error from which two values disagree.
        first: index into ``rows`` of the first pair beyond the tolerance, None when all agree.
        alone_a, alone_b: operators of A (of B) without a counterpart, converters of a representation
            (QUANTIZE, DEQUANTIZE, CAST) left out.
        samples: what they were fed, in words.
        count: how many samples.
        kernels: the kernels that the operators were run with, for A and B.
    """

    a: str
    b: str
    rows: tuple[Difference, ...]
    outputs: tuple[Difference, ...]
    tolerance: float
    first: int | None
    alone_a: int
    alone_b: int
    samples: str
    count: int
    kernels: tuple[str, str]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return asdict(self)


def diff(
    a: Path,
    b: Path,
    *,
    samples: Any = None,
    reading: Mapping[str, Any] | None = None,
    tolerance: float | None = None,
) -> DiffResult:
    """Compares two models.

    Args:
        a: the model whose values are right.
        b: the model that is compared with it; it takes the same inputs, in the same order.
        samples: as for ``load_samples``, read as A wants them; None for noise.
        reading: keyword arguments of ``load_samples``.
        tolerance: None takes 0.001 for two float models, 0.1 where one computes with integers.

    Raises:
        SanderlingError: a model cannot be run, or B does not take A's inputs.
    """
    from sanderling.analysis.summary import summarize
    from sanderling.samples.load import load_samples

    model_a, model_b = read_model(a), read_model(b)
    options = {name: value for name, value in (reading or {}).items() if value is not None}
    loaded = load_samples(samples, model_a, **{"limit": _SAMPLES, **options}, count_synthetic=_SAMPLES)
    feeds = [loaded[position] for position in range(len(loaded))]
    if tolerance is None:
        floats = summarize(model_a).is_float and summarize(model_b).is_float
        tolerance = FLOAT_TOLERANCE if floats else INTEGER_TOLERANCE
    with Worker(name="engine") as worker:
        found = worker.call(
            "sanderling.measure.diff:compare_models", a=str(a), b=str(b), feeds=feeds, timeout=600.0,
            doing=f"comparing {a.name} with {b.name}",
        )  # fmt: skip
    rows = tuple(_difference(row) for row in found["rows"])
    beyond = (i for i, row in enumerate(rows) if row.compared and not row.relative_error <= tolerance)
    alone = len(comparable(model_a.main)) - len(rows), len(comparable(model_b.main)) - len(rows)
    return DiffResult(
        str(a), str(b), rows, tuple(_difference(row) for row in found["outputs"]), tolerance,
        next(beyond, None), *alone, loaded.origin, len(feeds), tuple(found["kernels"]), loaded.notes,
    )  # fmt: skip


def _difference(row: dict[str, Any]) -> Difference:
    return Difference(**{**row, "shape": tuple(row["shape"])})


def compare_models(a: str, b: str, feeds: Sequence[Feed]) -> dict[str, Any]:
    """Runs both models and compares them. Called in the worker.

    Returns: ``{"rows", "outputs", "kernels"}``; rows are ``Difference`` as JSON values.
    """
    paths = Path(a), Path(b)
    models = read_model(paths[0]), read_model(paths[1])
    kernels = tuple(_kernels(model) for model in models)
    pairs = match(models[0].main, models[1].main)
    kept = [
        load_file(path, "litert", 1, options={"kernels": k, "preserve_tensors": True}, model=model)
        for path, k, model in zip(paths, kernels, models, strict=True)
    ]
    plain = [load_file(path, "litert", 1, model=model) for path, model in zip(paths, models, strict=True)]
    errors, ends = [_Error() for _ in pairs], [_Error() for _ in models[0].main.outputs]
    for feed in feeds:
        own, other = _inputs(kept[0], kept[1], feed)
        kept[0].runner.run(own)
        kept[1].runner.run(other)
        for pair, error in zip(pairs, errors, strict=True):
            error.add(_value(kept[0], models[0], pair.tensor_a), _value(kept[1], models[1], pair.tensor_b))
        answers = plain[0].runner.run(own), plain[1].runner.run(other)
        _add_outputs(ends, plain, answers)
    rows = [_row(pair, error, models) for pair, error in zip(pairs, errors, strict=True)]
    _attribute(rows, pairs, models[0])
    return {"rows": rows, "outputs": _output_rows(models, ends), "kernels": list(kernels)}


def _kernels(model: Model) -> str:
    """XNNPACK computes several operators at once and keeps what is between them to itself, so the builtin
    kernels are taken wherever they can run the whole model."""
    nodes = [node for graph in model.graphs for node in graph.nodes]
    return "builtin" if all(supported(node, "builtin") for node in nodes) else "default"


def _inputs(a: Loaded, b: Loaded, feed: Feed) -> tuple[list[Array], list[Array]]:
    """Returns: the stored inputs of both models for the same real values."""
    own = arrange(a, feed)
    if len(a.runner.inputs) != len(b.runner.inputs):
        raise InputMismatch(
            f"has {len(b.runner.inputs)} inputs, {a.name} has {len(a.runner.inputs)}", where=b.name
        )
    other = []
    for value, port_a, port_b in zip(own, a.runner.inputs, b.runner.inputs, strict=True):
        try:
            other.append(_converted(value, port_a, port_b))
        except InputMismatch as error:
            hint = "both models must take the same inputs"
            raise InputMismatch(error.what, where=b.name, hint=hint) from None
    return own, other


def _converted(value: Array, port_a: Port, port_b: Port) -> Array:
    if port_a.type.dtype == port_b.type.dtype and port_a.quant == port_b.quant:
        return to_stored(value, port_b)  # stored integers stay what they are
    return to_stored(dequantize(value, port_a), port_b)


def _value(loaded: Loaded, model: Model, index: int) -> npt.NDArray[np.float64] | str:
    """Returns: a tensor's real values after a run, or why there are none."""
    tensor = model.main.tensors[index]
    try:
        stored = loaded.runner.tensor(index)  # type: ignore[attr-defined]
    except RunError as error:
        return error.what
    if stored.dtype.kind not in "biuf":
        return f"{tensor.dtype.value} values are not compared"
    return np.asarray(dequantize(stored, _port(tensor)), np.float64)


def _port(tensor: Tensor) -> Port:
    return Port(tensor.name, tensor.type, tensor.shape)


def _add_outputs(ends: list[_Error], plain: list[Loaded], answers: tuple[list[Array], list[Array]]) -> None:
    if len(answers[0]) != len(answers[1]):
        what = f"gives {len(answers[1])} outputs, {plain[0].name} gives {len(answers[0])}"
        raise InputMismatch(what, where=plain[1].name, hint="compare models with the same outputs")
    ports = plain[0].runner.outputs, plain[1].runner.outputs
    for error, left, right, port_a, port_b in zip(ends, *answers, *ports, strict=True):
        real = (np.asarray(dequantize(left, port_a)), np.asarray(dequantize(right, port_b)))
        if real[0].dtype.kind in "biuf" and real[1].dtype.kind in "biuf":
            error.add(real[0].astype(np.float64), real[1].astype(np.float64))


class _Error:
    """Sums of squares over all samples."""

    def __init__(self) -> None:
        self.noise = self.signal = self.largest = 0.0
        self.count = 0
        self.note = ""

    def add(self, a: npt.NDArray[np.float64] | str, b: npt.NDArray[np.float64] | str) -> None:
        if isinstance(a, str) or isinstance(b, str):
            self.note = a if isinstance(a, str) else str(b)
            return
        if a.size != b.size:
            self.note = f"shapes differ: {_dims(a.shape)} and {_dims(b.shape)}"
            return
        if not a.size:
            return
        with np.errstate(invalid="ignore", over="ignore"):
            gap = np.abs(a.reshape(-1) - b.reshape(-1))
            gap[a.reshape(-1) == b.reshape(-1)] = 0.0  # equal infinities
            self.noise += float(np.sum(gap**2))
            self.signal += float(np.sum(a**2))
            self.largest = max(self.largest, float(np.max(gap)))
        self.count += a.size

    @property
    def relative(self) -> float:
        """Relative error; 0 for equal values, infinite where A is all zero and B is not, or is not finite."""
        if self.noise == 0:
            return 0.0
        ratio = float(np.sqrt(self.noise / self.signal)) if self.signal > 0 else float("inf")
        return ratio if ratio == ratio else float("inf")


def _dims(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _measured(error: _Error) -> dict[str, Any]:
    relative = error.relative
    with np.errstate(divide="ignore"):
        sqnr = float(-20 * np.log10(relative))
    return {
        "relative_error": relative,
        "sqnr_db": sqnr,
        "max_error": error.largest,
        "own_error": 0.0,
        "compared": not error.note,
        "note": error.note,
    }


def _row(pair: Match, error: _Error, models: tuple[Model, Model]) -> dict[str, Any]:
    a, b = models[0].main, models[1].main
    return {
        "index_a": pair.index_a,
        "index_b": pair.index_b,
        "kind_a": a.nodes[pair.index_a].kind,
        "kind_b": b.nodes[pair.index_b].kind,
        "name_a": a.tensors[pair.tensor_a].name,
        "name_b": b.tensors[pair.tensor_b].name,
        "shape": list(a.tensors[pair.tensor_a].shape),
        "matched": pair.by,
        **_measured(error),
    }


def _output_rows(models: tuple[Model, Model], ends: list[_Error]) -> list[dict[str, Any]]:
    names = models[0].output_names(), models[1].output_names()
    rows = []
    for position, error in enumerate(ends):
        tensor = models[0].main.tensors[models[0].main.outputs[position]]
        row = {
            "index_a": -1, "index_b": -1, "kind_a": "", "kind_b": "", "name_a": names[0][position],
            "name_b": names[1][position], "shape": list(tensor.shape), "matched": "output",
        }  # fmt: skip
        rows.append({**row, **_measured(error)})
    return rows


def _attribute(rows: list[dict[str, Any]], pairs: Sequence[Match], model: Model) -> None:
    """Fills in ``own_error``: what an operator adds to the worst error among its inputs."""
    known: dict[int, float] = {}
    producers = {index: node for node in model.main.nodes for index in node.outputs}

    def inherited(index: int, depth: int = 0) -> float:
        if index in known:
            return known[index]
        node = producers.get(index)
        if node is None or depth > 8:  # an input, a constant, or too far away to say
            return 0.0
        return max((inherited(i, depth + 1) for i in node.inputs if i >= 0), default=0.0)

    for row, pair in zip(rows, pairs, strict=True):
        if row["compared"]:
            node = model.main.nodes[pair.index_a]
            before = max((inherited(i) for i in node.inputs if i >= 0), default=0.0)
            error = row["relative_error"]
            row["own_error"] = _own(error, before)
            known.update(dict.fromkeys(node.outputs, error))


def _own(error: float, before: float) -> float:
    """Returns: what is left of an error when the independent part that came in is taken off."""
    if not np.isfinite(error) or not np.isfinite(before):
        return error if np.isfinite(before) else 0.0
    return float(np.sqrt(max(0.0, error**2 - before**2)))
