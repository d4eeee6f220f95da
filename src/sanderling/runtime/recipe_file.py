"""``best.json``: which model beside it to run, and how. The file is untrusted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sanderling.errors import RecipeError

T = TypeVar("T")
_RECIPE_LIMIT = 16 * 1024 * 1024  # bytes; a recipe file is a few kilobytes


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

    def unless(self, engine: str, threads: int | None, precision: str) -> tuple[str, int | None, str]:
        """Returns: engine, threads and precision: what a caller states goes before what the file says."""
        return (
            self.engine or "auto" if engine == "auto" else engine,
            self.threads if threads is None else threads,
            self.precision or "auto" if precision == "auto" else precision,
        )


def is_recipe_file(path: Path) -> bool:
    """Returns: whether a path names a recipe file rather than a model."""
    return path.suffix.lower() == ".json"


def read_recipe_file(path: Path) -> RunAs:
    """Reads a ``best.json`` that holds one model.

    Raises:
        RecipeError: it is missing, not JSON, holds a cascade, or names a model outside of its own folder.
    """
    value = read_object(path)
    if value.get("cascade") is not None:
        raise RecipeError(
            "holds a cascade, expected one model",
            where=str(path),
            hint="name one of the models beside it: they are listed under 'cascade'",
        )
    return RunAs(
        inside(value.get("model"), "model", path),
        field(value, "engine", str, path),
        field(value, "threads", int, path),
        field(value, "precision", str, path),
    )


def inside(name: object, what: str, path: Path) -> Path:
    """Returns: the file that a recipe file names.

    Args:
        name: as it stands in the file.
        what: the field's name, for errors.
        path: the recipe file.

    Raises:
        RecipeError: it is no name, or lies outside of the recipe file's folder.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        got = str(name)[:80]
        raise RecipeError(f"{what!r} is {got!r}, expected a file name such as 'best.tflite'", where=str(path))
    folder = path.parent.resolve()
    model = (folder / name).resolve()
    if Path(name).is_absolute() or not model.is_relative_to(folder):
        raise RecipeError(
            f"{what!r} is {name!r}, which lies outside of the recipe's folder",
            where=str(path),
            hint="keep the model file beside its recipe",
        )
    return model


def read_object(path: Path) -> dict[str, Any]:
    """Returns: the JSON object in a recipe file.

    Raises:
        RecipeError: it is missing, too large, or no JSON object.
    """
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


def field(value: dict[str, Any], name: str, kind: type[T], path: Path, within: str = "") -> T | None:
    """Returns: an optional field, None where it is not there.

    Raises:
        RecipeError: it is of another kind.
    """
    found = value.get(name)
    if found is None or (isinstance(found, kind) and not isinstance(found, bool)):
        return found
    full = f"{within}.{name}" if within else name
    raise RecipeError(f"{full!r} is {str(found)[:80]!r}, expected {kind.__name__}", where=str(path))
