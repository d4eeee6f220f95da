"""Weights of few values as indices into tables, which TFLite Micro unpacks: less flash, the same answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.compress.options import Options
from sanderling.compress.sparsity.look_up_tables import with_look_up_tables
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Model

NAME = "look_up_tables"


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Packs the weights that have up to 128 values wherever that makes the file smaller (see ``share``).

    Settings: none.

    Raises:
        RecipeError: no weights have so few values.
    """
    Options(NAME, settings, ())
    packed, count = with_look_up_tables(model)
    if not count:
        raise RecipeError(
            f"{NAME} finds no weights with so few values that tables would be smaller",
            hint="share them first",
        )
    return packed, Applied(notes=(f"{count} weights are tables: only TFLite Micro runs it",))


TECHNIQUE = Technique(NAME, "tables of the few values that weights have, for TFLite Micro: less flash", apply)
