"""Makes candidates' files in a worker of its own: a technique that crashes or hangs ends one trial only."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe
from sanderling.measure.client import Worker
from sanderling.search.clock import Clock
from sanderling.search.identity import trial_id
from sanderling.search.subject import Subject

# More feeds make ranges no better, only later.
CALIBRATION_FEEDS = 100


class Workshop:
    """Applies recipes.

    Args:
        folder: where the candidates' files go; made when absent.
        clock: bounds every call.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.clock = clock
        self._worker = Worker(name="compressor")
        self._scratch = tempfile.TemporaryDirectory(prefix="sanderling-")
        self._calibration: dict[str, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def file_for(self, subject: Subject, recipe: Recipe) -> Path:
        """Returns: where a candidate's file belongs. A recipe without steps is the model itself."""
        if not recipe.steps:
            return subject.path
        slug = re.sub(r"[^a-z0-9.]+", "-", f"{subject.name}-{recipe.name}".lower()).strip("-")[:80]
        return self.folder / f"{slug}-{trial_id(subject.hash, recipe, '', 0, '', '')[:6]}.tflite"

    def make(self, subject: Subject, recipe: Recipe) -> tuple[Path, Applied]:
        """Applies a recipe. Returns: the candidate's file, and what was done.

        Raises:
            SanderlingError: the recipe cannot be applied, or its technique crashed or took too long.
        """
        file = self.file_for(subject, recipe)
        if not recipe.steps:
            return file, Applied(recipe.name)
        value = self._worker.call(
            "sanderling.compress.apply:apply_in_worker",
            recipe=recipe.to_json(),
            source=str(subject.path),
            out=str(file),
            calibration=str(self.calibration(subject)),
            timeout=self.clock.bound(300),
            doing=f"making '{recipe.name}'",
        )
        return file, Applied.from_json(value)

    def calibration(self, subject: Subject) -> Path:
        """Returns: the file with the samples that ranges are taken from."""
        if subject.hash not in self._calibration:
            samples = subject.split.calibrate.first(CALIBRATION_FEEDS)
            feeds = (samples[position] for position in range(len(samples)))
            folder = Path(self._scratch.name) / subject.hash[:16]
            self._calibration[subject.hash] = save_feeds(feeds, folder)
        return self._calibration[subject.hash]

    def call(self, function: str, *, on_progress: Callable[[Any], None] | None = None, **kwargs: Any) -> Any:
        """Calls a function in the compressing worker."""
        timeout = self.clock.bound(600)
        return self._worker.call(function, timeout=timeout, on_progress=on_progress, **kwargs)

    def close(self) -> None:
        """Ends the worker and removes scratch files."""
        self._worker.close()
        self._scratch.cleanup()
