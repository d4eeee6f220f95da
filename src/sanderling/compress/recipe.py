"""A recipe: which tensors get which technique with which settings. Plain data, JSON both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sanderling.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Step:
    """One technique with its settings.

    Attributes:
        technique: the stem of a file in ``compress/`` (``float16``, ``dynamic_int8``, ``static_int8`` …).
        settings: JSON values only, e.g. ``{"calibration": "percentile", "percentile": 99.99,
            "keep_float": ["<output tensor name>", …], "operators": ["CONV_2D", "FULLY_CONNECTED"]}``.
            Operators are named by the name of their first output tensor, which survives retraining.
    """

    technique: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps that are applied in order to a float model. No step: the model as it is.

    Attributes:
        name: a short name for tables: ``static int8 (percentile 99.99)``.
        steps: techniques in order.
    """

    name: str
    steps: tuple[Step, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values that ``from_json`` reads back equal."""
        return {
            "name": self.name,
            "steps": [{"technique": s.technique, "settings": dict(s.settings)} for s in self.steps],
        }

    @classmethod
    def from_json(cls, value: object) -> Recipe:
        """Reads a recipe.

        Raises:
            RecipeError: the value does not have the shape that ``to_json`` writes.
        """
        if not isinstance(value, dict) or not isinstance(value.get("steps"), list):
            raise RecipeError(
                "a recipe is an object with a list of steps", hint="see the field 'recipe' of best.json"
            )
        steps = []
        for step in value["steps"]:
            settings = step.get("settings", {}) if isinstance(step, dict) else None
            if not isinstance(settings, dict) or not isinstance(step.get("technique"), str):
                raise RecipeError("a step of the recipe has no 'technique' or its 'settings' are no object")
            steps.append(Step(step["technique"], settings))
        return cls(str(value.get("name", "recipe")), tuple(steps))

    def identity(self) -> str:
        """Returns: the same text for recipes that do the same, whatever they are called."""
        return json.dumps(self.to_json()["steps"], sort_keys=True)
