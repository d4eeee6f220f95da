"""The other side of ``replicas.InProcess``: one model in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sanderling.engines.engine import Runner
from sanderling.graph.types import Array
from sanderling.runtime.opening import open_runner, read_file

_loaded: list[Runner] = []


def load(*, path: str, engine: str, how: dict[str, Any]) -> None:
    """Loads the model, in place of the one before."""
    for runner in _loaded:
        runner.close()
    _loaded[:] = [open_runner(read_file(Path(path)), engine, **how)]


def answer(*, batch: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """Returns: the outputs for each item's inputs."""
    return [_loaded[0].run(inputs) for inputs in batch]
