"""Does the GPU engine leak, and what does a call cost the host? Prints one JSON document.

    python benchmarks/gpu_soak.py [--sessions 200] [--calls 10000] [--kernels 60] [--threads 4]

Sessions of one model and of different ones are made, called and closed; one session is called many times,
from several threads as well, and another with ever other input shapes. Memory of the process (on a software
adapter that of the GPU, too) and the library's count of its own objects are compared with those after
a fifth of it. Exits with 1 if memory grew by more than 4 MB, an object was left, or an answer was wrong. The
host's cost is taken of a program of ``--kernels`` kernels on almost no data, in both ways of encoding: ahead,
while the GPU works, as everywhere but on software adapters, and before the start, as there.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import sanderling as sd
from sanderling.engines.webgpu.driver.device import open_device
from sanderling.engines.webgpu.runner import WebGPURunner
from tests.models import Net, classifier, save

MOST_BYTES = 4 * 2**20  # what Python's own allocator may do


def resident() -> int:
    """Returns: bytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def objects() -> dict[str, int]:
    """Returns: the library's own objects: buffers, bind groups, pipelines …; {} where it does not count."""
    return open_device().adapter.library.objects()


class Growth:
    """Memory and objects, at the first fifth and at the end."""

    def __init__(self) -> None:
        self.first: tuple[int, dict[str, int]] | None = None

    def mark(self, done: int, count: int) -> None:
        if self.first is None and done >= count // 5:
            gc.collect()
            self.first = resident(), objects()

    def row(self) -> dict[str, Any]:
        assert self.first is not None
        gc.collect()
        now, (memory, before) = objects(), self.first
        more = {name: now[name] - before.get(name, 0) for name in now}
        return {"memory_bytes": resident() - memory, "objects": {n: m for n, m in more.items() if m}}


def sessions(path: Path, count: int) -> dict[str, Any]:
    """Makes, calls and closes sessions."""
    growth, x = Growth(), np.ones((1, 12, 12, 1), np.float32)
    for number in range(count):
        with sd.Session(path, engine="webgpu") as session:
            session(x)
        growth.mark(number + 1, count)
    return growth.row()


def models(folder: Path, count: int) -> dict[str, Any]:
    """As ``sessions``, of a fifth as many models, again and again: then all kernels are known."""
    growth = Growth()
    for turn in range(count):
        number = turn % max(1, count // 5)
        shape = (1, 8 + number % 9, 8, 1 + number % 5)
        net = Net(shape, number)
        for layer in range(1 + number % 4):
            net.conv(1 + (7 * number + layer) % 13)
        with sd.Session(save(net.model(), folder / f"{number}.tflite"), engine="webgpu") as session:
            session(np.random.default_rng(number).random(shape).astype(np.float32))
        growth.mark(turn + 1, count)
    return growth.row()


def shapes(folder: Path, count: int) -> dict[str, Any]:
    """Calls one session with fifty input shapes, of which it keeps the plans of a few."""
    model, growth = Net((1, 12, 12, 1)).conv(8).pool().conv(4).model(), Growth()
    first, *others = model.main.tensors
    first = replace(first, shape_signature=(-1, -1, 12, 1))
    path = save(model.with_main(replace(model.main, tensors=(first, *others))), folder / "resizable.tflite")
    with sd.Session(path, engine="webgpu") as session:
        for number in range(count):
            session(np.ones((1 + number % 10, 12 + number % 5, 12, 1), np.float32))
            growth.mark(number + 1, count)
        return growth.row()


def calls(path: Path, count: int, threads: int) -> dict[str, Any]:
    """Calls one session, the last half from several threads."""
    growth = Growth()
    x = np.random.default_rng(0).random((1, 12, 12, 1)).astype(np.float32)
    with sd.Session(path, engine="webgpu") as session, ThreadPoolExecutor(threads) as pool:
        wanted = np.asarray(session(x))
        for number in range(count // 2):
            session(x)
            growth.mark(number + 1, count // 2)
        wrong = 0
        for _ in range(count // 200):  # in small lots: the pool keeps what it has yet to hand out
            answers = pool.map(lambda _: session(x), range(100))
            wrong += sum(not np.array_equal(answer, wanted) for answer in answers)
        return {**growth.row(), "wrong": wrong}


def host(folder: Path, kernels: int, *, ahead: bool, count: int = 1000) -> dict[str, Any]:
    """Returns: medians in µs: from the call to the wait (of it writing and submitting), encoding, the wait,
    the whole call; and the number of kernels.

    Args:
        ahead: encode for the next call while the GPU works, as on every adapter but software ones, instead of
            before the start.
    """
    net = Net((1, 4, 4, 8))
    for _ in range(kernels):
        net.conv(8)
    x = np.random.default_rng(0).random((1, 4, 4, 8)).astype(np.float32)
    device = open_device()
    usual, device.ahead = device.ahead, ahead
    times: dict[str, list[float]] = {n: [] for n in ("before_wait", "start", "encode", "finish", "call")}
    began = [0.0]

    def watched(name: str, function: Any) -> Any:
        def call(*given: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*given)
            finally:
                end = time.perf_counter()
                times[name].append(1e6 * (end - begin))
                if name == "start":
                    times["before_wait"].append(1e6 * (end - began[0]))

        return call

    with sd.Session(save(net.model(), folder / "chain.tflite"), engine="webgpu") as session:
        for _ in range(20):
            session(x)
        for name in ("start", "encode", "finish"):
            setattr(device, name, watched(name, getattr(device, name)))
        for _ in range(count):
            began[0] = time.perf_counter()
            session(x)
            times["call"].append(1e6 * (time.perf_counter() - began[0]))
        for name in ("start", "encode", "finish"):
            delattr(device, name)
        runner = session._runner
        assert isinstance(runner, WebGPURunner)
        found = {"kernels": len(runner.program.dispatches)}
    device.ahead = usual
    return {**found, **{f"{name}_us": round(median(values), 1) for name, values in times.items()}}


def main() -> None:
    """Runs everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--calls", type=int, default=10000)
    parser.add_argument("--kernels", type=int, default=60)
    parser.add_argument("--threads", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = save(classifier(), folder / "m.tflite")
        rows = {
            "sessions": sessions(path, given.sessions),
            "models": models(folder, given.sessions),
            "shapes": shapes(folder, given.sessions),
            "calls": calls(path, given.calls, given.threads),
        }
        costs = {
            "host_encoded_ahead": host(folder, given.kernels, ahead=True),
            "host_encoded_before": host(folder, given.kernels, ahead=False),
        }
        told = {"adapter": open_device().adapter.identity, **rows, **costs}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    sys.exit(any(grew(row) for row in rows.values()))


def grew(row: dict[str, Any]) -> bool:
    """Returns: whether a row tells of a leak, or of wrong answers."""
    return (
        row["memory_bytes"] > MOST_BYTES
        or max(row["objects"].values(), default=0) > 0
        or row.get("wrong", 0) > 0
    )


if __name__ == "__main__":
    main()
