"""Models that can be named instead of given as a file. Those bundled come with samples and labels.

The folder is the registry: a folder beside this file that holds a ``card.json`` is a bundled model.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sanderling.errors import UsageError
from sanderling.zoo.card import Card, Normalization, read

__all__ = [
    "Card",
    "Normalization",
    "bundled",
    "describe",
    "labels_path",
    "model_path",
    "normalization",
    "samples_path",
]


def bundled() -> list[str]:
    """Returns: the names of the models that ship with the package, sorted."""
    return sorted(card.parent.name for card in Path(__file__).parent.glob("*/card.json"))


@cache
def _card(name: str) -> Card | None:
    return read(Path(__file__).parent / name) if name in bundled() else None


def describe(name: str) -> Card:
    """Looks up what is known of a bundled model.

    Raises:
        UsageError: no bundled model has this name.
    """
    card = _card(name)
    if card is None:
        raise UsageError(
            "no bundled model has this name", where=name, hint=f"bundled models: {', '.join(bundled())}"
        )
    return card


def model_path(name: str) -> Path | None:
    """Returns: the ``.tflite`` of a bundled model, None when ``name`` is not one."""
    card = _card(name)
    return card.model if card else None


def samples_path(name: str) -> Path | None:
    """Returns: the samples that come with a bundled model (``.npz``), None when ``name`` is not one."""
    card = _card(name)
    return card.samples if card else None


def labels_path(name: str) -> Path | None:
    """Returns: the labels of those samples (CSV ``index,label``), None when ``name`` is not one."""
    card = _card(name)
    return card.labels if card else None


def normalization(name: str) -> Normalization | None:
    """Returns: how those samples become the model's input, None when ``name`` is not a bundled model."""
    card = _card(name)
    return card.normalization if card else None
