"""Our recipes. To add one is a line: a name, its steps, and the seeds that it is tried with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sanderling.compress.recipe import Recipe, Step

ONCE = (0,)
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Ours:
    """One of our recipes.

    Attributes:
        name: for the page.
        steps: as in ``best.json``; the word "$seed" among the settings becomes the seed.
        seeds: what it is tried with: several where it trains.
        subjects: the models that it is meant for; empty: all.
    """

    name: str
    steps: tuple[tuple[str, Mapping[str, Any]], ...]
    seeds: tuple[int, ...] = ONCE
    subjects: tuple[str, ...] = ()

    def recipe(self, seed: int) -> Recipe:
        """Returns: what is applied."""
        return Recipe(
            self.name,
            tuple(
                Step(technique, {key: seed if value == "$seed" else value for key, value in settings.items()})
                for technique, settings in self.steps
            ),
        )


OURS = (
    Ours("static int8 (min-max)", (("static_int8", {"calibration": "minmax"}),)),
    Ours("static int8 (MSE)", (("static_int8", {"calibration": "mse"}),)),
    Ours("static int8 (entropy)", (("static_int8", {"calibration": "entropy"}),)),
    Ours("static int8 (99.99 %)", (("static_int8", {"calibration": "percentile", "percentile": 99.99}),)),
    Ours("dynamic int8", (("dynamic_int8", {}),)),
)
