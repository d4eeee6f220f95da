"""From a path, a model or a recipe file to a model that an engine has loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

from sanderling.engines import registry
from sanderling.engines.engine import Engine, Runner
from sanderling.errors import FormatError, ModelError, RecipeError, UsageError
from sanderling.graph.graph import Model
from sanderling.settings import settings

T = TypeVar("T")
_RECIPE_LIMIT = 16 * 1024 * 1024  # bytes; a recipe file is a few kilobytes
_CONVERTIBLE = {".onnx", ".keras", ".h5", ".hdf5", ".pt2", ".pb"}


@dataclass(frozen=True, slots=True)
class RunAs:
    """How a recipe file says that its model is to be run.

    Attributes:
        path: the model file, beside the recipe file.
        engine, threads, precision: as measured; None where the file does not say.
    """

    path: Path
    engine: str | None
    threads: int | None
    precision: str | None


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


def read_recipe_file(path: Path) -> RunAs:
    """Reads ``best.json``: which model beside it to run, and how.

    Raises:
        RecipeError: it is missing, not JSON, or names a model outside of its own folder.
    """
    value = _json(path)
    name = value.get("model")
    if not isinstance(name, str) or not name or "\0" in name:
        raise RecipeError(f"'model' is {name!r}, expected a file name such as 'best.tflite'", where=str(path))
    folder = path.parent.resolve()
    model = (folder / name).resolve()
    if Path(name).is_absolute() or not model.is_relative_to(folder):
        raise RecipeError(
            f"'model' is {name!r}, which lies outside of the recipe's folder",
            where=str(path),
            hint="keep the model file beside its recipe",
        )
    return RunAs(
        model,
        _field(value, "engine", str, path),
        _field(value, "threads", int, path),
        _field(value, "precision", str, path),
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_RECIPE_LIMIT + 1)
    except OSError as error:
        raise RecipeError(
            f"cannot be read ({error.strerror or error})", where=str(path), hint="check the path"
        ) from None
    if len(text) > _RECIPE_LIMIT:
        raise RecipeError(f"is larger than {_RECIPE_LIMIT} bytes, so it is no recipe file", where=str(path))
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"is not JSON ({error})", where=str(path)) from None
    if not isinstance(value, dict):
        raise RecipeError(f"holds a {type(value).__name__}, expected an object", where=str(path))
    return value


def _field(value: dict[str, Any], name: str, kind: type[T], path: Path) -> T | None:
    found = value.get(name)
    if found is None or (isinstance(found, kind) and not isinstance(found, bool)):
        return found
    raise RecipeError(f"{name!r} is {found!r}, expected {kind.__name__}", where=str(path))
