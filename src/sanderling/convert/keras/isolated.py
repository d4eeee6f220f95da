"""A Keras file, read and converted in a process of its own, where it may crash or fill the memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.convert.conversion import Conversion, Wishes
from sanderling.convert.keras.archive import check
from sanderling.convert.keras.legacy import mended
from sanderling.convert.keras.live import conversion_of
from sanderling.convert.keras.lower import Lowered, lower
from sanderling.errors import ConvertError
from sanderling.graph.types import Array
from sanderling.measure.client import Worker

_HERE = "sanderling.convert.keras.isolated"
_loaded: list[Lowered] = []  # in the worker: what ``run`` runs


def convert_file(path: Path, wishes: Wishes) -> Conversion:
    """Converts a ``.keras`` or ``.h5`` file.

    Raises:
        ConvertError, FormatError: see ``archive.check`` and ``lower``.
    """
    worker = Worker(name="Keras")
    shapes = {name: list(sizes) for name, sizes in wishes.shapes.items()}
    found = worker.call(
        f"{_HERE}:load",
        path=str(path.resolve()),
        shapes=shapes,
        timeout=1800.0,
        doing=f"converting {path.name}",
    )

    def reference(arrays: Sequence[Array]) -> list[Array]:
        answer: list[Array] = worker.call(
            f"{_HERE}:run", arrays=list(arrays), timeout=600.0, doing="running the source"
        )
        return answer

    lowered = Lowered(
        np.asarray(found["content"]).tobytes(), tuple(found["inputs"]), tuple(found["outputs"]), reference,
        tuple(found["notes"]),
    )  # fmt: skip
    return conversion_of(lowered)


def load(path: str, shapes: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Reads and lowers a file; called in the worker.

    Returns: ``content`` (uint8), ``inputs``, ``outputs`` and ``notes``.

    Raises:
        ConvertError, FormatError: see ``archive.check``; Keras cannot read it, or it cannot be converted.
    """
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # A user's keras.json is of no concern to what a file means.
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KERAS_HOME"] = folder
        check(Path(path))
        import keras

        readable = mended(Path(path), Path(folder))
        try:
            model = keras.models.load_model(readable, compile=False, safe_mode=True)
        except Exception as error:
            words = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
            raise ConvertError(
                f"Keras {keras.__version__} cannot read it ({type(error).__name__}: {words[:300]})",
                where=path,
                hint="save it again as .keras with a recent Keras",
            ) from error
    lowered = lower(model, {name: tuple(sizes) for name, sizes in shapes.items()})
    _loaded[:] = [lowered]
    return {
        "content": np.frombuffer(lowered.content, np.uint8), "inputs": lowered.inputs,
        "outputs": lowered.outputs, "notes": lowered.notes,
    }  # fmt: skip


def run(arrays: Sequence[Array]) -> list[Array]:
    """Runs the source; called in the worker after ``load``."""
    return _loaded[0].run(arrays)
