"""From a file, be it a model or the recipe file of a cascade, to a runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sanderling.engines import registry
from sanderling.engines.engine import Runner
from sanderling.engines.isolated import keeps_state
from sanderling.errors import ModelError, RecipeError
from sanderling.graph.graph import Model
from sanderling.runtime.cascade import CascadeRunner
from sanderling.runtime.cascade_file import Cascade, read_cascade
from sanderling.runtime.choice import USUAL
from sanderling.runtime.loading import load_runner, read_model
from sanderling.runtime.recipe_file import RunAs, is_recipe_file

CASCADE = "cascade"  # what stands for an engine where models of a cascade have one each


@dataclass(frozen=True, slots=True)
class Read:
    """What is in a file.

    Attributes:
        path: the file.
        models: one, or those of a cascade, the smallest first.
        cascade: how these work together; None for a model.
    """

    path: Path
    models: tuple[Model, ...]
    cascade: Cascade | None = None

    @property
    def model(self) -> Model:
        """The model, or the last of a cascade, whose inputs and outputs are the cascade's."""
        return self.models[-1]

    @property
    def size_bytes(self) -> int:
        """Of the file, or of the files of all models of a cascade."""
        return self.path.stat().st_size if self.cascade is None else self.cascade.size_bytes


def read_file(path: Path) -> Read:
    """Reads and verifies a model, or all models of a cascade.

    Raises:
        FormatError: it is no sound model.
        RecipeError: it is no sound recipe file, or holds no cascade.
    """
    if not is_recipe_file(path):
        return Read(path, (read_model(path),))
    cascade = read_cascade(path)
    if cascade is None:
        raise RecipeError("holds no cascade", where=str(path), hint="name the model beside it")
    return Read(path, read_parts(cascade), cascade)


def read_parts(cascade: Cascade) -> tuple[Model, ...]:
    """Reads the models of a cascade.

    Raises:
        FormatError: one is missing or damaged.
        ModelError: one keeps a state: what it has not been asked it would not remember.
    """
    models = tuple(read_model(part.path) for part in cascade.parts)
    for model, part in zip(models, cascade.parts, strict=True):
        if keeps_state(model):
            raise ModelError(
                "keeps a state from one call to the next, and a cascade would leave calls out",
                where=str(part.path),
            )
    return models


def open_runner(
    read: Read,
    engine: str,
    *,
    threads: int | None = None,
    precision: str = "auto",
    options: Mapping[str, object] | None = None,
) -> Runner:
    """Loads what was read.

    Args:
        engine: an engine, or ``CASCADE``: each model of a cascade on its own.
        threads: CPU threads; None: for a cascade what its file says, else as ``load_runner``.
        precision, options: of the engine; not for a cascade.

    Raises:
        ModelError: an engine refuses a model, or the models do not fit together.
    """
    if read.cascade is None:
        return load_runner(
            read.path, read.model, engine, threads=threads, precision=precision, options=options
        )
    known = dict(zip(read.cascade.parts, read.models, strict=True))

    def load(part: RunAs) -> Runner:
        own = (part.engine or USUAL) if engine == CASCADE else engine
        return load_runner(
            part.path,
            known[part],
            own,
            threads=part.threads if threads is None else threads,
            precision=part.precision or "auto",
        )

    return load_parts(read.cascade, load)


def load_parts(cascade: Cascade, load: Callable[[RunAs], Runner]) -> CascadeRunner:
    """Loads the models of a cascade and joins them; what was loaded is freed where that fails.

    Raises:
        ModelError: an engine refuses one, or they do not fit together.
    """
    with ExitStack() as stack:
        runners = []
        for part in cascade.parts:
            runners.append(load(part))
            stack.callback(runners[-1].close)
        made = as_one(runners, cascade)
        stack.pop_all()
        return made


def as_one(runners: Sequence[Runner], cascade: Cascade) -> CascadeRunner:
    """Joins loaded models.

    Raises:
        ModelError: they do not fit together.
    """
    try:
        return CascadeRunner(runners, cascade.rules)
    except ModelError as error:
        raise ModelError(error.what, where=str(cascade.path), hint=error.hint) from None


def ready(read: Read, engine: str) -> None:
    """Imports the libraries of the engines that will run what was read: that takes time, and memory, which
    are not a model's."""
    engines = [engine] if read.cascade is None else [part.engine or USUAL for part in read.cascade.parts]
    for each in engines:
        registry.engine_of(each).available()
