"""Peak memory of one model: how much a process grows while it loads and runs it."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sanderling.devices.device import Device
from sanderling.devices.local import LOCAL
from sanderling.errors import RunError
from sanderling.measure.serving import Feed, load_file, run_feeds
from sanderling.runtime.opening import read_file, ready

_RESET_PEAK = "5"  # written to clear_refs: VmHWM starts again from the current size (proc(5))


def measurable() -> bool:
    """Returns: whether this system tells a process's peak memory; Windows does not."""
    return sys.platform == "linux" or find_spec("resource") is not None


def peak_memory(
    path: str | os.PathLike[str],
    engine: str = "litert",
    threads: int = 1,
    feeds: Sequence[Feed] = (),
    *,
    precision: str = "auto",
    timeout: float | None = 120.0,
    device: Device = LOCAL,
) -> int:
    """Measures the peak growth of resident memory in a fresh process that loads and runs the model alone.

    The model file's pages that the engine touches count; Python, NumPy and the engine's library do not.

    Args:
        path: the model file.
        engine, threads, precision: how to run it.
        feeds: what to run it on, a few calls are enough. Each call's outputs are dropped before the next.
        timeout: seconds.
        device: where.

    Returns: bytes.

    Raises:
        WorkerError: it crashed or hung.
        RunError: this system does not tell a process's peak memory (Windows).
    """
    with device.worker("memory worker") as worker:
        grown: int = worker.call(
            "sanderling.measure.memory:measure",
            timeout=timeout,
            doing=f"measuring the memory of {Path(path).name}",
            path=Path(path),
            engine=engine,
            threads=threads,
            precision=precision,
            feeds=list(feeds),
        )
    return grown


def measure(path: str, engine: str, threads: int, precision: str, feeds: Sequence[Feed]) -> int:
    """Loads and runs a model in this process. Called in the worker.

    Returns: bytes by which the peak exceeds what was resident before.
    """
    read = read_file(Path(path))
    ready(read, engine)  # imports its library, which is not the model's memory
    before = begin()
    loaded = load_file(Path(path), engine, threads, precision, read=read)
    for feed in feeds:
        run_feeds(loaded, [feed], real=False)
    growth = grown(before)
    loaded.runner.close()
    return growth


def begin() -> int:
    """Returns: resident bytes of this process, from which ``grown`` counts."""
    _tidy()
    return _reset_peak()


def grown(before: int) -> int:
    """Returns: bytes by which the peak since ``begin`` exceeds what was resident then."""
    return max(0, _peak() - before)


def _tidy() -> None:
    """Gives freed memory back to the system, so that the model cannot hide in it."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
        if trim is not None:
            trim(0)


def _reset_peak() -> int:
    """Returns: resident bytes now. From here on ``_peak`` counts, where the system allows to reset it.

    Where it does not (macOS, sandboxes without ``clear_refs``) the peak since the process started stands
    in for the current size: what was once taken and freed before then hides as much of the growth.
    """
    if sys.platform == "linux":
        try:
            Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
        except OSError:
            return _peak()
        return _status("VmRSS")
    return _peak()


def _peak() -> int:
    """Returns: the largest number of resident bytes so far.

    Raises:
        RunError: this system does not tell.
    """
    if sys.platform == "linux":
        return _status("VmHWM")
    try:
        import resource
    except ImportError:
        raise RunError(f"peak memory cannot be measured on {sys.platform}") from None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise RunError(f"the system does not tell {name} of a process")
