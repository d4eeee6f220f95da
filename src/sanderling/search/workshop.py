"""Makes candidates' files in a worker of its own: a technique that crashes or hangs ends one trial only."""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from sanderling.compress.applied import Applied
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import StorageError
from sanderling.isolation.client import Made, Worker
from sanderling.search.clock import Clock
from sanderling.search.identity import trial_id
from sanderling.search.subject import Subject

# More feeds make ranges no better, only later.
CALIBRATION_FEEDS = 100
_MAKING_SECONDS = 900.0
_OVERRUN = 1.5  # of the time that training was given, before its worker is taken for hung


class Workshop:
    """Applies recipes.

    Args:
        folder: where the candidates' files go; made with the first.
        scratch: an empty folder for what lives no longer than the search.
        clock: bounds every call.
    """

    def __init__(self, folder: Path, scratch: Path, clock: Clock) -> None:
        self.folder = folder.resolve()  # the worker may stand in another folder
        self.scratch = scratch.resolve()
        self.clock = clock
        self._worker = Worker(name="compressor", folder=scratch)
        self._feeds: dict[str, Path] = {}
        self._made: dict[Path, Applied] = {}
        self._by_steps: dict[tuple[str, str], Path] = {}
        self._saving = threading.Lock()
        self._making: dict[Path, threading.Lock] = {}

    def moved(self, worker: Worker) -> Self:
        """Returns: the same workshop, with the same files and what is known of them, where another worker
        makes candidates: on the node that times them."""
        there = copy.copy(self)
        there._worker = worker
        return there

    def file_for(self, subject: Subject, recipe: Recipe) -> Path:
        """Returns: where a candidate's file belongs. A recipe without steps is the model itself."""
        if not recipe.steps:
            return subject.path
        slug = re.sub(r"[^a-z0-9.]+", "-", f"{subject.name}-{recipe.name}".lower()).strip("-")[:80]
        samples = subject.split.calibrate.fingerprint
        return self.folder / f"{slug}-{trial_id(subject.hash, recipe, '', 0, samples, '')[:8]}.tflite"

    def make(
        self, subject: Subject, recipe: Recipe, *, on_progress: Callable[[Any], None] | None = None
    ) -> tuple[Path, Applied]:
        """Applies a recipe, unless that was done before: files appear whole, under names of their own.

        Args:
            subject: the model.
            recipe: what to do.
            on_progress: told how far training is: see ``training.teach``.

        Returns: the candidate's file, and what was done.

        Raises:
            SanderlingError: the recipe cannot be applied, or its technique crashed or took too long.
        """
        file = self.file_for(subject, recipe)
        if not recipe.steps:
            return file, Applied(recipe.name)
        with self._making.setdefault(file, threading.Lock()):  # two nodes may want the same file
            if file not in self._made:
                self._made[file] = self._make(subject, recipe, file, on_progress)
        return file, self._made[file]

    def _make(
        self, subject: Subject, recipe: Recipe, file: Path, on_progress: Callable[[Any], None] | None
    ) -> Applied:
        _make(self.folder)
        source, steps = self._furthest(subject, recipe)
        value = self._worker.call(
            "sanderling.compress.apply:apply_in_worker",
            recipe=Recipe(recipe.name, steps).to_json(),
            source=source.resolve(),
            out=Made(file),
            calibration=self.calibration(subject),
            original=subject.path.resolve(),
            lessons=self.lessons(subject) if minutes_of(steps) else None,
            timeout=self.clock.bound(_MAKING_SECONDS + 60 * _OVERRUN * minutes_of(steps)),
            on_progress=on_progress,
            doing=f"making '{recipe.name}'",
        )
        self._by_steps[(subject.hash, recipe.identity())] = file
        return Applied.from_json(value)

    def _furthest(self, subject: Subject, recipe: Recipe) -> tuple[Path, tuple[Step, ...]]:
        """Returns: the file to start from, and the steps that are left to do on it."""
        for done in range(len(recipe.steps) - 1, 0, -1):
            earlier = self._by_steps.get((subject.hash, Recipe("", recipe.steps[:done]).identity()))
            if earlier is not None:
                return earlier, recipe.steps[done:]
        return subject.path, recipe.steps

    def calibration(self, subject: Subject) -> Path:
        """Returns: the file with the samples that ranges are taken from."""
        return self._saved(subject, "ranges", CALIBRATION_FEEDS)

    def lessons(self, subject: Subject) -> Path:
        """Returns: the file with the samples that are trained on: all that are neither searched nor confirmed
        with."""
        return self._saved(subject, "lessons", len(subject.split.calibrate))

    def _saved(self, subject: Subject, use: str, count: int) -> Path:
        key = f"{subject.hash[:16]}-{use}"
        with self._saving:
            if key not in self._feeds:
                samples = subject.split.calibrate.first(count)
                feeds = (samples[position] for position in range(len(samples)))
                try:
                    self._feeds[key] = save_feeds(feeds, self.scratch / key)
                except OSError as error:
                    raise _cannot_write(self.scratch, error) from None
            return self._feeds[key]

    def call(self, function: str, *, on_progress: Callable[[Any], None] | None = None, **kwargs: Any) -> Any:
        """Calls a function in the compressing worker."""
        timeout = self.clock.bound(600)
        return self._worker.call(function, timeout=timeout, on_progress=on_progress, **kwargs)

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()


def minutes_of(steps: Iterable[Step]) -> float:
    """Returns: how long a recipe trains, in minutes."""
    return sum(float(step.settings.get("minutes", 0.0)) for step in steps)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(folder, error) from None


def _cannot_write(folder: Path, error: OSError) -> StorageError:
    return StorageError(f"cannot be written to ({error.strerror or error})", where=str(folder))
