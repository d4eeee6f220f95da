"""What a model saw at once, and said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sanderling.graph.types import Array
from sanderling.tasks.answer import Asked
from sanderling.tasks.input_kind import Fed


@dataclass(frozen=True, slots=True)
class Ready:
    """What a model is to see at once.

    Attributes:
        given: opened, by input's name.
        fed: as it goes in, by input's name.
        asked: what the answer is to know.
    """

    given: Mapping[str, Any]
    fed: Mapping[str, Fed]
    asked: Asked


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model saw at once, and said.

    Attributes:
        given: opened, by input's name.
        fed: as it went in, by input's name.
        outputs: real values, in the model's order.
        asked: what the answer is to know.
    """

    given: Mapping[str, Any]
    fed: Mapping[str, Fed]
    outputs: Sequence[Array]
    asked: Asked
