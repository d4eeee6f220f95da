"""Where the time of a call goes: a row per kernel, and what lies around them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import prod
from statistics import median
from typing import Any

from sanderling.engines.trust import noise
from sanderling.engines.webgpu.compiler.program import Dispatch
from sanderling.engines.webgpu.driver.clock import Clock
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.pieces.loaded import Loaded
from sanderling.engines.webgpu.pieces.segment import CpuSegment
from sanderling.engines.webgpu.runner import WebGPURunner
from sanderling.graph.graph import Graph
from sanderling.graph.types import Array
from sanderling.ops.registry import find_for

SCHEMA_VERSION = 1
ROUNDS = 10


@dataclass(frozen=True, slots=True)
class KernelRow:
    """One kernel, or a piece of the model that LiteRT runs on the CPU.

    Attributes:
        kernel: its name; "litert" for a piece on the CPU.
        operators: kinds of the operators that it computes, those fused into it among them; empty where it
            only moves an input or output into place.
        output: name of the tensor that it makes; "" for none.
        ms: median.
        share: of all rows' time.
        macs: multiply-accumulates; None where they are not known.
        bytes: that it reads and writes at least.
        gflops, gb_per_s: from these, two operations a multiply-accumulate.
    """

    kernel: str
    operators: tuple[str, ...]
    output: str
    ms: float
    share: float
    macs: int | None
    bytes: int
    gflops: float | None
    gb_per_s: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Where a call's time goes.

    Attributes:
        adapter: the GPU.
        clock: ``"gpu"`` (time stamps) or ``"host"`` (repetition), by which kernels were timed.
        rows: in the order in which they run.
        total_ms: a whole call, median.
        upload_ms, readback_ms: inputs to the GPU and outputs back, alone.
        kernels_ms: sum of the rows on the GPU; cpu_ms: of those on the CPU.
        other_ms: the rest: encoding, submitting, waiting, gaps between kernels.
        pipelines: different kernels that were compiled.
    """

    adapter: str
    clock: str
    rows: tuple[KernelRow, ...]
    total_ms: float
    upload_ms: float
    kernels_ms: float
    cpu_ms: float
    readback_ms: float
    other_ms: float
    pipelines: int

    def to_json(self) -> dict[str, Any]:
        """Returns: the whole as plain values."""
        return {"schema_version": SCHEMA_VERSION, "engine": "webgpu", **asdict(self)}

    def trace(self) -> dict[str, Any]:
        """Returns: the same as a trace that Perfetto and chrome://tracing show."""
        events: list[dict[str, Any]] = []
        now = 0.0

        def add(name: str, ms: float, lane: int, **told: object) -> None:
            nonlocal now
            events.append(
                {"name": name, "ph": "X", "ts": now, "dur": 1e3 * ms, "pid": 1, "tid": lane, "args": told}
            )
            now += 1e3 * ms

        lanes = {1: "host", 2: self.adapter, 3: "CPU (LiteRT)"}
        for lane, name in lanes.items():
            told = {"name": name}
            events.append({"name": "thread_name", "ph": "M", "pid": 1, "tid": lane, "args": told})
        add("upload", self.upload_ms, 1)
        for row in self.rows:
            name = " + ".join(row.operators) or row.kernel
            lane = 3 if row.kernel == "litert" else 2
            add(name, row.ms, lane, kernel=row.kernel, output=row.output, macs=row.macs, bytes=row.bytes)
        add("readback", self.readback_ms, 1)
        add("encode, submit, wait", self.other_ms, 1)
        return {"traceEvents": events, "displayTimeUnit": "ms"}


def profile(runner: WebGPURunner, inputs: Sequence[Array] | None = None, *, rounds: int = ROUNDS) -> Profile:
    """Times a loaded model, kernel by kernel.

    Args:
        runner: the model.
        inputs: what to feed; noise where it is None.
        rounds: how often everything is timed; medians count.

    Raises:
        RunError: the GPU failed.
    """
    fed = list(inputs) if inputs is not None else _noise(runner)
    total = _seconds(lambda: runner.run(fed), rounds)
    loaded, states = runner.loaded, runner.states
    values = loaded.run([*fed, *states])
    found: list[tuple[KernelRow, bool]] = []
    upload = readback = 0.0
    texts: set[str] = set()
    for piece, segment in zip(loaded.plan.pieces, loaded.segments, strict=True):
        feed = [values[i] for i in piece.inputs]
        if isinstance(segment, CpuSegment):
            found.append((_cpu_row(loaded, piece.nodes, segment, feed, rounds), False))
            continue
        executor = segment.executor
        times = Clock(executor.device).seconds(executor.kernels(), rounds=rounds)
        dispatches = executor.program.dispatches
        parts = _parts(dispatches)
        rows = [_row(segment.graph, *one) for one in zip(dispatches, times, parts, strict=True)]
        found += [(row, True) for row in rows]
        texts.update(executor.program.shaders)
        up, down = _crossing(executor, feed, rounds)
        upload, readback = upload + up, readback + down
    on_gpu = sum(row.ms for row, gpu in found if gpu)
    on_cpu = sum(row.ms for row, gpu in found if not gpu)
    whole = (on_gpu + on_cpu) or 1.0
    device = runner.device
    return Profile(
        device.adapter.name,
        "gpu" if Clock(device).precise else "host",
        tuple(_shared(row, whole) for row, _ in found),
        1e3 * total, upload, on_gpu, on_cpu, readback,
        max(0.0, 1e3 * total - upload - on_gpu - on_cpu - readback),
        len(texts),
    )  # fmt: skip


def _noise(runner: WebGPURunner) -> list[Array]:
    import numpy as np

    return [noise(np.zeros(port.type.shape, port.type.dtype.numpy), port) for port in runner.inputs]


def _seconds(call: Callable[[], object], rounds: int) -> float:
    """Returns: the median time of a call, after one that does not count."""
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def _parts(dispatches: Sequence[Dispatch]) -> list[float]:
    """Returns: the share of its operators' arithmetic that each dispatch does, by workgroups: several may
    write parts of one value."""

    def written(dispatch: Dispatch) -> tuple[object, ...]:
        return dispatch.nodes, next(slot.value for slot in dispatch.slots if slot.writes)

    sums: Counter[tuple[object, ...]] = Counter()
    for one in dispatches:
        sums[written(one)] += prod(one.groups)
    return [prod(one.groups) / sums[written(one)] for one in dispatches]


def _row(graph: Graph, dispatch: Dispatch, seconds: float, part: float) -> KernelRow:
    nodes = [graph.nodes[p] for p in dispatch.nodes]
    whole = _macs(graph, dispatch.nodes)
    macs = None if whole is None else round(whole * part)
    moved = sum(slot.size for slot in dispatch.slots if not slot.uniform)
    output = graph.tensors[nodes[-1].outputs[0]].name if nodes and nodes[-1].outputs else ""
    kinds = tuple(node.kind for node in nodes)
    return _told(dispatch.label, kinds, output, seconds, macs, moved)


def _cpu_row(
    loaded: Loaded, positions: Sequence[int], segment: CpuSegment, feed: list[Array], rounds: int
) -> KernelRow:
    graph = loaded.graph
    nodes = [graph.nodes[p] for p in positions]
    seconds = _seconds(lambda: segment.run(feed), rounds)
    output = graph.tensors[nodes[-1].outputs[0]].name if nodes[-1].outputs else ""
    moved = sum(array.nbytes for array in feed)
    kinds = tuple(node.kind for node in nodes)
    return _told("litert", kinds, output, seconds, _macs(graph, positions), moved)


def _told(
    kernel: str, kinds: tuple[str, ...], output: str, seconds: float, macs: int | None, moved: int
) -> KernelRow:
    rate = 1e-9 / seconds if seconds > 0 else 0.0
    gflops = None if macs is None else 2 * macs * rate
    return KernelRow(kernel, kinds, output, 1e3 * seconds, 0.0, macs, moved, gflops, moved * rate)


def _shared(row: KernelRow, whole_ms: float) -> KernelRow:
    return KernelRow(**{**asdict(row), "operators": row.operators, "share": row.ms / whole_ms})


def _macs(graph: Graph, positions: Sequence[int]) -> int | None:
    """Returns: multiply-accumulates of these nodes; None where one of them does not tell."""
    total = 0
    for position in positions:
        node = graph.nodes[position]
        op = find_for(node)
        if op is None:
            return None
        total += op.cost(node, graph.operands(node), graph.results(node)).macs
    return total


def _crossing(executor: Executor, feed: Sequence[Array], rounds: int) -> tuple[float, float]:
    """Returns: milliseconds that inputs take to the GPU, and outputs back."""
    nothing = _seconds(lambda: executor.crossing([], read=False), rounds)
    up = _seconds(lambda: executor.crossing(feed, read=False), rounds)
    down = _seconds(lambda: executor.crossing([], read=True), rounds)
    return 1e3 * max(0.0, up - nothing), 1e3 * max(0.0, down - nothing)
