"""What a kind of input is: how a user's file is opened, and how it becomes what a model takes.

The folder ``tasks/inputs`` is the registry: one file per kind, with a ``KIND``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sanderling.errors import UsageError
from sanderling.fields import nearest
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.samples.inputs import Input
from sanderling.tasks.placement import Placement


@dataclass(frozen=True, slots=True)
class Fed:
    """One thing as an input takes it.

    Attributes:
        array: exactly of the input's type and shape.
        placement: for pictures: how the input's pixels lie in the person's picture; else None.
    """

    array: Array
    placement: Placement | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What the model sees at once of a thing that is too long for it: a window of a sound.

    Attributes:
        raw: as ``InputKind.feed`` takes it.
        span: from and to, in seconds of the whole.
    """

    raw: Any
    span: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class InputKind:
    """A kind of input.

    Attributes:
        name: ``image``, as JSON calls it: the file's name.
        what: for people: ``pictures``.
        settings: a frozen dataclass with a default for every field: its settings as data.
        suffixes: of the files that ``open`` reads, in lower case with their dot.
        recognise: (model, position of an input, that input) → settings as far as the model itself tells
            them, or None when the input does not look like this kind.
        open: reads a file: a PIL image, (waveform, rate), a text … Raises SampleError.
        feed: (what was opened, settings, input, name for errors) → what the model takes. Raises SampleError.
        parts: cuts an opened thing into what the model sees one after another; None: it sees it whole.
            (what was opened, settings, input, name for errors) → parts, at least one.
        complete: (settings, model, position, input, a few opened things, run) → settings with everything
            filled in that only the data or the model's answers tell (a normalisation), and what to tell
            the user. ``run`` takes one array and gives the outputs.
        rank: kinds are tried in this order when an input is recognised.
    """

    name: str
    what: str
    settings: type[Any]
    suffixes: frozenset[str]
    recognise: Callable[[Model, int, Input], Any | None]
    open: Callable[[Path], Any]
    feed: Callable[[Any, Any, Input, str], Fed]
    parts: Callable[[Any, Any, Input, str], Sequence[Part]] | None = None
    complete: Callable[..., tuple[Any, tuple[str, ...]]] | None = None
    rank: int = 50


@cache
def kind_names() -> tuple[str, ...]:
    """Returns: the names of all kinds, sorted."""
    package = importlib.import_module("sanderling.tasks.inputs")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def find_kind(name: str, where: str = "inputs") -> InputKind:
    """Returns: the kind in ``tasks/inputs/<name>.py``.

    Raises:
        UsageError: there is no such kind.
    """
    if name not in kind_names():
        raise UsageError(f"there is no kind of input {name!r}", where=where, hint=nearest(name, kind_names()))
    found: InputKind = importlib.import_module(f"sanderling.tasks.inputs.{name}").KIND
    return found


def kinds() -> list[InputKind]:
    """Returns: all kinds in the order in which an input is tried to be recognised as one."""
    return sorted((find_kind(name) for name in kind_names()), key=lambda kind: (kind.rank, kind.name))


def kind_of(settings: Any) -> InputKind:
    """Returns: the kind whose settings these are."""
    return next(kind for kind in kinds() if type(settings) is kind.settings)


def recognise_input(model: Model, position: int, spec: Input) -> Any:
    """Returns: settings of the first kind that the input looks like; plain arrays fit any."""
    found = (kind.recognise(model, position, spec) for kind in kinds())
    return next(settings for settings in found if settings is not None)
