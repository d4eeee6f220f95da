"""What a user asks of a search, checked and complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sanderling.compress.recipe import Recipe
from sanderling.search.budget import Budget
from sanderling.search.database import Database
from sanderling.search.limits import Limits


@dataclass(frozen=True, slots=True)
class Reading:
    """How samples are read: see ``samples.load_samples``."""

    labels: Path | Sequence[Any] | None = None
    mean: float | Sequence[float] | None = None
    std: float | Sequence[float] | None = None
    scale: float | None = None
    preprocess: str | Callable[..., Any] | None = None
    sample_rate: int | None = None
    front_end: Any = None
    hop: float | None = None
    tokenizer: str | Path | None = None
    limit: int | None = None

    def options(self) -> dict[str, Any]:
        """Returns: all that was stated but the labels, as keyword arguments of ``load_samples``."""
        stated = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "labels"}
        return {name: value for name, value in stated.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Request:
    """A search.

    Attributes:
        models: files; the first is the reference that answers are compared with, all compete.
        samples: folder, file, arrays, or None for noise.
        reading: how samples are read.
        budget: limits.
        device: where candidates run: ``local``, ``ssh://user@host``.
        cluster: address of a Ray cluster on whose nodes candidates are made and run; None: on ``device``.
        study: a database where the trials are kept and shared; None: a file in ``output``.
        target: what the winner is for; decides notes and what is allowed.
        task: name of the task, None to guess.
        metric: the user's own drop: ``file.py:fn`` or a function of (reference outputs, candidate
            outputs, label) giving one sample's drop.
        evaluate: the user's own score of a whole model: function of a callable session, higher is better.
        limits: what a candidate may be, for the place where it will run.
        without_passes: names of rewrites (``passes``) that no candidate may use.
        threads: one thread count to use throughout, None to compare on one and try more at the end.
        recipe: apply just this recipe instead of climbing the ladder.
        resume: go on from the study in ``output``.
        output: folder for the results.
        label_names: names of classes, for the report.
        seed: fixes splits and resampling.
        training: minutes that training one candidate may take; 0: none is trained; None: as time allows.
        regularizer: what draws weights towards zero where pruning trains, and how strongly.
        power_meter: a program that prints watts, which measures energy; None: what the machine has.
        asked: when it was asked (``time.monotonic``): the time that the search may take counts from here.
    """

    models: tuple[Path, ...]
    samples: Any
    output: Path
    reading: Reading = Reading()
    budget: Budget = Budget()
    device: str = "local"
    cluster: str | None = None
    study: Database | None = None
    target: str = "cpu"
    task: str | None = None
    metric: str | Callable[..., float] | None = None
    evaluate: Callable[[Callable[[Any], Any]], float] | None = None
    limits: Limits = Limits()
    without_passes: tuple[str, ...] = ()
    threads: int | None = None
    recipe: Recipe | None = None
    resume: bool = False
    label_names: tuple[str, ...] = ()
    seed: int = 0
    training: float | None = None
    regularizer: tuple[str, float] | None = None
    power_meter: str | None = None
    asked: float = field(default_factory=time.monotonic)
