"""Finds the fastest variant of every kernel of a model by timing them on the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from sanderling.engines.webgpu.clock import Clock
from sanderling.engines.webgpu.compile import Target, compile_graph
from sanderling.engines.webgpu.device import Device
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.lower import WIDTHS, WORKGROUP, variants
from sanderling.engines.webgpu.segment import cut, single
from sanderling.engines.webgpu.tuned import signature
from sanderling.errors import CompileError, RunError
from sanderling.graph.graph import Model
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
    found = Tuning()
    plain, clock = replace(target, tuned={}), Clock(device)
    waiting = list(_candidates(model, target, known or {}))
    found.distinct = len(waiting)
    defaults: dict[str, float] = {}
    for one in waiting:
        if defaults and time.monotonic() - start > budget_s / 2:
            break  # what is left has to wait for another time
        defaults[one.key] = _time(one, one.names[0], device, plain, clock)
    order = sorted((c for c in waiting if c.key in defaults), key=lambda c: -defaults[c.key] * c.count)
    for one in order:
        if found.timed and time.monotonic() - start > budget_s:
            break
        left = partial(_left, start, budget_s, first=not found.timed)
        times = _times(one, defaults[one.key], device, plain, clock, left)
        best = min(times, key=lambda name: times[name])
        if times[best] > GAIN * times[one.names[0]]:
            best = one.names[0]
        found.fastest[one.key] = best
        found.timed += 1
        found.before_ms += 1e3 * one.count * times[one.names[0]]
        found.after_ms += 1e3 * one.count * times[best]
        if tell is not None:
            shape = "×".join(map(str, one.model.main.tensors[one.model.main.outputs[0]].shape))
            ratio = times[one.names[0]] / times[best] if times[best] else 1.0
            tell(f"{one.model.main.nodes[0].kind} {shape}: {best} ({ratio:.2f}×)")
    found.seconds = time.monotonic() - start
    return found


def _left(start: float, budget_s: float, *, first: bool) -> bool:
    """Returns: whether there is time for one more; for the first operator there always is."""
    return first or time.monotonic() - start <= budget_s


def _times(
    one: _Candidate, default_s: float, device: Device, target: Target, clock: Clock, left: Callable[[], bool]
) -> dict[str, float]:
    """Returns: seconds of an operator's variants, and of the fastest in workgroups of other widths where that
    is worth its pipeline."""
    times = {one.names[0]: default_s}
    for name in one.names[1:]:
        if left():
            times[name] = _time(one, name, device, target, clock)
    best = min(times, key=lambda name: times[name])
    if target.kernels.software:
        return times  # a thread's work is a loop there, whose length does not matter
    for width in WIDTHS:
        if left() and width != WORKGROUP[0] and width <= target.kernels.invocations:
            found = _time(one, f"{best}@{width}", device, target, clock)
            if found <= WIDTH_GAIN * times[best]:
                times[f"{best}@{width}"] = found
    return times


def _candidates(model: Model, target: Target, known: Mapping[str, str]) -> Iterator[_Candidate]:
    graph = model.main
    groups: dict[str, list[int]] = {}
    for position, node in enumerate(graph.nodes):
        groups.setdefault(signature(graph, node, half=target.half), []).append(position)
    for key, positions in groups.items():
        ways = variants(graph, graph.nodes[positions[0]], target.kernels)
        if key in known or isinstance(ways, Verdict) or len(ways) < 2:
            continue
        alone = cut(model, single(graph, positions[0]))
        yield _Candidate(key, alone, len(positions), tuple(way.name for way in ways))


def _time(one: _Candidate, name: str, device: Device, target: Target, clock: Clock) -> float:
    """Returns: seconds of the operator's own kernels; infinite where the device refuses them."""
    graph = one.model.main
    try:
        program = compile_graph(
            graph, one.model.input_names(), one.model.output_names(), target, choose={0: name}
        )
        executor = Executor(program, device)
    except (CompileError, RunError):
        return float("inf")
    try:
        kernels = zip(executor.kernels(), program.dispatches, strict=True)
        return sum(clock.seconds([kernel for kernel, told in kernels if told.nodes], rounds=_ROUNDS))
    finally:
        executor.close()
