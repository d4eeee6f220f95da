"""Filter banks on the mel scale, in the definitions that models are trained with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError

Floats = npt.NDArray[np.float64]
Scale = Literal["htk", "slaney"]
MOST_BANDS = 1024

# Slaney's scale is linear below 1000 Hz (15 mel there) and logarithmic above, 27 steps to a factor of 6.4.
_HERTZ_PER_MEL = 200.0 / 3
_BREAK_HERTZ = 1000.0
_BREAK_MEL = _BREAK_HERTZ / _HERTZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27


@dataclass(frozen=True, slots=True)
class Mel:
    """Triangular bands that overlap by half.

    Attributes:
        bands: how many.
        low, high: the outer edges, in Hz.
        scale: ``htk``: 2595 · log10(1 + f/700); ``slaney``: linear below 1 kHz (Auditory Toolbox, librosa's
            default).
        slopes: whether a band's flanks are straight over ``mel`` (TensorFlow, Kaldi) or over ``hertz``
            (librosa, torchaudio).
        area: ``slaney`` divides every band by half its width in Hz, so that all have the same area; ``none``
            leaves their peaks at one.
    """

    bands: int
    low: float = 0.0
    high: float = 8000.0
    scale: Scale = "htk"
    slopes: Literal["mel", "hertz"] = "hertz"
    area: Literal["none", "slaney"] = "none"

    def __post_init__(self) -> None:
        if not 1 <= self.bands <= MOST_BANDS:
            raise UsageError(f"{self.bands} mel bands are not possible, 1 to {MOST_BANDS} are")
        if not 0 <= self.low < self.high:
            raise UsageError(f"mel bands from {self.low:g} to {self.high:g} Hz are not possible")

    def weights(self, bins: int, rate: int) -> Floats:
        """Returns: [bins, bands], the weight of every spectral bin (0 … rate/2) in every band."""
        return _weights(self, bins, rate)


def hertz_to_mel(hertz: npt.ArrayLike, scale: Scale = "htk") -> Floats:
    """Returns: the pitch in mel."""
    f = np.asarray(hertz, np.float64)
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + f / 700.0))
    above = _BREAK_MEL + np.log(np.maximum(f, _BREAK_HERTZ) / _BREAK_HERTZ) / _LOG_STEP
    return np.where(f < _BREAK_HERTZ, f / _HERTZ_PER_MEL, above)


def mel_to_hertz(mel: npt.ArrayLike, scale: Scale = "htk") -> Floats:
    """Returns: the frequency in Hz; the inverse of ``hertz_to_mel``."""
    m = np.asarray(mel, np.float64)
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (m / 2595.0) - 1.0))
    above = _BREAK_HERTZ * np.exp(_LOG_STEP * (np.maximum(m, _BREAK_MEL) - _BREAK_MEL))
    return np.where(m < _BREAK_MEL, m * _HERTZ_PER_MEL, above)


@lru_cache(maxsize=16)
def _weights(mel: Mel, bins: int, rate: int) -> Floats:
    frequencies = np.linspace(0.0, rate / 2, bins)
    ends = hertz_to_mel([mel.low, mel.high], mel.scale)
    edges = np.linspace(ends[0], ends[1], mel.bands + 2)
    hertz = mel_to_hertz(edges, mel.scale)
    over, at = (edges, hertz_to_mel(frequencies, mel.scale)) if mel.slopes == "mel" else (hertz, frequencies)
    left, centre, right = over[:-2], over[1:-1], over[2:]
    rising = (at[:, None] - left) / (centre - left)
    falling = (right - at[:, None]) / (right - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    if mel.slopes == "mel":
        weights[0] = 0.0  # TensorFlow and Kaldi leave out the constant part
    if mel.area == "slaney":
        weights *= 2.0 / (hertz[2:] - hertz[:-2])
    weights.flags.writeable = False
    return weights
