"""Finds the fastest variant of every kernel of a model by timing them on the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from sanderling.engines.webgpu.compiler.choice import WIDTHS, WORKGROUP
from sanderling.engines.webgpu.compiler.compile import Target, compile_graph
from sanderling.engines.webgpu.compiler.half import halved, limits_of
from sanderling.engines.webgpu.compiler.joint import APART, Pair, pairs
from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.driver.clock import Clock
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.pieces.partition import Piece
from sanderling.engines.webgpu.pieces.segment import cut, single
from sanderling.engines.webgpu.tuned import signature
from sanderling.errors import CompileError, RunError
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Verdict

BUDGET_S = 5.0
GAIN = 0.97  # another variant than the default has to take at most this share of its time
WIDTH_GAIN = 0.93  # the same for another width of workgroups, which is one more pipeline for a kernel in use
_ROUNDS = 3

Tell = Callable[[str], None]


@dataclass(slots=True)
class Tuning:
    """What was found.

    Attributes:
        fastest: signature of an operator → name of its fastest variant; the default's, where that is it.
        before_ms, after_ms: sums over the model's operators that were timed, alone and unfused.
        timed, distinct: different operators that were timed, and how many there are to choose for.
        seconds: that it took.
    """

    fastest: dict[str, str] = field(default_factory=dict)
    before_ms: float = 0.0
    after_ms: float = 0.0
    timed: int = 0
    distinct: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        if not self.distinct:
            return "nothing to tune: no kernel has variants, or all were tuned before"
        left = "" if self.timed == self.distinct else f" of {self.distinct}"
        ended = "" if not left else "; the time was up"
        return (
            f"tuned {self.timed}{left} different operators in {self.seconds:.1f} s:"
            f" {self.before_ms:.3g} ms → {self.after_ms:.3g} ms{ended}"
        )


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Operators of one signature, one of them as a model of its own."""

    key: str
    model: Model
    count: int
    names: tuple[str, ...]


def tune(
    model: Model,
    device: Device,
    target: Target,
    *,
    budget_s: float = BUDGET_S,
    known: Mapping[str, str] | None = None,
    tell: Tell | None = None,
) -> Tuning:
    """Times the variants of every different operator of a model's main graph.

    The operators that take longest come first; what the time does not suffice for keeps its default.

    Args:
        model: shapes are known; nodes that no GPU runs are left out.
        device: where.
        target: what to compile for.
        budget_s: seconds that may be spent; at least one operator is timed.
        known: signatures that need not be timed.
        tell: is called with a line for people after every operator.
    """
    start = time.monotonic()
    work = _Tuner(device, target, dict(known or {}), start + budget_s, tell or (lambda line: None))
    waiting = list(_candidates(model, target, work.known))
    work.found.distinct = len(waiting)
    defaults: dict[str, float] = {}
    for one in waiting:
        if defaults and time.monotonic() - start > budget_s / 2:
            break  # what is left has to wait for another time
        defaults[one.key] = work.seconds(one.model, one.names[0])
    for one in sorted((c for c in waiting if c.key in defaults), key=lambda c: -defaults[c.key] * c.count):
        if not work.time_left():
            break
        work.single(one, defaults[one.key])
    if not target.kernels.software:  # where waiting for each other costs more than anything it saves
        for pair, count in _pairs(model, target):
            if pair.key not in work.known and work.time_left():
                work.pair(model, pair, count)
    work.found.seconds = time.monotonic() - start
    return work.found


class _Tuner:
    """Times what is chosen among, and keeps what was fastest."""

    def __init__(
        self, device: Device, target: Target, known: dict[str, str], until: float, tell: Tell
    ) -> None:
        self._device, self._target, self._until, self._tell = device, target, until, tell
        self._clock = Clock(device)
        self.known, self.found = known, Tuning()

    def time_left(self) -> bool:
        """Says whether there is time for one more; for the first operator there always is."""
        return not self.found.timed or time.monotonic() <= self._until

    def single(self, one: _Candidate, default_s: float) -> None:
        """Chooses for the operators of one signature."""
        times = {one.names[0]: default_s}
        for name in one.names[1:]:
            if self.time_left():
                times[name] = self.seconds(one.model, name)
        best = min(times, key=lambda name: times[name])
        if times[best] > GAIN * default_s:
            best = one.names[0]
        if not self._target.kernels.software:  # there a thread's work is a round of a loop
            best = self._width(one, best, times)
        self.found.timed += 1
        self.found.before_ms += 1e3 * one.count * default_s
        self.found.after_ms += 1e3 * one.count * times[best]
        self._keep(one.model, one.key, best, default_s, times[best])

    def _width(self, one: _Candidate, best: str, times: dict[str, float]) -> str:
        """Returns: the variant, in workgroups of another width where that is worth a pipeline of its own."""
        bound = WIDTH_GAIN * times[best]
        for width in WIDTHS:
            if self.time_left() and width != WORKGROUP[0] and width <= self._target.kernels.invocations:
                times[f"{best}@{width}"] = self.seconds(one.model, f"{best}@{width}")
        fastest = min(times, key=lambda name: times[name])
        return fastest if times[fastest] <= bound else best

    def pair(self, model: Model, pair: Pair, count: int) -> None:
        """Chooses between one kernel and two for two operators, of which there are ``count`` alike."""
        both = cut(model, _piece(model.main, pair))
        before, after = (
            self.seconds(both, "", {**self.known, pair.key: name}) for name in (APART, pair.variant.name)
        )
        wins = after <= GAIN * before
        name, seconds = (pair.variant.name, after) if wins else (APART, before)
        self.found.after_ms -= 1e3 * count * (before - seconds)
        self._keep(both, pair.key, name, before, seconds)

    def _keep(self, model: Model, key: str, name: str, before_s: float, after_s: float) -> None:
        self.known[key] = self.found.fastest[key] = name
        shape = "×".join(map(str, model.main.tensors[model.main.outputs[0]].shape))
        kinds = " + ".join(node.kind for node in model.main.nodes)
        self._tell(f"{kinds} {shape}: {name} ({before_s / after_s if after_s else 1.0:.2f}×)")

    def seconds(self, model: Model, name: str, tuned: Mapping[str, str] | None = None) -> float:
        """Returns: seconds of a small model's kernels, without those that only move its operands; infinite
        where the device refuses them.

        Args:
            name: of the first node's variant, "" for what ``tuned`` says.
            tuned: see ``Target``.
        """
        target, choose = replace(self._target, tuned=tuned or {}), {0: name} if name else {}
        try:
            program = compile_graph(
                model.main, model.input_names(), model.output_names(), target, choose=choose
            )
            executor = Executor(program, self._device)
        except (CompileError, RunError):
            return float("inf")
        try:
            kernels = zip(executor.kernels(), program.dispatches, strict=True)
            return sum(self._clock.seconds([k for k, told in kernels if told.nodes], rounds=_ROUNDS))
        finally:
            executor.close()


def _pairs(model: Model, target: Target) -> list[tuple[Pair, int]]:
    """Returns: pairs of operators that one kernel can compute, each with the number of those like it."""
    every: dict[str, list[Pair]] = {}
    for pair in pairs(model.main, target.kernels, half=target.half, wide=target.wide).values():
        every.setdefault(pair.key, []).append(pair)
    return [(alike[0], len(alike)) for alike in every.values()]


def _piece(graph: Graph, pair: Pair) -> Piece:
    first, second = (graph.nodes[position] for position in (pair.first, pair.second))
    read = (index for index in (*first.inputs, *second.inputs) if index >= 0 and index not in first.outputs)
    entering = tuple(dict.fromkeys(index for index in read if not graph.tensors[index].is_constant))
    return Piece("gpu", (pair.first, pair.second), entering, second.outputs)


def _candidates(model: Model, target: Target, known: Mapping[str, str]) -> Iterator[_Candidate]:
    graph = model.main
    groups: dict[str, list[int]] = {}
    for position, node in enumerate(graph.nodes):
        half = halved(graph, node, half=target.half, wide=target.wide)
        groups.setdefault(signature(graph, node, half=half), []).append(position)
    for key, positions in groups.items():
        first = graph.nodes[positions[0]]
        limits = limits_of(graph, first, target.kernels, half=target.half, wide=target.wide)
        ways = variants(graph, first, limits)
        if key in known or isinstance(ways, Verdict) or len(ways) < 2:
            continue
        alone = cut(model, single(graph, positions[0]))
        yield _Candidate(key, alone, len(positions), tuple(way.name for way in ways))
