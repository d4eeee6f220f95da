"""Which ladder is climbed: the usual one, that of whole integers, or a recipe that was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.compress.recipe import Recipe
from sanderling.errors import RecipeError
from sanderling.search import integers, ladder
from sanderling.search.limits import Limits
from sanderling.search.rungs import REWRITE, STATIC, Rung
from sanderling.search.trial import Trial


def ladder_of(recipe: Recipe | None, limits: Limits) -> tuple[tuple[str, Rung], ...]:
    """Returns: the rungs to climb, by name.

    Args:
        recipe: what the user asks for instead of a search.
        limits: what candidates may be.
    """
    if recipe is not None:
        return ladder.of_recipe(recipe)
    return integers.LADDER if limits.integers else ladder.LADDER


def rewriting(limits: Limits) -> str:
    """Returns: the rung that has to know what rewriting the graph would do."""
    return STATIC if limits.integers else REWRITE


def require_applied(recipe: Recipe | None, trials: Sequence[Trial]) -> None:
    """Makes sure that a recipe that was asked for could be applied: else it is no win of the original.

    Raises:
        RecipeError: it could not.
    """
    tried = trials[-1] if trials else None
    if recipe is not None and tried is not None and tried.status == "failed":
        raise RecipeError(f"the recipe could not be used: {tried.reason}")
