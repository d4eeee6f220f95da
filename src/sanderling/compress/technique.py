"""What a technique is: one file of this folder with a ``TECHNIQUE`` of this shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.compress.calibration import Feeds, load_feeds
from sanderling.errors import RecipeError
from sanderling.graph.graph import Model
from sanderling.training.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Work:
    """What a technique may use besides the model and its settings.

    Attributes:
        folder: an existing folder for scratch files, gone afterwards.
        calibration: feeds as ``calibration.save_feeds`` wrote them, or None when there are none.
        threads: CPU threads it may use.
        original: file of the model that everything is compared with, which is what teaches; None where that
            is the model that the technique is given.
        lessons: more feeds, for training; None for those of ``calibration``.
        kept: where training may keep what it has reached; None for nowhere.
        progress: told what long work has reached.
    """

    folder: Path
    calibration: Path | None = None
    threads: int = 1
    original: Path | None = None
    lessons: Path | None = None
    kept: Path | None = None
    progress: Callable[[Any], None] | None = None

    def feeds(self, technique: str) -> Feeds:
        """Opens the feeds for training.

        Raises:
            RecipeError: there are none.
            SampleError: they cannot be read.
        """
        file = self.lessons or self.calibration
        if file is None:
            raise RecipeError(f"{technique} needs samples to learn from", hint="give --samples")
        return load_feeds(file)

    def checkpoint(self, identity: str) -> Checkpoint | None:
        """Returns: where to keep what training of this identity has reached."""
        return None if self.kept is None else Checkpoint(self.kept, identity)


Transform = Callable[[Model, Mapping[str, Any], Work], tuple[Model, Applied]]


@dataclass(frozen=True, slots=True)
class Technique:
    """One way to compress a model.

    Attributes:
        name: the file's stem, and the name used in recipes.
        summary: what it does and when it helps, one sentence.
        apply: (model, settings, work) → the compressed model and what was done. Raises ``RecipeError``
            when the settings are wrong or the model cannot be compressed this way.
        needs_calibration: True when ``work.calibration`` must be given.
    """

    name: str
    summary: str
    apply: Transform
    needs_calibration: bool = False
