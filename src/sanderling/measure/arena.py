"""How large an arena must be: what TFLite Micro records, and the least that it starts with.

Its planner works in what is left of the arena, which on small models with many tensors takes more than the
model does once it is planned.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sanderling.engines.registry import find
from sanderling.errors import ModelError, WorkerError
from sanderling.isolation.client import Worker
from sanderling.runtime.loading import read_model

STEP = 16  # bytes: what tensors are aligned to
_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Arena:
    """Bytes of memory that a model takes in TFLite Micro.

    Attributes:
        recorded: as its allocator recorded them.
        least: the smallest arena that it loads with, a multiple of ``STEP``.
    """

    recorded: int
    least: int


def measure(path: Path) -> Arena:
    """Measures the arena of a verified model.

    TFLite Micro may end its process where an arena is too small, so each is tried in another one.

    Raises:
        ModelError: TFLite Micro cannot load it with any.
    """
    with Worker(name="process of TFLite Micro") as worker:
        recorded: int = worker.call(f"{__name__}:recorded", path=path, timeout=_SECONDS, doing="loading it")
        low, high = recorded - STEP, _up(recorded + STEP)
        while not _fits(worker, path, high):
            low, high = high, _up(2 * high)
        while high - low > STEP:
            middle = _up((low + high) // 2)
            if middle >= high:
                break
            if _fits(worker, path, middle):
                high = middle
            else:
                low = middle
    return Arena(recorded, high)


def _fits(worker: Worker, path: Path, size: int) -> bool:
    try:
        fits: bool = worker.call(
            f"{__name__}:fits", path=path, size=size, timeout=_SECONDS, doing="loading it"
        )
    except WorkerError:
        return False
    return fits


def recorded(path: str) -> int:
    """Called in the worker. Returns: what is recorded for a model, in bytes."""
    from sanderling.engines.tflite_micro.runner import MicroRunner

    file = Path(path)
    runner = find("tflite_micro").load(file, read_model(file))
    assert isinstance(runner, MicroRunner)
    size = runner.arena_bytes
    runner.close()
    return size


def fits(path: str, size: int) -> bool:
    """Called in the worker. Returns: whether TFLite Micro loads a model with an arena of so many bytes."""
    from sanderling.engines.tflite_micro.runner import MicroRunner

    file = Path(path)
    try:
        MicroRunner(file, read_model(file), arena_bytes=size).close()
    except ModelError:
        return False
    return True


def _up(size: int) -> int:
    return -(-size // STEP) * STEP
