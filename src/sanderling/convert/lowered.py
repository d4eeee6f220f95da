"""What frameworks' ways share: a source that was lowered, in this process or in one of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.convert.conversion import Wishes
from sanderling.graph.types import Array
from sanderling.isolation.client import Worker

LOWER_SECONDS, RUN_SECONDS = 3600.0, 600.0  # after which nobody waits any longer
_HERE = "sanderling.convert.lowered"


@dataclass(frozen=True, slots=True)
class Lowered:
    """A source, ready to be run as it is and as what became of it.

    Attributes:
        content: the ``.tflite`` file, as the framework's converter wrote it.
        inputs, outputs: names, in the order of the source.
        run: arrays in the order of ``inputs`` → outputs, by the framework.
        notes: what the user must be told.
    """

    content: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    run: Callable[[Sequence[Array]], list[Array]]
    notes: tuple[str, ...]


_kept: list[Lowered] = []  # in the worker: what ``run`` runs


def lowered_apart(framework: str, load: str, path: Path, wishes: Wishes, **more: Any) -> Lowered:
    """Lowers a file in a process of its own, which stays to run the source and may crash or fill its memory.

    Args:
        framework: its name, for errors.
        load: ``module:function``, called there with ``path``, ``shapes`` and ``more``; returns ``keep(...)``.

    Raises:
        ConvertError, FormatError, UsageError: as ``load`` does.
        WorkerError: the process ended or hung.
    """
    worker = Worker(name=framework)
    shapes = {name: list(sizes) for name, sizes in wishes.shapes.items()}
    found = worker.call(
        load, path=str(path.resolve()), shapes=shapes, timeout=LOWER_SECONDS, doing=f"converting {path.name}",
        **more,
    )  # fmt: skip

    def apart(arrays: Sequence[Array]) -> list[Array]:
        answer: list[Array] = worker.call(
            f"{_HERE}:run", arrays=list(arrays), timeout=RUN_SECONDS, doing="running the source"
        )
        return answer

    inputs, outputs, notes = (tuple(found[key]) for key in ("inputs", "outputs", "notes"))
    return Lowered(np.asarray(found["content"]).tobytes(), inputs, outputs, apart, notes)


def keep(lowered: Lowered) -> dict[str, Any]:
    """Keeps for ``run`` what was lowered; called in the worker. Returns: the rest of it, to be sent."""
    _kept[:] = [lowered]
    return {
        "content": np.frombuffer(lowered.content, np.uint8), "inputs": lowered.inputs,
        "outputs": lowered.outputs, "notes": lowered.notes,
    }  # fmt: skip


def run(arrays: Sequence[Array]) -> list[Array]:
    """Runs the source; called in the worker after ``keep``."""
    return _kept[0].run(arrays)
