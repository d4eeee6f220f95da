"""From a model file to a model that an engine has loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path

from sanderling.engines import registry
from sanderling.engines.engine import Engine, Runner
from sanderling.errors import FormatError, ModelError, UsageError
from sanderling.graph.graph import Model
from sanderling.settings import settings

_CONVERTIBLE = {".onnx", ".keras", ".h5", ".hdf5", ".pt2", ".pb"}


def read_model(path: str | os.PathLike[str]) -> Model:
    """Reads and verifies a ``.tflite`` file, so that it is safe to hand to an engine in this process.

    Raises:
        FormatError: it is missing, damaged, or of another format.
        InvalidGraph: it breaks a rule that every graph must keep.
    """
    from sanderling.runtime.soundness import check
    from sanderling.tflite import read

    path = Path(path)
    if path.suffix.lower() in _CONVERTIBLE:
        raise FormatError(
            f"is a {path.suffix} file, expected .tflite",
            where=str(path),
            hint=f"convert it first: sanderling convert {path} -o {path.stem}.tflite",
        )
    if path.suffix.lower() == ".json":
        raise FormatError(
            "is a .json file, expected .tflite",
            where=str(path),
            hint="a recipe file is taken by Session, run, predict, serve and check; name the model beside it",
        )
    model = read(path)
    check(model)
    return model


def announce(path: Path, engine: str, options: Mapping[str, object]) -> None:
    """Lets an engine begin, in the background, with what a model that is about to be read will need."""
    begin = getattr(registry.engine_of(engine), "announce", None)
    if begin is not None:
        begin(path, options)


def load_runner(
    path: Path,
    model: Model,
    engine: str,
    *,
    threads: int | None = None,
    precision: str = "auto",
    options: Mapping[str, object] | None = None,
) -> Runner:
    """Loads a verified model into an engine.

    Args:
        path, model: the file and what ``read_model`` gave for it.
        engine: an engine's name, or a variant of it: ``openvino:bf16``.
        threads: CPU threads; None takes ``SANDERLING_THREADS``, else 1.
        precision: ``"auto"`` leaves it to the engine.
        options: further options of the engine.

    Raises:
        ModelError: the engine is not available or refuses the model.
        UsageError: there is no such engine or option.
    """
    found: Engine = registry.engine_of(engine)
    ready = found.available()
    if not ready:
        raise ModelError(f"engine {found.name} cannot be used: {ready.reason}")
    every: dict[str, object] = {**registry.find_variant(engine).options, **(options or {})}
    if precision != "auto" or "precision" not in every:
        every["precision"] = precision
    return found.load(path, model, threads=default_threads(threads), options=every)


def default_threads(threads: int | None) -> int:
    """Returns: the number of CPU threads to use: the given one, else the environment's, else 1.

    Raises:
        UsageError: it is no whole number.
    """
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, Integral)):
        raise UsageError(f"threads is {threads!r}, expected a whole number")
    return threads if threads is not None else settings().threads or 1
