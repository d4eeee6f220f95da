"""Pitch over time: notes of a transcription, and the contour of a voice."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_NAMES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
LOWEST = 21  # MIDI number of a piano's lowest key, A0


@dataclass(frozen=True, slots=True)
class Note:
    """A note from ``start`` to ``end`` (seconds).

    Attributes:
        pitch: MIDI number, 69 is A4 (440 Hz).
        score: the mean of its frames, 0..1.
    """

    start: float
    end: float
    pitch: int
    score: float

    def __str__(self) -> str:
        return f"{self.start:.2f}–{self.end:.2f} s {note_name(self.pitch)} ({self.score:.0%})"


def note_name(pitch: int) -> str:
    """Returns: ``A4`` for 69."""
    return f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"


def midi_of(hertz: npt.ArrayLike) -> Floats:
    """Returns: the pitch as a MIDI number with fractions; hertz must be positive."""
    return np.asarray(69 + 12 * np.log2(np.asarray(hertz, np.float64) / 440.0))


def notes_of(
    onsets: Floats,
    frames: Floats,
    seconds: float,
    *,
    onset_threshold: float = 0.5,
    frame_threshold: float = 0.3,
    least: float = 0.128,
    bridge: int = 10,
) -> list[Note]:
    """Reads notes off a transcription model's two maps.

    A note begins at a peak of its key's onset, and lasts as long as its frames stay above the threshold; dips
    of at most ``bridge`` frames do not end it, the next onset of the key does.

    Args:
        onsets, frames: [frames, keys], 0..1, the first key being a piano's lowest.
        seconds: from frame to frame.
        least: seconds that a note must last.

    Returns: in the order of their start, then of pitch.

    Source: Bittner et al., A Lightweight Instrument-Agnostic Model for Polyphonic Note Transcription, 2022
    (the thresholds).
    """
    found = []
    for key in range(onsets.shape[1]):
        peaks = _peaks(onsets[:, key], onset_threshold)
        for peak, following in itertools.pairwise([*peaks, len(frames)]):
            end = _end(frames[:, key], peak, following, frame_threshold, bridge)
            if (end - peak) * seconds >= least:
                score = float(frames[peak:end, key].mean())
                found.append(Note(peak * seconds, end * seconds, LOWEST + key, score))
    return sorted(found, key=lambda note: (note.start, note.pitch))


def _peaks(curve: Floats, threshold: float) -> list[int]:
    before, after = np.append(-np.inf, curve[:-1]), np.append(curve[1:], -np.inf)
    return [int(i) for i in np.flatnonzero((curve >= threshold) & (curve > before) & (curve >= after))]


def _end(curve: Floats, start: int, limit: int, threshold: float, bridge: int) -> int:
    end, quiet = start, 0
    for i in range(start, limit):
        if curve[i] >= threshold:
            end, quiet = i + 1, 0
        else:
            quiet += 1
            if quiet > bridge:
                break
    return end


def stitched(windows: Sequence[Floats], starts: Sequence[float], length: float, seconds: float) -> Floats:
    """Joins windows that overlap: every frame is taken from the window in whose middle it lies most.

    Args:
        windows: [frames, …] each.
        starts: of the windows, in seconds; the first may lie before 0.
        length: of a window, in seconds.
        seconds: from frame to frame of the result.

    Returns: [frames, …] from 0 to the end of the last window.
    """
    last = starts[-1] + length
    count = max(1, round(last / seconds))
    times = np.arange(count) * seconds
    middles = np.asarray(starts) + length / 2
    nearest = np.abs(times[:, None] - middles).argmin(axis=1)
    result = np.zeros((count, *windows[0].shape[1:]))
    for i, window in enumerate(nearest):
        frame = round((times[i] - starts[window]) / seconds)
        result[i] = windows[window][min(max(frame, 0), len(windows[window]) - 1)]
    return result
