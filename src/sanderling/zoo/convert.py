"""What a card asks of a conversion, in the converters' words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sanderling.convert.conversion import Wishes
from sanderling.graph.types import Array
from sanderling.zoo.card import Bundled, Published

_SAMPLES = 8


def wishes(card: Bundled | Published) -> Wishes | None:
    """Returns: the shapes and the layout that a card asks for, None for the usual ones."""
    asked = _asked(card)
    if not asked:
        return None
    return Wishes(
        {name: tuple(shape) for name, shape in asked["shapes"].items()}, asked.get("layout", "keep")
    )


def samples(card: Bundled | Published) -> dict[str, Array] | None:
    """Makes inputs to compare a conversion with its source on: noise, and the values that a card states.

    Returns: input name → samples; None where noise will do for all inputs.
    """
    asked = _asked(card)
    if not asked.get("constants"):
        return None
    rng = np.random.default_rng(0)
    noise = {
        name: rng.normal(0, 0.1, (_SAMPLES, *shape[1:])).astype(np.float32)
        for name, shape in asked.get("shapes", {}).items()
    }
    return noise | {name: np.full(_SAMPLES, each, np.float32) for name, each in asked["constants"].items()}


def _asked(card: Bundled | Published) -> Mapping[str, Any]:
    return card.convert if isinstance(card, Published) else {}
