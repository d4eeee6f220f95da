"""From a waveform to the spectra of its frames."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Taper = Literal["hann", "hann_symmetric", "hamming", "hamming_symmetric", "rectangular"]
Edge = Literal["none", "reflect", "zeros"]
Cosines = Literal["ortho", "htk"]


def taper(kind: Taper, size: int) -> Floats:
    """Returns: [size], the window that frames are multiplied with.

    ``hann`` and ``hamming`` are periodic (TensorFlow, SciPy's ``fftbins``, librosa); the symmetric ones end
    in the value that they begin with (``numpy.hanning``).
    """
    if kind == "rectangular" or size == 1:
        return np.ones(size)
    period = size - 1 if kind.endswith("symmetric") else size
    a = 0.54 if kind.startswith("hamming") else 0.5
    return a - (1 - a) * np.cos(2 * np.pi * np.arange(size) / period)


def frames(signal: npt.ArrayLike, size: int, hop: int, edge: Edge = "none") -> Floats:
    """Cuts a waveform into frames that may overlap.

    Args:
        signal: [samples].
        size: samples of a frame.
        hop: samples from the start of one to the start of the next.
        edge: ``none`` keeps whole frames only (the end is left out); ``reflect`` and ``zeros`` centre frame
            i on sample i · hop and make up what lies beyond the ends.

    Returns: [frames, size], a read-only view where it can be; no frames where the signal is too short.
    """
    x = np.asarray(signal, np.float64)
    if edge != "none":
        half = size // 2
        # A signal of one or two samples cannot be mirrored as often as a frame is long.
        mode: Literal["reflect", "constant"] = "reflect" if edge == "reflect" and x.size > 1 else "constant"
        x = np.pad(x, (half, half), mode)
    if x.size < size:
        return np.empty((0, size))
    return np.lib.stride_tricks.sliding_window_view(x, size)[::hop]


def frame_count(samples: int, size: int, hop: int, edge: Edge = "none") -> int:
    """Returns: how many frames ``frames`` cuts."""
    long = samples + (0 if edge == "none" else 2 * (size // 2))
    return 0 if long < size else 1 + (long - size) // hop


def dct(values: Floats, count: int, kind: Cosines = "ortho") -> Floats:
    """The discrete cosine transform (DCT-II) along the last axis.

    Args:
        values: [..., N].
        count: how many coefficients to keep, at most N.
        kind: ``ortho`` is orthonormal (SciPy, librosa); ``htk`` scales the first coefficient like the others,
            which makes it √2 greater (HTK, TensorFlow's ``mfccs_from_log_mel_spectrograms``).

    Returns: [..., count].
    """
    size = values.shape[-1]
    angle = np.pi / size * (np.arange(size)[:, None] + 0.5) * np.arange(count)
    basis = np.cos(angle) * np.sqrt(2.0 / size)
    if kind == "ortho":
        basis[:, 0] /= np.sqrt(2.0)
    return np.asarray(values @ basis)
