"""Reads a technique's settings, with one sentence for each way in which they can be wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sanderling.errors import RecipeError


class Options:
    """The settings of one step of a recipe.

    Args:
        technique: for error messages.
        settings: JSON values as they stand in the recipe.
        known: names of all settings that the technique has.

    Raises:
        RecipeError: there is a setting that the technique does not have.
    """

    def __init__(self, technique: str, settings: Mapping[str, Any], known: Collection[str]) -> None:
        self._technique, self._settings = technique, settings
        unknown = sorted(set(settings) - set(known))
        if unknown:
            has = f"its settings are {', '.join(sorted(known))}" if known else "it has none"
            raise RecipeError(f"{technique} has no setting '{unknown[0]}'", hint=has)

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        """Returns: one of ``choices``."""
        value = self._settings.get(name, default)
        if value not in choices:
            raise self._wrong(name, value, "one of " + ", ".join(choices))
        return str(value)

    def flag(self, name: str, default: bool) -> bool:
        """Returns: true or false."""
        value = self._settings.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Returns: a number in [low, high]."""
        value = self._settings.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._wrong(name, value, f"a number from {low:g} to {high:g}")
        return float(value)

    def names(self, name: str) -> tuple[str, ...] | None:
        """Returns: a list of texts, None when the setting is absent."""
        value = self._settings.get(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise self._wrong(name, value, "a list of names")
        return tuple(value)

    def _wrong(self, name: str, value: object, expected: str) -> RecipeError:
        return RecipeError(f"setting '{name}' of {self._technique} is {value!r}", hint=f"give {expected}")
