"""What the zoo's models were measured to take on a reference machine: ``measured/cpu.json``.

``benchmarks/zoo_figures.py`` writes that file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One model on the reference machine.

    Attributes:
        p50, p90: milliseconds per call, batch 1.
        peak_memory_bytes: growth of a fresh process that loads and runs it alone; None when not measured.
    """

    p50: float
    p90: float
    peak_memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference machine and what was measured on it.

    Attributes:
        device: the processor and what else matters, in words.
        engine, threads: what ran the models.
        date: ISO 8601.
        figures: by the models' names.
    """

    device: str
    engine: str
    threads: int
    date: str
    figures: Mapping[str, Figure]


@cache
def reference() -> Reference:
    """Returns: the reference machine's figures, as they ship with the package."""
    stored = json.loads((Path(__file__).parent / "measured" / "cpu.json").read_text(encoding="utf-8"))
    figures = {name: Figure(**values) for name, values in stored.pop("figures").items()}
    return Reference(**stored, figures=figures)
