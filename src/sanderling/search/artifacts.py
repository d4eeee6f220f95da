"""Writes the winner: ``best.tflite`` and ``best.json``, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sanderling import files
from sanderling.compress.recipe import Recipe
from sanderling.compress.registry import find
from sanderling.errors import RecipeError, StorageError
from sanderling.graph.graph import Model, Tensor
from sanderling.search.cascade_files import described, run_as
from sanderling.search.confirm import file_of, parts_of, subject_of
from sanderling.search.identity import versions
from sanderling.search.laboratory import Laboratory
from sanderling.search.outcome import Outcome
from sanderling.search.subject import Subject
from sanderling.search.trial import Trial
from sanderling.tasks.inputs.image import ImageInput
from sanderling.tasks.spec import TaskSpec
from sanderling.tflite.releases import needs

BEST_MODEL, BEST_RECIPE = "best.tflite", "best.json"
BEST_PART = "best-{}.tflite"  # of a cascade, numbered from 1, the smallest first
SCHEMA_VERSION = 1


def write_best(outcome: Outcome, laboratory: Laboratory, winner: Trial) -> None:
    """Writes the winner into the output folder.

    Raises:
        StorageError: the folder cannot be written to.
    """
    from sanderling.tflite import read

    parts = parts_of(outcome, winner) or [winner]
    sources = [file_of(outcome, laboratory, part) for part in parts]
    names = [BEST_MODEL] if winner.cascade is None else [BEST_PART.format(i + 1) for i in range(len(parts))]
    try:
        # Ended in between, there is a model without a description rather than with that of another one.
        (outcome.output / BEST_RECIPE).unlink(missing_ok=True)
        _put_aside(outcome.output, [name for name in _every_name(outcome.output) if name not in names])
        for source, name in zip(sources, names, strict=True):
            files.copy(source, outcome.output / name)
        value = _best(outcome, winner, [read(source) for source in sources], names, parts)
        text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
        files.write_text(outcome.output / BEST_RECIPE, text + "\n")
    except OSError as error:
        raise StorageError(
            f"the winner cannot be written ({error.strerror or error})",
            where=str(outcome.output),
            hint="free some space or choose another output folder, then run again with --resume",
        ) from None


def put_aside_best(folder: Path) -> list[Path]:
    """Renames the winner of an earlier search to ``earlier-best.…``: it is not that of this one.

    Returns: the new names of what was there.

    Raises:
        StorageError: the folder cannot be written to.
    """
    return _put_aside(folder, [BEST_RECIPE, *_every_name(folder)])


def _every_name(folder: Path) -> list[str]:
    """Returns: the names of a winner's models, be it one or a cascade."""
    parts = sorted(file.name for file in folder.glob(BEST_PART.format("[0-9]")))
    return [BEST_MODEL, *parts]


def _put_aside(folder: Path, names: Sequence[str]) -> list[Path]:
    moved = []
    for name in names:
        file, aside = folder / name, folder / f"earlier-{name}"
        try:
            if file.exists():
                os.replace(file, aside)
                moved.append(aside)
        except OSError as error:
            raise StorageError(f"cannot be renamed ({error.strerror or error})", where=str(file)) from None
    return moved


def _best(
    outcome: Outcome, winner: Trial, models: Sequence[Model], names: Sequence[str], parts: Sequence[Trial]
) -> dict[str, Any]:
    subject = subject_of(outcome, winner)
    confirm = outcome.confirm.to_json() if outcome.confirm else None
    if confirm:
        confirm.pop("per_sample")
    return {
        "schema_version": SCHEMA_VERSION,
        **_models(outcome, winner, names, parts),
        "name": winner.name,
        "engine": winner.engine,
        "threads": winner.threads,
        "precision": winner.precision,
        "device": {"name": outcome.device, **(outcome.facts.to_json() if outcome.facts else {})},
        "inputs": _ports(models[-1], inputs=True),
        "outputs": _ports(models[-1], inputs=False),
        "limits": outcome.request.limits.to_json(),
        "oldest_runtime": "; ".join(dict.fromkeys(needs(model) for model in models)),
        "size_bytes": winner.size_bytes,
        "latency_ms": winner.latency.to_json() if winner.latency else None,
        "peak_memory_bytes": winner.peak_memory_bytes,
        "energy": winner.energy.to_json() if winner.energy else None,
        "fidelity": confirm,
        "task": _task(outcome, subject),
        "budget": outcome.budget.to_json(),
        "source": {"name": subject.path.name, "sha256": subject.hash},
        "samples": {"origin": subject.split.confirm.origin, "notes": list(subject.split.confirm.notes)},
        "versions": versions(),
    }


def _models(outcome: Outcome, winner: Trial, names: Sequence[str], parts: Sequence[Trial]) -> dict[str, Any]:
    """Returns: the model and how to make it again, or the cascade of several."""
    if winner.cascade is None:
        return {"model": names[0], "recipe": winner.recipe.to_json()}
    ways = [run_as(outcome.output / name, part) for name, part in zip(names, parts, strict=True)]
    made = described(winner.cascade, names, ways)
    return {"cascade": {**made, "recipes": [part.recipe.to_json() for part in parts]}}


def _task(outcome: Outcome, subject: Subject) -> dict[str, Any]:
    """Returns: what ``run`` needs to know of the task: its name, how pixels become inputs, the classes."""
    normalization = subject.split.confirm.normalization
    image = () if normalization is None else (ImageInput(normalization.mean, normalization.std),)
    spec = TaskSpec(inputs=image, labels=outcome.request.label_names)
    return {"name": outcome.task.name, "metric": outcome.task.metric, **spec.to_json()}


def _ports(model: Model, *, inputs: bool) -> list[dict[str, Any]]:
    indices = model.main.inputs if inputs else model.main.outputs
    names = model.input_names() if inputs else model.output_names()
    return [_port(name, model.main.tensors[i]) for name, i in zip(names, indices, strict=True)]


def _port(name: str, tensor: Tensor) -> dict[str, Any]:
    quant = tensor.quant if tensor.type.is_quantized else None
    return {
        "name": name,
        "dtype": tensor.dtype.value,
        "shape": list(tensor.shape),
        "signature": list(tensor.shape_signature or tensor.shape),
        "scale": float(quant.scale[0]) if quant else None,
        "zero_point": int(quant.zero_point[0]) if quant else None,
    }


def read_recipe(path: Path) -> Recipe:
    """Reads the recipe of a ``best.json``, or a file that holds just a recipe.

    Raises:
        RecipeError: there is none in the file, or it names a technique that there is not.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot be read ({error.strerror or error})", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"is not JSON ({error})", where=str(path)) from None
    if isinstance(value, dict) and value.get("cascade") is not None:
        raise RecipeError(
            "holds a cascade, whose threshold was chosen for its models",
            where=str(path),
            hint="give the retrained models to optimize without --recipe",
        )
    if isinstance(value, dict) and isinstance(value.get("recipe"), dict):
        value = value["recipe"]
    try:
        recipe = Recipe.from_json(value)
        for step in recipe.steps:
            find(step.technique)
    except RecipeError as error:
        raise RecipeError(error.what, where=str(path), hint=error.hint) from None
    return recipe
