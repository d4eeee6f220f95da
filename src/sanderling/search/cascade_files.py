"""The files of a cascade: its models in one folder, and the file that joins them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from sanderling import files
from sanderling.errors import RecipeError, StorageError
from sanderling.runtime.cascade_file import cascade_json, read_cascade
from sanderling.runtime.recipe_file import RunAs
from sanderling.search.cascaded import Cascaded
from sanderling.search.identity import file_hash
from sanderling.search.trial import Trial


def run_as(path: Path, trial: Trial) -> RunAs:
    """Returns: how a trial is run."""
    return RunAs(path, trial.engine, trial.threads, trial.precision)


def described(cascade: Cascaded, names: Sequence[str], parts: Sequence[RunAs]) -> dict[str, object]:
    """Returns: a cascade as ``best.json`` holds it."""
    chosen = cascade.chosen
    return cascade_json(names, parts, [cascade.rule], {"names": list(cascade.names), "kept": chosen.kept})


def join_files(folder: Path, trial: Trial, parts: Sequence[tuple[Path, Trial]]) -> Path:
    """Writes the file that joins the models of a cascade; those that lie elsewhere are copied beside it.

    Args:
        folder: of the candidates.
        trial: the cascade.
        parts: its models' files and trials, the smallest first.

    Returns: the file.

    Raises:
        StorageError: the folder cannot be written to.
    """
    assert trial.cascade is not None
    cascade = trial.cascade
    name = re.sub(r"[^a-z0-9.]+", "-", trial.name.lower()).strip("-")[:80]
    target = folder / f"{name}-{trial.id[:8]}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = [_beside(folder, path) for path, _ in parts]
        ways = [run_as(path, part) for path, part in parts]
        write_file(target, described(cascade, names, ways))
    except OSError as error:
        raise StorageError(f"cannot be written to ({error.strerror or error})", where=str(folder)) from None
    return target


def write_file(target: Path, cascade: Mapping[str, object], more: Mapping[str, object] | None = None) -> None:
    """Writes a recipe file that holds a cascade, whole or not at all; ``more`` are further fields."""
    value = {"schema_version": 1, "cascade": cascade, **(more or {})}
    files.write_text(target, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _beside(folder: Path, path: Path) -> str:
    """Returns: the name of a model in the folder, where it is copied to if it lies elsewhere."""
    if path.parent == folder:
        return path.name
    name = f"original-{file_hash(path)[:12]}.tflite"
    if not (folder / name).exists():
        files.copy(path, folder / name)
    return name


def save_cascade(path: Path, folder: Path) -> None:
    """Copies a cascade's file and its models into a folder, which is made.

    Raises:
        RecipeError: the file holds no cascade.
        OSError: the folder cannot be written to.
    """
    cascade = read_cascade(path)
    if cascade is None:
        raise RecipeError("holds no cascade", where=str(path))
    folder.mkdir(parents=True, exist_ok=True)
    root = path.parent.resolve()
    for part in cascade.parts:
        target = folder / part.path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        files.copy(part.path, target)
    files.copy(path, folder / path.name)
