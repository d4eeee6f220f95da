"""What a technique is: one file of this folder with a ``TECHNIQUE`` of this shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.graph.graph import Model


@dataclass(frozen=True, slots=True)
class Work:
    """What a technique may use besides the model and its settings.

    Attributes:
        folder: an existing folder for scratch files, gone afterwards.
        calibration: feeds as ``calibration.save_feeds`` wrote them, or None when there are none.
        threads: CPU threads it may use.
    """

    folder: Path
    calibration: Path | None = None
    threads: int = 1


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
