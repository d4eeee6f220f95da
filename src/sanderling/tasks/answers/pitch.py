"""Pitch: the notes of a transcription, or the contour of a voice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.tasks.answer import Answer, Answering, Asked
from sanderling.tasks.notes import Note, midi_of, note_name, notes_of, stitched
from sanderling.tasks.sound import Window, window_of
from sanderling.tasks.task import Outputs
from sanderling.tasks.view import Output, View
from sanderling.tasks.words import output_at, several

Floats = npt.NDArray[np.float64]
_KEYS = 88
_SHOWN = 40
_SILENCE = 1e-3


@dataclass(frozen=True, slots=True)
class Options:
    """How pitch is read.

    Attributes:
        onset, note: outputs [frames, 88] of a transcription: where keys are struck, and sound; −1: none.
        hertz, confidence: outputs [frames] of a contour; −1: none.
        frame: samples from frame to frame; 0 spreads them over the window.
        onset_threshold, note_threshold: least scores of a note's beginning, and of its going on.
        voiced: least confidence of a contour.
        least: seconds that a note lasts at least.
    """

    onset: int = -1
    note: int = -1
    hertz: int = -1
    confidence: int = -1
    frame: int = 0
    onset_threshold: float = 0.5
    note_threshold: float = 0.3
    voiced: float = 0.5
    least: float = 0.128


def _guess(view: View) -> Mapping[str, Any] | None:
    """By names; exports that dropped them by the shapes of basic_pitch's three maps."""

    def named(word: str) -> list[Output]:
        return [o for o in view.outputs if word in o.name.lower()]

    maps = [o for o in view.outputs if o.plain[-1:] == (_KEYS,)]
    if len(maps) == 2:
        onsets = [o for o in maps if o in named("onset")]
        contours = [o for o in view.outputs if o.plain[-1:] == (3 * _KEYS,)]
        if len(onsets) == 1 or len(contours) == 1:
            # Keys are struck for a moment, and sound for longer.
            onset = onsets[0] if onsets else min(maps, key=lambda o: float(o.flat().mean()))
            note = next(o for o in maps if o is not onset)
            return {"onset": onset.position, "note": note.position, "frame": 256}
    pitch, sure = named("pitch"), named("conf")
    if len(pitch) == 1 and len(sure) == 1 and pitch[0].size == sure[0].size:
        return {"hertz": pitch[0].position, "confidence": sure[0].position}
    return None


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    return _together([(outputs, asked)], options)


def _together(parts: Sequence[tuple[Outputs, Asked]], options: Options) -> Answer:
    window = window_of(parts[0][1])
    if window is None:
        raise UsageError("pitch is read off sounds", where="--task")
    if min(options.onset, options.note) >= 0:
        return _notes(parts, options)
    if min(options.hertz, options.confidence) >= 0:
        return _contour(parts, options)
    raise UsageError(
        "it is not known which outputs hold the pitch", where="--task",
        hint="give pitch:onset=0,note=1 or pitch:hertz=0,confidence=1",
    )  # fmt: skip


def _joined(
    parts: Sequence[tuple[Outputs, Asked]], output: int, width: int, options: Options
) -> tuple[Floats, float]:
    """Returns: the frames of all windows [frames, width], and seconds from frame to frame."""
    window = window_of(parts[0][1])
    assert window is not None
    tables = [output_at(outputs, output).reshape(-1, width) for outputs, _ in parts]
    spans = [asked.span or (0.0, window.whole.seconds) for _, asked in parts]
    length = spans[0][1] - spans[0][0]
    step = options.frame / window.whole.rate if options.frame else length / len(tables[0])
    joined = stitched(tables, [start for start, _ in spans], length, step)
    return joined[: max(1, int(np.ceil(window.whole.seconds / step)))], step


def _notes(parts: Sequence[tuple[Outputs, Asked]], options: Options) -> Answer:
    onsets, step = _joined(parts, options.onset, _KEYS, options)
    frames, _ = _joined(parts, options.note, _KEYS, options)
    found = notes_of(
        onsets, frames, step, onset_threshold=options.onset_threshold, frame_threshold=options.note_threshold,
        least=options.least,
    )  # fmt: skip
    window = window_of(parts[0][1])

    def draw(image: Any) -> Any:
        from sanderling.tasks.sound_picture import notes_picture

        assert window is not None
        return notes_picture(window.whole.mono, window.whole.seconds, found)

    lines = [several(len(found), "note"), *map(str, found[:_SHOWN])]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    data = {"notes": [_note_data(note) for note in found]}
    return Answer((*lines, *more), data, draw, {"onset": onsets, "note": frames})


def _note_data(note: Note) -> dict[str, Any]:
    name = note_name(note.pitch)
    return {"start": note.start, "end": note.end, "midi": note.pitch, "name": name, "score": note.score}


def _contour(parts: Sequence[tuple[Outputs, Asked]], options: Options) -> Answer:
    pitch, step = _joined(parts, options.hertz, 1, options)
    confidence, _ = _joined(parts, options.confidence, 1, options)
    hertz, sure = pitch[:, 0], confidence[:, 0]
    window = window_of(parts[0][1])
    assert window is not None
    # Of digital silence a model of spectra says anything.
    voiced = (sure >= options.voiced) & (hertz > 0) & (_peaks(window, len(hertz), step) >= _SILENCE)
    times: Floats = np.arange(len(hertz), dtype=np.float64) * step

    def draw(image: Any) -> Any:
        from sanderling.tasks.sound_picture import contour_picture

        return contour_picture(window.whole.mono, window.whole.seconds, times, hertz, voiced)

    runs = _runs(times, hertz, voiced, step, options.least)
    lines = [_run_words(run) for run in runs[:_SHOWN]] or ["no voice was heard"]
    data = {
        "voice": [{"start": a, "end": b, "hertz": middle} for a, b, middle in runs],
        "step": step,
    }
    return Answer(tuple(lines), data, draw, {"times": times, "hertz": hertz, "confidence": sure})


def _peaks(window: Window, count: int, step: float) -> Floats:
    """Returns: the greatest magnitude of the sound in every frame."""
    size = step * window.whole.rate
    signal = np.abs(window.whole.mono)
    ends = np.minimum(np.rint(np.arange(count) * size).astype(np.int64), max(len(signal) - 1, 0))
    return np.asarray(np.maximum.reduceat(signal, ends), np.float64)


def _runs(
    times: Floats, hertz: Floats, voiced: npt.NDArray[np.bool_], step: float, least: float
) -> list[tuple[float, float, float]]:
    """Returns: start, end and median pitch of every stretch with a voice."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voiced.astype(np.int8), [0]])))
    stretches = [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if (b - a) * step >= least]
    return [
        (float(times[a]), float(times[a] + (b - a) * step), float(np.median(hertz[a:b])))
        for a, b in stretches
    ]


def _run_words(run: tuple[float, float, float]) -> str:
    start, end, hertz = run
    return f"{start:.2f}–{end:.2f} s  {hertz:.0f} Hz ({note_name(round(float(midi_of(hertz))))})"


TASK = Answering(
    "pitch", "notes, or the pitch of a voice", Options, _answer, _guess, _together, takes="sound", rank=30
)
