"""The proof that ends every conversion: source and result on the same samples, output by output."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.convert.compare import TOLERATED_SHARE, Comparison, OutputProof
from sanderling.convert.conversion import Reference
from sanderling.errors import ConvertError, ModelError, RunError
from sanderling.graph.graph import Model, Tensor
from sanderling.graph.types import Array
from sanderling.isolation.client import Worker
from sanderling.samples.samples import Samples

FLOAT_TOLERANCE = 1e-4  # of an output's scale: rounding of another order of summing stays far below
INTEGER_TOLERANCE = 0.03  # RMS of the scale: two engines round differently at every operator
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Proof:
    """How close a converted model comes to its source.

    Attributes:
        outputs: one row per output, in the model's order.
        samples: how many samples were compared.
        origin: what they were, in words.
        synthetic: they were noise, since none were given.
        tolerance: what is allowed of the figure that ``OutputProof.judged`` names.
        integers: the model computes with integers, so that single elements may be some steps apart.
        engine: what ran the result: ``LiteRT`` …
    """

    outputs: tuple[OutputProof, ...]
    samples: int
    origin: str
    synthetic: bool
    tolerance: float
    integers: bool
    engine: str

    @property
    def ok(self) -> bool:
        return not any(self.failure_of(row) for row in self.outputs)

    @property
    def worst(self) -> OutputProof:
        """The output that is furthest off."""
        return max(self.outputs, key=lambda row: (bool(self.failure_of(row)), row.judged(self.integers)))

    def failure_of(self, row: OutputProof) -> str:
        """Returns: why this output does not match, "" where it does."""
        if row.reason:
            return row.reason
        found = row.judged(self.integers)
        if row.exact:
            share = f"{found:.2%} of its integers differ"
            return share if found > TOLERATED_SHARE else ""
        kind = "RMS error" if self.integers else "error"
        if found <= self.tolerance:
            return ""
        return f"{kind} {found:.2g} of its scale in sample {row.worst}, {self.tolerance:.2g} is allowed"

    def sentence(self) -> str:
        """Returns: the verdict with the worst output."""
        row = self.worst
        why = self.failure_of(row)
        if why:
            return f"output {row.name!r} does not match its source: {why}"
        kind = "RMS error" if self.integers else "largest error"
        return (
            f"matches its source on {self.samples} samples: {kind} {row.judged(self.integers):.2g} of the"
            f" scale, in output {row.name!r}"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns: all of it as JSON values."""
        rows = [dataclasses.asdict(row) | {"failure": self.failure_of(row)} for row in self.outputs]
        return {
            "ok": self.ok, "verdict": self.sentence(), "samples": self.samples, "origin": self.origin,
            "synthetic": self.synthetic, "tolerance": self.tolerance, "integers": self.integers,
            "engine": self.engine, "outputs": rows,
        }  # fmt: skip


def prove(
    model: Model,
    result: Reference,
    reference: Reference,
    samples: Samples,
    *,
    engine: str = "LiteRT",
    other: Reference | None = None,
    rounds: bool = False,
    tolerance: float | None = None,
    tell: Tell | None = None,
) -> Proof:
    """Compares a written model with its source.

    Args:
        model: the one of both that is ours: its inputs and outputs are those of the other.
        result: runs the result, as the file that a user will get (see ``litert``).
        reference: runs the source: see ``Conversion``.
        samples: inputs of ``model``; of stateful models in order.
        engine: what runs the result, in words.
        other: runs the source with other kernels: of float models twice their difference is allowed.
        rounds: see ``Conversion``; such a model is judged like one that computes with integers.
        tolerance: share of an output's scale; None takes 1e-4, and an RMS of 3 % for integer models.
        tell: is called with (what, done, total).

    Raises:
        ConvertError: the engine does not take the result, or the source itself cannot be run.
        SampleError: a sample cannot be read.
    """
    names = model.output_names()
    fed = [model.main.tensors[i] for i in model.main.inputs]
    told = [model.main.tensors[i] for i in model.main.outputs]
    integers = rounds or computes_with_integers(model)
    ranges = [range_of(model, index) for index in model.main.outputs]
    compared, kernels = Comparison(names, ranges), Comparison(names, ranges)
    for position in range(len(samples)):
        if tell is not None:
            tell("comparing with the source", position, len(samples))
        feed = samples[position]
        given = [_shaped(feed[name], each.shape) for name, each in zip(model.input_names(), fed, strict=True)]
        expected = _real(reference(given), told)
        compared.add(expected, _real(result(given), told))
        if other is not None:
            kernels.add(expected, _real(other(given), told))
    apart = [row.relative for row in kernels.rows() if not (integers or row.exact or row.reason)]
    allowed = INTEGER_TOLERANCE if integers else max(FLOAT_TOLERANCE, *(2 * each for each in apart), 0.0)
    return Proof(
        compared.rows(), len(samples), samples.origin, samples.synthetic,
        allowed if tolerance is None else tolerance, integers, engine,
    )  # fmt: skip


@contextmanager
def litert(path: Path, kernels: str = "default") -> Iterator[Reference]:
    """Runs a file on LiteRT (see its engine for ``kernels``), in a process of its own."""
    with Worker(name="LiteRT") as worker:
        yield _loaded(worker, path, kernels)


def _shaped(value: Array, shape: tuple[int, ...]) -> Array:
    """Returns: a sample as the model takes it: single numbers come as vectors of one."""
    array = np.asarray(value)
    return array.reshape(shape) if array.size == 1 == int(np.prod(shape)) else array


def range_of(model: Model, index: int) -> float:
    """Returns: 1 for probabilities that stand each for itself, else 0: the least scale of an output.

    Those of a model that is sure of "no" are all tiny: errors are still those of probabilities.
    """
    makers = {output: node for node in model.main.nodes for output in node.outputs}
    node = makers.get(index)
    while node is not None and node.op in _MOVES:
        node = makers.get(node.inputs[0])
    return 1.0 if node is not None and node.op == "LOGISTIC" else 0.0


_MOVES = {"RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS"}


def computes_with_integers(model: Model) -> bool:
    """Returns: whether an operator of the main graph writes quantized integers."""
    graph = model.main
    return any(graph.tensors[i].type.is_quantized for node in graph.nodes for i in node.outputs)


def _loaded(worker: Worker, path: Path, kernels: str) -> Callable[[Sequence[Array]], list[Array]]:
    try:
        loaded = worker.call(
            "sanderling.measure.serving:load",
            path=str(path),
            options={"kernels": kernels},
            timeout=120.0,
            doing="loading the result",
        )
    except (ModelError, RunError) as error:
        raise ConvertError(
            f"the result does not run in LiteRT: {error.what}", hint="report the model, or part of it"
        ) from error

    def run(given: Sequence[Array]) -> list[Array]:
        done: list[list[Array]] = worker.call(
            "sanderling.measure.serving:run_many", handle=loaded["handle"], feeds=[list(given)],
            timeout=600.0, doing="running the result",
        )  # fmt: skip
        return done[0]

    return run


def _real(outputs: Sequence[Array], tensors: Sequence[Tensor]) -> list[Array]:
    """Returns: outputs as numbers: stored integers are some steps apart wherever engines round otherwise."""
    if len(outputs) != len(tensors):
        raise ConvertError(f"one of both has {len(outputs)} outputs, the other {len(tensors)}")
    return [_dequantized(np.asarray(each), t) for each, t in zip(outputs, tensors, strict=True)]


def _dequantized(stored: Array, tensor: Tensor) -> Array:
    quant = tensor.quant
    if not tensor.type.is_quantized or quant is None or quant.per_channel or stored.dtype.kind not in "iu":
        return stored
    return np.asarray((stored.astype(np.float64) - quant.zero_point[0]) * quant.scale[0], np.float32)
