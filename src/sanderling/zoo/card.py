"""The card of a zoo model: what it is, where its files lie, and how its input wants to be fed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Normalization:
    """How stored samples become the model's input: input = (stored × ``scale`` − ``mean``) / ``std``.

    Attributes:
        mean, std: in units of the scaled samples.
        scale: 1/255 turns bytes into 0..1.
    """

    mean: float
    std: float
    scale: float


@dataclass(frozen=True, slots=True)
class Card:
    """All that is stated about one zoo model.

    Attributes:
        name: what a user types instead of a path.
        summary: one line for lists.
        task: the task's name, as in ``tasks/``: ``classify`` …
        model, samples, labels: the files. Samples are an ``.npz`` with one array of raw values, labels a
            CSV ``index,label`` whose ``index`` is the sample's row.
        input, output: name, shape, dtype and meaning, in words.
        classes: names of the classes in the order of the output.
        normalization: from the samples' raw values to the model's input.
        license: licence of each part, in words.
        figures: what was measured of it with LiteRT, float32: sample counts and accuracies as shares.
    """

    name: str
    summary: str
    task: str
    model: Path
    samples: Path
    labels: Path
    input: str
    output: str
    classes: tuple[str, ...]
    normalization: Normalization
    license: Mapping[str, str]
    figures: Mapping[str, float]


def read(folder: Path) -> Card:
    """Reads ``card.json`` of a model's folder.

    Args:
        folder: the folder that holds the card and the files which it names.
    """
    fields = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return Card(
        name=fields["name"],
        summary=fields["summary"],
        task=fields["task"],
        model=folder / fields["model"],
        samples=folder / fields["samples"],
        labels=folder / fields["labels"],
        input=fields["input"],
        output=fields["output"],
        classes=tuple(fields["classes"]),
        normalization=Normalization(**fields["normalization"]),
        license=fields["license"],
        figures=fields["figures"],
    )
