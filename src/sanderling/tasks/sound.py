"""A sound that a person gave, and the parts of it that a model hears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sanderling.graph.types import Array
from sanderling.samples.ear import Ear
from sanderling.samples.features.presets import preset
from sanderling.tasks.labels import fit_labels

if TYPE_CHECKING:
    from sanderling.tasks.answer import Asked

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Waveform:
    """A sound: ``signal`` [samples, channels] in −1..1, at ``rate`` Hz."""

    signal: Floats
    rate: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self.signal.shape[0] / self.rate)

    @property
    def mono(self) -> Floats:
        """Its channels mixed, [samples]."""
        mixed: Floats = self.signal.mean(axis=1)
        return mixed


@dataclass(frozen=True, slots=True)
class Window:
    """What a model hears at once.

    Attributes:
        whole: the sound at the model's rate.
        ear: how the input listens.
        start: the window's position in it.
        features: of the whole sound, where the front end makes them of it at once.
    """

    whole: Waveform
    ear: Ear
    start: int
    features: Floats | None


def window_of(asked: Asked) -> Window | None:
    """Returns: the window that an answer is about, None when it is about no sound."""
    return next((raw for raw in asked.given.values() if isinstance(raw, Window)), None)


def real_input(asked: Asked) -> Array | None:
    """Returns: the first input as real values, None where they cannot be told."""
    name, fed = next(iter(asked.fed.items()), ("", None))
    quant = asked.quants.get(name)
    if fed is None or quant is None:
        return None if fed is None or fed.dtype.kind != "f" else fed
    if quant.scale.size != 1:
        return None
    real: Array = (fed.astype(np.float32) - quant.zero_point[0]) * quant.scale[0]
    return real


def sound_labels(asked: Asked, classes: int) -> tuple[tuple[str, ...], str]:
    """Returns: the names of the classes, those of the front end's usual model where none are known; and a
    word on them."""
    labels, note = fit_labels(asked.labels, classes)
    window = window_of(asked)
    if labels or asked.labels or window is None or window.ear.chosen is None:
        return labels, note
    known = preset(window.ear.chosen.front_end.name)
    if known is None or len(known.labels) != classes:
        return (), note
    return known.labels, f"GUESS: the classes' names are those of {known.what.partition(':')[0]}"
