"""``precision="auto"``: which tensors may be stored in 16 bits, found by running the model on samples.

A tensor stays in 32 bits when its numbers come near to what f16 holds. Of the others as many become f16 as
the outputs allow: first all of them, and where that loses too much, block after block of operators, the one
that loses least first, and halves of the blocks that do not fit. Everything is measured on the adapter
itself, with the kernels that are going to run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from sanderling.engines.litert import ENGINE as LITERT
from sanderling.engines.plain_weights import with_plain_weights
from sanderling.engines.trust import noise
from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.graphs.shapes import at_shapes
from sanderling.engines.webgpu.remember import Memory
from sanderling.engines.webgpu.runner import Options, WebGPURunner
from sanderling.errors import ModelError, RunError
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array
from sanderling.tflite import write

LOSS = 2e-3  # of an output's scale: what "auto" may lose
MARGIN = 8  # numbers may become so many times larger than in any sample before f16 overflows
LARGEST = 65504.0
BLOCKS = 8  # of operators that are tried one by one
TRIES = 32  # of blocks beside others, and of parts of those that lose too much as a whole
_KEY = "precision"
_UNNAMED = "it has no name by which it could be told apart"
_LOSES = f"in float16 an output would change by more than {100 * LOSS:g} % of its scale"


@dataclass(frozen=True, slots=True)
class Halves:
    """What may be stored in 16 bits.

    Attributes:
        half: something may.
        wide: names of tensors that may not → why.
        loss: the largest difference seen on an output, as a share of its scale.
        reason: in a sentence, with what it was measured on.
    """

    half: bool
    wide: Mapping[str, str] = field(default_factory=dict)
    loss: float = 0.0
    reason: str = ""

    def apply(self, target: Target) -> Target:
        """Returns: the target that stores as this says."""
        return replace(target, half=self.half, wide=self.wide)


def remembered(memory: Memory) -> Halves | None:
    """Returns: what was found out earlier for this model on this adapter."""
    value = memory.choices.get(_KEY)
    if value is None:
        return None
    wide = value.get("wide")
    names = {str(k): str(v) for k, v in wide.items()} if isinstance(wide, dict) else {}
    return Halves(bool(value.get("half")), names, float(value.get("loss", 0)), str(value.get("reason", "")))


def remember(memory: Memory, found: Halves) -> None:
    """Keeps it on disk."""
    memory.choices[_KEY] = {
        "half": found.half, "wide": dict(found.wide), "loss": found.loss, "reason": found.reason,
    }  # fmt: skip
    memory.save()


def choose(
    path: Path,
    model: Model,
    device: Device,
    target: Target,
    samples: Sequence[Sequence[Array]],
    how: Options | None = None,
) -> Halves:
    """Finds out what may be stored in 16 bits.

    Args:
        path, model: the file and what was read from it.
        device, target: what it is going to run on.
        samples: inputs as they come; none takes noise, which the reason says.
        how: it is going to be run.

    Raises:
        ModelError: the model cannot be run.
    """
    trial = _Trial(path, model, device, target, replace(how or Options(), trust=True))
    trial.begin(samples)
    told = f"on {len(samples)} sample{'s' * (len(samples) > 1)}" if samples else "on noise, not on samples"
    large = overflowing(model, trial.feeds)
    if large is None:
        return Halves(False, reason="LiteRT cannot run it operator by operator, so nobody saw its numbers")
    written = _written(model.main)
    loss = trial.loss(large)
    if loss > LOSS:
        first, wide = loss, _by_blocks(trial, model.main, large)
        loss = trial.loss(wide)
        if loss > LOSS or wide.keys() >= written:
            return Halves(
                False, reason=f"float16 would change an output by {_percent(first)} of its scale {told}"
            )
    else:
        wide = large
    kept = len(wide.keys() & written)
    stay = f"{kept} of {len(written)} tensors stay float32" if kept else "no tensor has to stay float32"
    return Halves(True, wide, loss, f"float16 changes outputs by {_percent(loss)} {told}; {stay}")


def _percent(loss: float) -> str:
    return f"{100 * loss:.2g} %" if isfinite(loss) else "any amount (NaN or infinity)"


def overflowing(model: Model, feeds: Sequence[Sequence[Array]]) -> dict[str, str] | None:
    """Looks at every number that flows through the model.

    Returns: name of a tensor whose numbers come near to the end of f16 → how large they are, and "", whose
    tensors nobody can tell apart; None where LiteRT does not tell its intermediate values.
    """
    try:
        peaks = _peaks(model, feeds)
    except (ModelError, RunError):
        return None
    found = {n: f"its numbers reach {p:.3g} in the samples" for n, p in peaks.items() if p * MARGIN > LARGEST}
    return {"": _UNNAMED, **found}


def _peaks(model: Model, feeds: Sequence[Sequence[Array]]) -> dict[str, float]:
    """Returns: name of a tensor → the largest number of it.

    Raises:
        ModelError, RunError: LiteRT cannot run the model operator by operator.
    """
    # As the GPU gets it: plain weights, and no operators that only some of LiteRT's kernel sets have.
    plain = with_plain_weights(at_shapes(model, [array.shape for array in feeds[0]]))
    graph, peaks = plain.main, dict[str, float]()
    seen = {index for node in graph.nodes for index in (*node.inputs, *node.outputs) if index >= 0}
    floats = [i for i in seen if graph.tensors[i].dtype.is_float and not graph.tensors[i].is_constant]
    with TemporaryDirectory(prefix="sanderling-") as folder:
        path = Path(folder) / "plain.tflite"
        write(plain, path)
        runner = LITERT.load(path, plain, options={"kernels": "builtin", "preserve_tensors": True})
        try:
            for feed in feeds:
                runner.run(feed)
                for index in floats:
                    name, values = graph.tensors[index].name, runner.tensor(index)
                    peak = float(np.abs(values).max(initial=0)) if np.isfinite(values).all() else inf
                    peaks[name] = max(peak, peaks.get(name, 0.0))
        finally:
            runner.close()
    return peaks


def _written(graph: Graph) -> frozenset[str]:
    names = (graph.tensors[i] for node in graph.nodes for i in node.outputs)
    return frozenset(tensor.name for tensor in names if tensor.dtype.is_float)


def _by_blocks(trial: _Trial, graph: Graph, large: Mapping[str, str]) -> dict[str, str]:
    """Returns: the names that have to stay wide so that the loss keeps its bound → why."""
    wide = dict.fromkeys(sorted(_written(graph) | {graph.tensors[i].name for i in graph.inputs}), _LOSES)
    wide |= large

    def names(start: int, end: int) -> set[str]:
        made = [i for node in graph.nodes[start:end] for i in node.outputs]
        given = {graph.tensors[i].name for i in (*made, *(() if start else graph.inputs))}
        return (given & wide.keys()) - large.keys()

    def kept(gone: set[str]) -> dict[str, str]:
        return {name: why for name, why in wide.items() if name not in gone}

    size = -(-len(graph.nodes) // BLOCKS)
    blocks = [(start, start + size) for start in range(0, len(graph.nodes), size)]
    blocks = [block for block in blocks if names(*block)]
    alone = {block: trial.loss(kept(names(*block))) for block in blocks}
    waiting, tries = sorted(blocks, key=lambda block: alone[block]), TRIES
    while waiting and tries:
        start, end = waiting.pop(0)
        narrower, fits = kept(names(start, end)), alone.get((start, end), 0.0) <= LOSS
        if fits and len(narrower) < len(wide):
            tries -= 1
            fits = trial.loss(narrower) <= LOSS
        if fits:
            wide = narrower
        elif end - start > 1:
            middle = (start + end) // 2
            waiting += [(start, middle), (middle, end)]
    return wide


class _Trial:
    """Runs the model with one storage after the other.

    Attributes:
        feeds: what is fed.
    """

    def __init__(self, path: Path, model: Model, device: Device, target: Target, how: Options) -> None:
        self._path, self._model, self._device, self._how = path, model, device, how
        self._target = replace(target, half=False, wide={})
        self.feeds: list[list[Array]] = []
        self._wanted: list[list[Array]] = []
        self._scales: list[float] = []  # of every output, over all samples

    def begin(self, samples: Sequence[Sequence[Array]]) -> None:
        """Asks for the answers in 32 bits."""
        runner = self._load(self._target)
        try:
            zeros = [np.zeros(port.type.shape, port.type.dtype.numpy) for port in runner.inputs]
            self.feeds = [list(feed) for feed in samples or [list(map(noise, zeros, runner.inputs))]]
            for feed in self.feeds:
                runner.reset()
                self._wanted.append(runner.run(feed))
            self._scales = [max(map(_scale, values)) for values in zip(*self._wanted, strict=True)]
        finally:
            runner.close()

    def loss(self, wide: Mapping[str, str]) -> float:
        """Returns: the largest difference of an output, as a share of its scale, where only ``wide`` is in 32
        bits."""
        runner = self._load(replace(self._target, half=True, wide=wide))
        worst = 0.0
        try:
            for feed, right in zip(self.feeds, self._wanted, strict=True):
                runner.reset()
                worst = max([worst, *map(_difference, runner.run(feed), right, self._scales)])
        finally:
            runner.close()
        return worst

    def _load(self, target: Target) -> WebGPURunner:
        return WebGPURunner(self._path, self._model, self._device, target, self._how)


def _scale(values: Array) -> float:
    """Returns: the largest finite number of an output."""
    if values.dtype.kind != "f":
        return 1.0
    return float(np.max(np.abs(values), initial=1e-6, where=np.isfinite(values)))


def _difference(mine: Array, wanted: Array, scale: float) -> float:
    if mine.shape != wanted.shape:
        return inf
    if wanted.dtype.kind != "f":
        return 0.0 if np.array_equal(mine, wanted) else inf
    if not np.isfinite(mine[np.isfinite(wanted)]).all():
        return inf
    apart = np.abs(mine.astype(np.float64) - wanted)
    return float(np.max(apart, initial=0.0, where=np.isfinite(apart))) / scale
