"""A ``.pt2`` file, read and converted in a process of its own, where it may crash or fill the memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.convert.conversion import Conversion, Wishes
from sanderling.convert.torch.archive import read_program
from sanderling.convert.torch.lower import Lowered, conversion_of, lower
from sanderling.convert.torch.program import describe
from sanderling.graph.types import Array
from sanderling.measure.client import Worker

_HERE = "sanderling.convert.torch.isolated"
_loaded: list[Lowered] = []  # in the worker: what ``run`` runs


def convert_file(path: Path, wishes: Wishes) -> Conversion:
    """Converts a ``.pt2`` file.

    Raises:
        ConvertError, FormatError: see ``read_program`` and ``lower``.
    """
    worker = Worker(name="PyTorch")
    found = worker.call(
        f"{_HERE}:load", path=str(path), shapes={name: list(sizes) for name, sizes in wishes.shapes.items()},
        layout=wishes.layout, timeout=3600.0, doing=f"converting {path.name}",
    )  # fmt: skip

    def run(arrays: Sequence[Array]) -> list[Array]:
        answer: list[Array] = worker.call(
            f"{_HERE}:run", arrays=list(arrays), timeout=600.0, doing="running the source"
        )
        return answer

    content = np.asarray(found["content"]).tobytes()
    inputs, outputs, notes = (tuple(found[key]) for key in ("inputs", "outputs", "notes"))
    return conversion_of(Lowered(content, inputs, outputs, run, notes))


def load(path: str, shapes: Mapping[str, Sequence[int]], layout: str) -> dict[str, Any]:
    """Reads and lowers a file; called in the worker.

    Returns: ``content`` (uint8), ``inputs``, ``outputs`` and ``notes``.

    Raises:
        ConvertError, FormatError: it cannot be read or converted.
    """
    import warnings

    warnings.simplefilter("ignore")  # what PyTorch says of itself; this process does nothing else
    wishes = Wishes({name: tuple(sizes) for name, sizes in shapes.items()}, layout)
    lowered = lower(describe(read_program(Path(path)), wishes, path), layout)
    _loaded[:] = [lowered]
    return {
        "content": np.frombuffer(lowered.content, np.uint8), "inputs": lowered.inputs,
        "outputs": lowered.outputs, "notes": lowered.notes,
    }  # fmt: skip


def run(arrays: Sequence[Array]) -> list[Array]:
    """Runs the source; called in the worker after ``load``."""
    return _loaded[0].run(arrays)
