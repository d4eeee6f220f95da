"""Trains a float model towards the original's answers: what follows when channels or weights were removed.

The original teaches, the samples need no labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.compress.eligible import require_float
from sanderling.compress.learning.distilling import distilled
from sanderling.compress.learning.pupils import trainable
from sanderling.compress.options import Options
from sanderling.compress.technique import Technique, Work
from sanderling.graph.graph import Model
from sanderling.tflite import read
from sanderling.training.teach import Schedule

NAME = "recover"
KNOWN = ("minutes", "steps", "seed", "rate", "batch")


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Trains all weights but those that are zero.

    Settings:
        minutes: time at most (5 when absent).
        steps: of training, instead of as many as ``minutes`` allow.
        seed: of the samples' order and variations (0 when absent).
        rate: the highest learning rate, as a share of each tensor's typical value (0.01 when absent).
        batch: samples a step (32 when absent).

    Raises:
        RecipeError: there are no samples, or the model's outputs are not the original's.
        MissingExtra: PyTorch is not installed.
        UnsupportedOperator: an operator cannot be trained through.
    """
    options = Options(NAME, settings, KNOWN)
    schedule = Schedule(
        options.number("minutes", 5.0, 0.01, 10_000.0),
        int(options.number("steps", 0, 0, 1e7)) or None,
        int(options.number("batch", 32, 1, 4096)),
        options.number("rate", 1e-2, 1e-7, 1.0),
        int(options.number("seed", 0, 0, 2**31)),
    )
    require_float(model, NAME)
    student = trainable(model)
    teacher = student if work.original is None else trainable(read(work.original))
    trained, taught = distilled(
        student,
        teacher,
        work.feeds(NAME),
        model.input_names(),
        schedule,
        checkpoint=work.checkpoint(f"{NAME} {schedule}"),
        progress=work.progress,
    )
    return trained, Applied(notes=taught.told())


TECHNIQUE = Technique(
    NAME,
    "trains a float model towards the original's answers, without labels: after slimming or pruning",
    apply,
    needs_calibration=True,
)
