"""Models that can be named instead of given as a file.

The folder is the registry. A folder beside this file that holds a ``card.json`` is a bundled model, which
comes with samples and labels. A file ``NAME.json`` is the card of a model that others published in a package,
and that is fetched from there when it is needed; ``packages/`` holds the cards of those packages.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from sanderling.errors import SanderlingError, UsageError
from sanderling.zoo.card import (
    Bundled,
    Card,
    Normalization,
    Package,
    Published,
    Quality,
    read_bundled,
    read_published,
)

__all__ = [
    "Bundled",
    "Card",
    "Normalization",
    "Package",
    "Published",
    "Quality",
    "bundled",
    "cached",
    "describe",
    "fetch",
    "fetch_all",
    "labels_path",
    "model_path",
    "names",
    "normalization",
    "published",
    "samples_path",
]


def bundled() -> list[str]:
    """Returns: the names of the models that ship with the package, sorted."""
    return sorted(card.parent.name for card in Path(__file__).parent.glob("*/card.json"))


def published() -> list[str]:
    """Returns: the names of the models that are fetched from the packages of others, sorted."""
    return sorted(card.stem for card in Path(__file__).parent.glob("*.json"))


def names() -> list[str]:
    """Returns: the names of all models, sorted."""
    return sorted([*bundled(), *published()])


@cache
def _card(name: str) -> Bundled | Published | None:
    here = Path(__file__).parent
    if name in bundled():
        return read_bundled(here / name)
    return read_published(here / f"{name}.json") if name in published() else None


def describe(name: str) -> Bundled | Published:
    """Looks up what is known of a model.

    Raises:
        UsageError: no model has this name.
    """
    card = _card(name)
    if card is None:
        close = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {close[0]}?" if close else "see: sanderling zoo list"
        raise UsageError("no zoo model has this name", where=name, hint=hint)
    return card


def cached(name: str) -> Path | None:
    """Returns: the file of a model that is here already, None when it would have to be fetched."""
    from sanderling.zoo.store import cached as found

    card = describe(name)
    return found(card) if isinstance(card, Published) else card.model


def fetch(name: str, *, offline: bool = False) -> Path:
    """Brings a model here, if it is not: downloads it, says so on stderr, verifies it.

    Args:
        name: of the model.
        offline: take it from the cache or not at all.

    Returns: its file: ``.tflite``, or what has to be converted to it first.

    Raises:
        UsageError: no model has this name.
        FetchError: it could not be downloaded, or is not what its card describes.
        StorageError: the cache cannot be written to.
    """
    [(_, found)] = fetch_all([name], offline=offline)
    if isinstance(found, SanderlingError):
        raise found
    return found


def fetch_all(
    wanted: Iterable[str], *, offline: bool = False
) -> Iterator[tuple[str, Path | SanderlingError]]:
    """Brings models here, those of one package in one download, which brings the others of it as well.

    Args:
        wanted: names.
        offline: download nothing.

    Yields: each name with its file, or with why there is none.

    Raises:
        UsageError: no model has one of the names.
    """
    from sanderling.zoo.store import fetch as bring
    from sanderling.zoo.tell import Line

    cards = [describe(name) for name in dict.fromkeys(wanted)]
    yield from ((card.name, card.model) for card in cards if isinstance(card, Bundled))
    missing = [card for card in cards if isinstance(card, Published)]
    brought = bring(missing, Line(), offline=offline, others=_carried_by)
    yield from ((card.name, found) for card, found in brought)


def _carried_by(package: Package) -> list[Published]:
    cards = [_card(name) for name in published()]
    return [card for card in cards if isinstance(card, Published) and card.package == package]


def model_path(name: str) -> Path | None:
    """Returns: the ``.tflite`` of a bundled model, None when ``name`` is not one."""
    card = _card(name)
    return card.model if isinstance(card, Bundled) else None


def samples_path(name: str) -> Path | None:
    """Returns: the samples that come with a bundled model (``.npz``), None when ``name`` is not one."""
    card = _card(name)
    return card.samples if isinstance(card, Bundled) else None


def labels_path(name: str) -> Path | None:
    """Returns: the labels of those samples (CSV ``index,label``), None when ``name`` is not one."""
    card = _card(name)
    return card.labels if isinstance(card, Bundled) else None


def normalization(name: str) -> Normalization | None:
    """Returns: how those samples become the model's input, None when ``name`` is not a bundled model."""
    card = _card(name)
    return card.normalization if isinstance(card, Bundled) else None
