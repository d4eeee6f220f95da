"""``engine="auto"``: is this model faster on the GPU? Estimates propose a few plans, timing decides.

Timing is skipped where the answer is plain: no GPU, one that is only the processor itself, or a model that
the CPU has finished before a GPU would have begun. What was measured is remembered on disk.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from sanderling.engines.engine import Runner
from sanderling.engines.litert import ENGINE as LITERT
from sanderling.engines.trust import noise
from sanderling.engines.webgpu.driver import adapters as gpus
from sanderling.engines.webgpu.driver import device as devices
from sanderling.engines.webgpu.engine import Wanted, checked, precise
from sanderling.engines.webgpu.pieces.partition import Plan, Rates
from sanderling.engines.webgpu.pieces.verdicts import pinned
from sanderling.engines.webgpu.remember import Memory, hash_of, recall
from sanderling.engines.webgpu.runner import Options, WebGPURunner
from sanderling.errors import CompileError, ModelError, RunError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.settings import cores, settings

BEST = 3  # plans that are timed, beside as much on the GPU as possible and all on the CPU
ROUNDS, SECONDS = 8, 2.0  # of timing, whichever ends first
LEAST, BLOCK_MS = 4, 25.0  # calls and milliseconds of each in a turn
SIMPLER = 1.1  # times the fastest plan's time that one in fewer pieces may take
TOO_SMALL_MS = 0.1  # a GPU takes longer than this to be asked at all
GAIN = 0.95  # of the CPU's time: less is no reason to need a GPU
_GPU_FILES = ("dri", "nvidia0", "nvidiactl", "dxg", "kgsl-3d0", "mali0")


@dataclass(frozen=True, slots=True)
class Choice:
    """Who runs a model: a loaded runner on the GPU, or None for the CPU; and why, in one sentence."""

    runner: WebGPURunner | None
    reason: str


@dataclass(frozen=True, slots=True)
class Rival:
    """What runs the model where no GPU is faster: an engine's name, and what loads the model into it."""

    engine: str
    load: Callable[[], Runner]


def propose(
    path: Path,
    model: Model,
    *,
    threads: int = 1,
    options: Mapping[str, object] | None = None,
    rival: Rival | None = None,
) -> Choice:
    """Chooses between the CPU and the GPU.

    Args:
        path: the model's file.
        model: what was read from it.
        threads: of the CPU.
        options: those of the engine; naming a ``device`` here or in ``SANDERLING_DEVICE`` has it timed even
            where it is a software adapter.
        rival: what the GPU is compared with; None: LiteRT.
    """
    wanted, half, how = checked(options, threads)
    pinned(model.main, how.pins)  # a wrong wish is told even where no GPU would follow it
    named = wanted.device is not None or bool(settings().device)
    told = _plainly_cpu(model, named, half)
    if told:
        return Choice(None, told)
    try:
        found = gpus.adapters(wanted.library)
    except (ImportError, OSError, RuntimeError) as error:
        return Choice(None, f"the CPU runs it: the WebGPU library cannot be used ({error})")
    if not found:
        return Choice(None, f"the CPU runs it: there is no GPU adapter; {gpus.no_adapter(wanted.library)}")
    adapter = gpus.choose(wanted.device, wanted.library)
    if adapter.software and not named:
        return Choice(None, f"the CPU runs it: the only GPU adapter, {adapter.name}, is the CPU itself")
    try:
        return _timed(path, model, wanted, half, how, options or {}, rival or _litert(path, model, threads))
    except (CompileError, ModelError, RunError) as error:
        return Choice(None, f"the CPU runs it: {adapter.name} failed ({error.what})")


def _litert(path: Path, model: Model, threads: int) -> Rival:
    return Rival("litert", lambda: LITERT.load(path, model, threads=threads))


def gpu_files() -> list[str]:
    """Returns: the files of Linux that show a GPU; [] where there are none, and on other systems."""
    return [name for name in _GPU_FILES if Path("/dev", name).exists()]


def _plainly_cpu(model: Model, named: bool, half: bool) -> str:
    """Returns: why no GPU needs to be looked for, "" where one does."""
    if not named and sys.platform == "linux" and not gpu_files():
        return "the CPU runs it: this machine shows no GPU"
    graph, rates = model.main, Rates()
    estimate = sum(rates.times(graph, node)[0] for node in graph.nodes)
    if not named and not half and estimate < TOO_SMALL_MS:
        return f"the CPU runs it: it takes about {estimate:.2g} ms there, less than asking a GPU"
    return ""


def _timed(
    path: Path,
    model: Model,
    wanted: Wanted,
    half: bool,
    how: Options,
    options: Mapping[str, object],
    rival: Rival,
) -> Choice:
    device = devices.open_device(wanted.device, wanted.library)
    adapter = device.adapter
    memory = recall(hash_of(path), adapter, precision=options.get("precision", "auto"))
    target, reason = precise(path, model, device, half, options, memory, how)
    how = replace(how, rates=_rates(device, how.threads), precision=reason)
    stored = "float16 in part, " if target.half and not half else ""
    against = "" if rival.engine == "litert" else f"against {rival.engine}, "
    key = f"{stored}{against}threads {how.threads} of {cores()}, pins {sorted(how.pins.items(), key=str)}"

    def load(devices_of: Sequence[str] | None) -> WebGPURunner:
        pick = None if devices_of is None else lambda plans: _matching(plans, devices_of)
        return WebGPURunner(path, model, device, target, how, memory, pick)

    known = memory.choices.get(key)
    if known is not None:
        plan = known.get("plan")
        reason = str(known.get("reason", "measured before"))
        return Choice(load(list(map(str, plan))) if isinstance(plan, list) else None, reason)
    seen: list[Plan] = []
    first = WebGPURunner(path, model, device, target, how, memory, lambda plans: _keep(plans, seen))
    runners = {signature(first.plan): first}
    for plan in _candidates(seen):
        if signature(plan) not in runners:
            runners[signature(plan)] = load(signature(plan))
    return _race(runners, memory, key, rival, adapter.name)


def _keep(plans: list[Plan], seen: list[Plan]) -> Plan:
    seen[:] = plans
    return next((plan for plan in plans if plan.partitions), plans[0])


def _candidates(plans: Sequence[Plan]) -> list[Plan]:
    """Returns: the cheapest plans with a GPU in them, and the one with the most on it."""
    with_gpu = [plan for plan in plans if plan.partitions]
    most = max(with_gpu, key=lambda p: sum(d == "gpu" for d in p.device_of().values()), default=None)
    return [*with_gpu[:BEST], *([most] if most else [])]


def signature(plan: Plan) -> tuple[str, ...]:
    """Returns: the device of every node, in the graph's order."""
    devices_of = plan.device_of()
    return tuple(devices_of[position] for position in sorted(devices_of))


def _matching(plans: Sequence[Plan], wanted: Sequence[str]) -> Plan:
    return next((plan for plan in plans if signature(plan) == tuple(wanted)), plans[0])


def _race(
    runners: dict[tuple[str, ...], WebGPURunner],
    memory: Memory,
    key: str,
    rival: Rival,
    name: str,
) -> Choice:
    """Times all of them in turns and keeps the fastest."""
    everyone: list[Runner] = [*runners.values()]
    refused = ""
    try:
        everyone.append(rival.load())
    except ModelError as error:
        refused = error.what
    times = _measure(everyone)
    plans = list(runners.values())
    near = [n for n in range(len(plans)) if times[n] <= SIMPLER * min(times[: len(plans)])]
    best = min(near, key=lambda n: (len(plans[n].plan.pieces), times[n]))
    fastest = plans[best]
    on_gpu = bool(refused) or times[best] < GAIN * times[-1]
    if refused:
        reason = f"the GPU ({name}) runs it, for the CPU cannot: {refused}"
    elif on_gpu:
        reason = f"the GPU ({name}) answers in {times[best]:.3g} ms, the CPU in {times[-1]:.3g} ms"
    else:
        reason = f"the CPU answers in {times[-1]:.3g} ms, the GPU ({name}) in {times[best]:.3g} ms at best"
    for runner in everyone:
        if not (on_gpu and runner is fastest):
            runner.close()
    kept: dict[str, Any] = {"reason": reason, "plan": list(signature(fastest.plan)) if on_gpu else None}
    memory.choices[key] = kept
    memory.save()
    if on_gpu:
        fastest.reset()
    return Choice(fastest if on_gpu else None, reason)


def _measure(runners: Sequence[Runner]) -> list[float]:
    """Returns: the median milliseconds of each, called on noise, a few times in a row and then the next."""
    ports = runners[0].inputs
    inputs: list[Array] = [noise(np.zeros(p.type.shape, p.type.dtype.numpy), p) for p in ports]
    times: list[list[float]] = [[] for _ in runners]
    until = time.perf_counter() + SECONDS
    for turn in range(ROUNDS + 1):
        for runner, found in zip(runners, times, strict=True):
            block = [_once(runner, inputs)]  # in a row: a processor that was just left alone is slow at first
            while len(block) < LEAST or sum(block) < BLOCK_MS:
                block.append(_once(runner, inputs))
            if turn:  # the first calls compare with LiteRT and fill caches
                found += block[len(block) // 2 :]
        if turn and time.perf_counter() > until:
            break
    return [median(found) for found in times]


def _once(runner: Runner, inputs: Sequence[Array]) -> float:
    start = time.perf_counter()
    runner.run(inputs)
    return 1e3 * (time.perf_counter() - start)


def _rates(device: devices.Device, threads: int) -> Rates:
    """Returns: what is to be expected of this processor and GPU; copies are measured."""
    switch_ms, copy_bytes = device.copy_cost()
    rates = Rates(cpu_macs=30e6 * min(threads, cores()), switch_ms=switch_ms, copy_bytes=copy_bytes)
    if device.adapter.software:
        return replace(rates, gpu_macs=3e6, gpu_bytes=4e6, gpu_call_ms=0.02)
    if device.adapter.kind != "DiscreteGPU":
        return replace(rates, gpu_macs=0.3e9, gpu_bytes=25e6, gpu_call_ms=0.008)
    return rates
