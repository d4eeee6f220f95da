"""Applies a recipe to a model file: what the worker process runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling import files
from sanderling.compress.applied import Applied
from sanderling.compress.fitting.litert import invoke, load
from sanderling.compress.recipe import Recipe
from sanderling.compress.registry import find
from sanderling.compress.sparsity.look_up_tables import OPERATOR
from sanderling.compress.technique import Work
from sanderling.engines import registry
from sanderling.errors import InvalidGraph, MissingExtra, ModelError, RecipeError, RunError
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from sanderling.runtime.soundness import check
from sanderling.tflite import read, write
from sanderling.tflite.releases import settled


def apply(
    recipe: Recipe,
    source: Path,
    out: Path,
    *,
    calibration: Path | None = None,
    threads: int = 1,
    original: Path | None = None,
    lessons: Path | None = None,
    kept: Path | None = None,
    progress: Callable[[Any], None] | None = None,
) -> Applied:
    """Makes a candidate: applies a recipe's steps in order and writes the result.

    The result is loaded into LiteRT and run once (on zeros) before it is handed out.

    Args:
        recipe: what to do; without steps the file is copied as it is.
        source: a ``.tflite`` file.
        out: the file to write; replaced when it exists.
        calibration: feeds as ``calibration.save_feeds`` wrote them: the file, or the folder that holds it.
        threads: CPU threads for calibration.
        original: the model that teaches; None: ``source``.
        lessons: feeds for training, where they are others than for calibration.
        kept: where training may keep what it has reached, to go on from it after a crash.
        progress: told what long work has reached.

    Returns: what was done.

    Raises:
        FormatError, InvalidGraph: the source is not a valid model.
        RecipeError: a step is unknown, its settings are wrong, or it cannot be applied to this model.
        SampleError, InputMismatch: the feeds cannot be read or do not fit the model.
    """
    model = read(source)
    verify(model)
    applied = Applied(recipe.name)
    if not recipe.steps:
        files.copy(source, out)
        return replace(applied, size_bytes=out.stat().st_size)
    techniques = [find(step.technique) for step in recipe.steps]
    with tempfile.TemporaryDirectory(prefix="sanderling-") as scratch:
        for number, (step, technique) in enumerate(zip(recipe.steps, techniques, strict=True)):
            if technique.needs_calibration and calibration is None:
                raise RecipeError(
                    f"{technique.name} needs samples to find the ranges of the activations",
                    hint="give --samples",
                )
            folder = Path(scratch) / str(number)
            folder.mkdir()
            teacher = _teacher(original or source, source, number)
            work = Work(folder, calibration, threads, teacher, lessons, kept, progress)
            model, done = technique.apply(model, step.settings, work)
            verify(model)
            applied = applied.then(done)
        made = Path(scratch) / "made.tflite"
        size = write(settled(model), made)
        check_runs(made)
        files.copy(made, out)
    return replace(applied, size_bytes=size)


def apply_in_worker(
    *,
    recipe: Any,
    source: str,
    out: str,
    calibration: str | None = None,
    threads: int = 1,
    original: str | None = None,
    lessons: str | None = None,
    progress: Callable[[Any], None] | None = None,
) -> Any:
    """``apply`` with JSON values on both sides, for the isolated worker.

    Args:
        recipe: as ``Recipe.to_json`` gives it.
        source, out, calibration, threads, original, lessons, progress: as for ``apply``. What training has
            reached is kept beside ``out``.

    Returns: as ``Applied.to_json`` gives it.
    """
    done = apply(
        Recipe.from_json(recipe),
        Path(source),
        Path(out),
        calibration=_path(calibration),
        threads=threads,
        original=_path(original),
        lessons=_path(lessons),
        kept=Path(out).with_suffix(".training.npz"),
        progress=progress,
    )
    return done.to_json()


def _teacher(original: Path, source: Path, number: int) -> Path | None:
    """Returns: the model that teaches at a step; None, where nothing was done before, for the one that the
    step is given, whose inner tensors can be compared too."""
    return None if number == 0 and original == source else original


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value)


def check_runs(file: Path) -> None:
    """Makes sure that our engines take a file, loads it into LiteRT and runs it once. What only TFLite Micro
    has operators for is loaded there.

    Raises:
        RecipeError: scales came out that no operator can compute with, or LiteRT refuses it.
    """
    model = read(file)
    try:
        check(model)
    except InvalidGraph as error:
        raise RecipeError(
            f"the result cannot be computed: {error.what}",
            hint="check that the samples are preprocessed as the model expects",
        ) from None
    if any(node.kind == OPERATOR for node in model.main.nodes):
        _loads_in_tflite_micro(file, model)
        return
    try:
        interpreter = load(file)
        for detail in interpreter.get_input_details():
            if detail["dtype"] is not np.bytes_:
                interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
        invoke(interpreter)
    except RunError as error:
        raise RecipeError(
            f"the result does not run in LiteRT: {error.what}", hint="use another technique for this model"
        ) from None


def _loads_in_tflite_micro(file: Path, model: Model) -> None:
    engine = registry.find("tflite_micro")
    if not engine.available():
        raise MissingExtra("weights as look-up tables", "micro")
    try:
        engine.load(file, model).close()
    except ModelError as error:
        raise RecipeError(f"TFLite Micro does not load the result: {error.what}") from None
