"""``precision="auto"``: which tensors may be stored in 16 bits, found by running the model on samples.

A tensor stays in 32 bits when its numbers come near to what f16 holds. Of the others as many become f16 as
the outputs allow: first all of them, and where that loses too much, block after block of operators, the one
that loses least first. Everything is measured on the adapter itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import numpy as np

from sanderling.engines.litert import ENGINE as LITERT
from sanderling.engines.webgpu.compile import Target
from sanderling.engines.webgpu.device import Device
from sanderling.engines.webgpu.remember import Memory
from sanderling.engines.webgpu.runner import Options, WebGPURunner, noise
from sanderling.errors import ModelError, RunError
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array

LOSS = 2e-3  # of an output's scale: what "auto" may lose
MARGIN = 8  # numbers may become so many times larger than in any sample before f16 overflows
LARGEST = 65504.0
BLOCKS = 8  # of operators that are tried one by one
_KEY = "halves"


@dataclass(frozen=True, slots=True)
class Halves:
    """What may be stored in 16 bits.

    Attributes:
        half: something may.
        wide: names of tensors that may not.
        loss: the largest difference seen on an output, as a share of its scale.
        reason: in a sentence, with what it was measured on.
    """

    half: bool
    wide: frozenset[str] = frozenset()
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
    names = frozenset(str(name) for name in wide) if isinstance(wide, list) else frozenset[str]()
    return Halves(bool(value.get("half")), names, float(value.get("loss", 0)), str(value.get("reason", "")))


def remember(memory: Memory, found: Halves) -> None:
    """Keeps it on disk."""
    memory.choices[_KEY] = {
        "half": found.half, "wide": sorted(found.wide), "loss": found.loss, "reason": found.reason,
    }  # fmt: skip
    memory.save()


def choose(
    path: Path, model: Model, device: Device, target: Target, samples: Sequence[Sequence[Array]] | None
) -> Halves:
    """Finds out what may be stored in 16 bits.

    Args:
        path, model: the file and what was read from it.
        device, target: what it is going to run on, in 32 bits.
        samples: inputs as they come; None takes noise, which the reason says.

    Raises:
        ModelError: the model cannot be run.
    """
    trial = _Trial(path, model, device, target)
    wanted, feeds = trial.wide_answers(samples)
    told = f"on {len(feeds)} samples" if samples else "on noise, not on samples"
    large = overflowing(path, model, feeds)
    if large is None:
        return Halves(False, reason="LiteRT cannot run it operator by operator: it stays in 32 bits")
    loss = trial.loss(large, feeds, wanted)
    if loss <= LOSS:
        return Halves(True, large, loss, f"f16 loses {loss:.2g} {told}; {len(large) - 1} tensors stay f32")
    wide = _by_blocks(trial, model.main, large, feeds, wanted)
    final = trial.loss(wide, feeds, wanted)
    if final > LOSS or wide >= _written(model.main):
        return Halves(False, reason=f"f16 would lose {loss:.2g} {told}, more than {LOSS:g}")
    kept = len(wide & _written(model.main))
    return Halves(True, wide, final, f"f16 loses {final:.2g} {told}; {kept} tensors stay f32")


def overflowing(path: Path, model: Model, feeds: Sequence[Sequence[Array]]) -> frozenset[str] | None:
    """Returns: names of the tensors whose numbers come near to the end of f16, and "", whose tensors nobody
    can tell apart; None where LiteRT does not keep its intermediate values."""
    found: set[str] = {""}
    try:
        runner = LITERT.load(path, model, options={"kernels": "builtin", "preserve_tensors": True})
    except (ModelError, RunError):
        return None
    graph = model.main
    seen = {index for node in graph.nodes for index in (*node.inputs, *node.outputs) if index >= 0}
    floats = [i for i in seen if graph.tensors[i].dtype.is_float and not graph.tensors[i].is_constant]
    try:
        for feed in feeds:
            runner.run(feed)
            for index in floats:
                values = runner.tensor(index)
                if not np.isfinite(values).all() or np.abs(values).max(initial=0) * MARGIN > LARGEST:
                    found.add(graph.tensors[index].name)
    except RunError:
        return None
    finally:
        runner.close()
    return frozenset(found)


def _written(graph: Graph) -> frozenset[str]:
    names = (graph.tensors[i] for node in graph.nodes for i in node.outputs)
    return frozenset(tensor.name for tensor in names if tensor.dtype.is_float)


def _by_blocks(
    trial: _Trial, graph: Graph, large: frozenset[str], feeds: Sequence[Sequence[Array]],
    wanted: Sequence[Sequence[Array]],
) -> frozenset[str]:  # fmt: skip
    """Returns: the names that have to stay wide so that the loss keeps its bound."""
    every = _written(graph) | {graph.tensors[i].name for i in graph.inputs}
    size = -(-len(graph.nodes) // BLOCKS)
    blocks = []
    for start in range(0, len(graph.nodes), size):
        given = {graph.tensors[i].name for n in graph.nodes[start : start + size] for i in n.outputs}
        blocks.append((frozenset(given - large), start))
    losses = {start: trial.loss(large | (every - names), feeds, wanted) for names, start in blocks if names}
    wide = large | every
    for names, start in sorted(blocks, key=lambda block: losses.get(block[1], inf)):
        if losses.get(start, inf) > LOSS:
            break
        if trial.loss(wide - names, feeds, wanted) <= LOSS:
            wide = wide - names
    return wide


class _Trial:
    """Runs the model with one storage after the other."""

    def __init__(self, path: Path, model: Model, device: Device, target: Target) -> None:
        self._path, self._model, self._device = path, model, device
        self._target = replace(target, half=False, wide=frozenset())

    def wide_answers(
        self, samples: Sequence[Sequence[Array]] | None
    ) -> tuple[list[list[Array]], list[list[Array]]]:
        """Returns: the answers in 32 bits, and what was fed."""
        runner = self._load(self._target)
        try:
            zeros = [np.zeros(port.type.shape, port.type.dtype.numpy) for port in runner.inputs]
            feeds = [list(feed) for feed in samples or [list(map(noise, zeros, runner.inputs))]]
            answers = []
            for feed in feeds:
                runner.reset()
                answers.append(runner.run(feed))
            return answers, feeds
        finally:
            runner.close()

    def loss(
        self, wide: frozenset[str], feeds: Sequence[Sequence[Array]], wanted: Sequence[Sequence[Array]]
    ) -> float:
        """Returns: the largest difference of an output, as a share of its scale."""
        runner = self._load(replace(self._target, half=True, wide=wide))
        worst = 0.0
        try:
            for feed, right in zip(feeds, wanted, strict=True):
                runner.reset()
                worst = max([worst, *map(_difference, runner.run(feed), right)])
        finally:
            runner.close()
        return worst

    def _load(self, target: Target) -> WebGPURunner:
        return WebGPURunner(self._path, self._model, self._device, target, Options(trust=True))


def _difference(mine: Array, wanted: Array) -> float:
    if mine.shape != wanted.shape:
        return inf
    if wanted.dtype.kind != "f":
        return 0.0 if np.array_equal(mine, wanted) else inf
    if not np.isfinite(mine[np.isfinite(wanted)]).all():
        return inf
    apart = np.abs(mine.astype(np.float64) - wanted)
    scale = float(np.max(np.abs(wanted), initial=1e-6, where=np.isfinite(wanted)))
    return float(np.max(apart, initial=0.0, where=np.isfinite(apart))) / scale
