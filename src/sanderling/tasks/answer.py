"""What a task makes of a model's outputs: words, JSON, a picture.

The folder ``tasks/answers`` is the registry: one file per task, with a ``TASK``.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.errors import UsageError
from sanderling.fields import nearest
from sanderling.graph.types import Array, Quant
from sanderling.tasks.placement import Placement
from sanderling.tasks.task import Outputs
from sanderling.tasks.view import View

if TYPE_CHECKING:
    from PIL import Image

Draw = Callable[["Image.Image"], "Image.Image"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer is about.

    Attributes:
        outputs: names of the outputs, in the model's order.
        side: height and width of the picture that went in, None when it was none.
        placement: how the input's pixels lie in the person's picture, None when it was none.
        labels: names of the classes, () when not known.
        given: what the person gave, opened: a PIL image, (waveform, rate), a text; by the input's name.
        fed: what went in, as the model stores it, by the input's name.
        quants: how inputs that are stored as integers stand for real values, by name.
        span: from and to in seconds, where this is a part of a longer sound; else None.
    """

    outputs: tuple[str, ...] = ()
    side: tuple[int, int] | None = None
    placement: Placement | None = None
    labels: tuple[str, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    fed: Mapping[str, Array] = field(default_factory=dict)
    quants: Mapping[str, Quant] = field(default_factory=dict)
    span: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. All places are pixels of the person's own picture.

    Attributes:
        lines: what a person wants to read.
        data: the same for programs: JSON values.
        draw: draws it on the person's picture (RGB, its own size), or None. A task whose answer is itself a
            picture (a depth map, a larger picture) gives that one.
        arrays: what ``-o out.npy`` or ``.npz`` holds, by name.
        save: other files it can be written to: suffix (``.wav``) → function of the path.
        held: how far this answer still holds by other outputs, from 1 (just the same) down to 0; what
            ``--explain`` watches. None when that cannot be said.
        found: whether there is anything to see: not so where no box is, no face, or background alone.
    """

    lines: tuple[str, ...]
    data: Mapping[str, Any]
    draw: Draw | None = None
    arrays: Mapping[str, Array] = field(default_factory=dict)
    save: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    held: Callable[[Outputs], float] | None = None
    found: bool = True


@dataclass(frozen=True, slots=True)
class Answering:
    """A task as ``run`` sees it.

    Attributes:
        name: the file's name.
        what: one line for people.
        options: a frozen dataclass with a default for every field: its settings as data.
        answer: (outputs as real values in the model's order, options, what was asked) → the answer. Raises
            UsageError when the outputs cannot be read with these options.
        guess: (what can be seen of the outputs) → options with which they look like this task, or None.
            Left out, only ``tasks/guess.py`` decides. Asked in the order of ``rank``.
        together: (outputs and what was asked of each part, options) → one answer, where the model saw a thing
            in several parts. Left out, the parts' answers are put one below the other.
        columns: what a table of answers holds of one, by column; left out: its arrays and its data.
        as_given: its arrays have the shapes of the model's outputs.
        takes: the kind of its first input.
        rank: the smaller, the earlier it is asked.
    """

    name: str
    what: str
    options: type[Any]
    answer: Callable[[Outputs, Any, Asked], Answer]
    guess: Callable[[View], Mapping[str, Any] | None] | None = None
    together: Callable[[Sequence[tuple[Outputs, Asked]], Any], Answer] | None = None
    columns: Callable[[Answer], Mapping[str, Any]] | None = None
    as_given: bool = False
    takes: str = "image"
    rank: int = 50

    def row(self, answer: Answer) -> dict[str, Any]:
        """Returns: what a table of answers holds of one: JSON values and arrays, by column."""
        if self.columns is not None and "parts" not in answer.data:
            return dict(self.columns(answer))
        return {**answer.arrays, **answer.data}


@cache
def task_names() -> tuple[str, ...]:
    """Returns: the names of all tasks, sorted."""
    package = importlib.import_module("sanderling.tasks.answers")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_")))


def find_task(name: str) -> Answering:
    """Returns: the task in ``tasks/answers/<name>.py``.

    Raises:
        UsageError: there is no such task.
    """
    if name not in task_names():
        raise UsageError(f"there is no task {name!r}", where="--task", hint=nearest(name, task_names()))
    found: Answering = importlib.import_module(f"sanderling.tasks.answers.{name}").TASK
    return found
