"""WAV files as inputs: windows of the waveform, or of the features that a front end makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.types import Array, DType
from sanderling.samples.features.choose import Chosen
from sanderling.samples.features.described import FrontEnd
from sanderling.samples.features.presets import WAVEFORMS
from sanderling.samples.features.spectral import Signal
from sanderling.samples.inputs import Input, Sound, fit
from sanderling.samples.normalize import Normalization
from sanderling.samples.pixels import waveform
from sanderling.samples.samples import Feed
from sanderling.samples.source import digest, files_identity, relative
from sanderling.samples.wav import Floats, read_wav, resample, wav_format

SUFFIXES = frozenset((".wav", ".wave"))


@lru_cache(maxsize=2)
def _signal(path: Path, modified: int, rate: int) -> Floats:
    """Returns: the whole file at ``rate`` Hz (0: its own). The last files are kept for their next windows."""
    signal, own = read_wav(path)
    return resample(signal, own, rate or own)


@lru_cache(maxsize=2)
def _features(path: Path, modified: int, front_end: FrontEnd) -> Signal:
    """Returns: [frames, features] of the whole file."""
    return front_end(_signal(path, modified, front_end.rate).mean(axis=1))


@dataclass(frozen=True, slots=True)
class Cut:
    """How a file becomes windows. Positions count samples of the waveform, or frames of features.

    Attributes:
        size: of a window; −1 takes the whole file.
        hop: from the start of one to the start of the next.
        spacing: samples of the waveform per position.
        lead: how far before the sound the first window begins.
        tail: the last window may reach beyond the end, so that nothing is left out.
    """

    size: int
    hop: int
    spacing: int = 1
    lead: int = 0
    tail: bool = False

    def starts(self, length: int) -> range:
        """Returns: where windows begin in ``length`` positions; one alone may reach beyond the end."""
        if self.size < 0:
            return range(1)
        whole = max(0, length + self.lead - self.size)
        last = -(-whole // self.hop) if self.tail else whole // self.hop
        return range(-self.lead, -self.lead + last * self.hop + 1, self.hop)


@dataclass(frozen=True, slots=True)
class WavFiles:
    """Windows of WAV files, one after the other; a file shorter than a window is padded with silence.

    Attributes:
        paths: the files, sorted.
        root: the folder that names are relative to.
        windows: per sample (file's position, first position of the window).
        rate: Hz to resample to; 0 leaves every file at its own.
        cut: how windows are made.
        spec: the input they go to; None when a user's ``preprocess`` makes the inputs.
        sound: how the input holds a waveform, where it takes one.
        chosen: the front end, where it takes features.
        constants: the inputs beside it, by name.
    """

    paths: tuple[Path, ...]
    root: Path
    windows: tuple[tuple[int, int], ...]
    rate: int
    cut: Cut = Cut(-1, 1)
    spec: Input | None = None
    sound: Sound | None = None
    chosen: Chosen | None = None
    notes: tuple[str, ...] = ()
    labels: Sequence[Any] | None = None
    constants: Mapping[str, Array] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        files = f"{len(self.paths)} WAV files in {self.root}"
        return files if self.spec is None else f"{len(self.windows)} windows of {files}"

    @property
    def normalized(self) -> bool:
        return False

    def __len__(self) -> int:
        return len(self.windows)

    def file(self, index: int) -> str:
        return relative(self.paths[self.windows[index][0]], self.root)

    def name(self, index: int) -> str:
        start = self.windows[index][1]
        unit = "frame" if self.cut.spacing == 1 else "features"
        return f"{self.file(index)} from {unit} {start}" if start else self.file(index)

    def span(self, index: int) -> tuple[float, float]:
        """Returns: where a window begins and ends in its file, in seconds."""
        start = self.windows[index][1] * self.cut.spacing
        rate = self._rate(index)
        size = self.cut.size * self.cut.spacing if self.cut.size >= 0 else self._whole(index).shape[0]
        return start / rate, (start + size) / rate

    def _rate(self, index: int) -> int:
        return self.rate or wav_format(self.paths[self.windows[index][0]]).rate

    def _whole(self, index: int) -> Floats:
        path = self.paths[self.windows[index][0]]
        return _signal(path, path.stat().st_mtime_ns, self.rate)

    def _window(self, index: int) -> Floats:
        """Returns: [samples, channels of the file]: the part of the waveform that the window covers."""
        signal = self._whole(index)
        if self.spec is None or self.cut.size < 0:
            return signal
        start, size = self.windows[index][1] * self.cut.spacing, self.cut.size * self.cut.spacing
        window = signal[max(start, 0) : max(start + size, 0)]
        before = min(max(-start, 0), size)
        return np.pad(window, ((before, size - before - window.shape[0]), (0, 0)))

    def feed(self, index: int) -> Feed:
        assert self.spec is not None
        if self.chosen is not None:
            array = self.chosen.table.arranged(self._table(index), self.spec)
        else:
            assert self.sound is not None
            array = _stored(_wave(self._window(index), self.sound, self.spec), self.spec)
        return {self.spec.name: fit(array, self.spec, self.name(index)), **self.constants}

    def _table(self, index: int) -> Signal:
        """Returns: [frames, features] of one window, frames as the input takes them."""
        assert self.chosen is not None
        front_end, frames = self.chosen.front_end, self.chosen.table.frames
        if front_end.clip:
            found = front_end(self._window(index).mean(axis=1))
        else:
            path = self.paths[self.windows[index][0]]
            found = _features(path, path.stat().st_mtime_ns, front_end)
            found = found[self.windows[index][1] :]
        if frames < 0:
            return found
        missing = frames - len(found)
        if missing > 0 and not len(found):
            raise SampleError("is too short for a single frame of features", where=self.name(index))
        return found[:frames] if missing <= 0 else np.pad(found, ((0, missing), (0, 0)), mode="edge")

    def raw(self, index: int) -> tuple[Any, ...]:
        return self._whole(index).mean(axis=1), self._rate(index)

    def pixels(self, index: int) -> Array | None:
        return None

    def thumbnail(self, index: int) -> bytes | None:
        window = self._window(index).mean(axis=1)
        return waveform(window) if window.size else None

    def normalize(self, normalization: Normalization) -> Self:
        return replace(self)

    def identity(self) -> str:
        how = "" if self.chosen is None else self.chosen.front_end
        return digest(files_identity(self.paths, self.root), self.rate, self.cut, how)


def _wave(window: Floats, sound: Sound, spec: Input) -> Array:
    """Returns: a window's channels mixed or doubled, in the axes of the input."""
    if sound.channels == 1:
        window = window.mean(axis=1, keepdims=True)
    else:
        window = np.repeat(window, 2, axis=1)[:, :2] if window.shape[1] == 1 else window[:, :2]
    array: Array = window[:, 0] if sound.channel_axis is None else window
    if sound.channel_axis == 0:
        array = window.T
    return array[None] if spec.batched else array


def _stored(array: Array, spec: Input) -> Array:
    """Integer inputs without a scale take PCM; every other input takes −1..1."""
    if spec.dtype.is_float or spec.is_quantized:
        return array
    full = {DType.INT8: 128.0, DType.INT16: 32768.0, DType.INT32: 2147483648.0}[spec.dtype]
    return np.clip(np.rint(array.astype(np.float64) * full), -full, full - 1)


def whole_files(paths: Sequence[Path], root: Path, rate: int | None) -> WavFiles:
    """Prepares WAV files for a user's ``preprocess``, which gets each of them whole."""
    formats = [wav_format(path) for path in paths]
    windows = tuple((i, 0) for i in range(len(paths)))
    return WavFiles(tuple(paths), root, windows, rate or 0, notes=_rate_notes(formats, rate))


def wav_files(
    paths: Sequence[Path],
    root: Path,
    spec: Input,
    takes: Sound | Chosen,
    *,
    rate: int | None,
    hop: float | None = None,
    tail: bool = False,
) -> WavFiles:
    """Prepares WAV files for a model.

    Args:
        takes: how the input holds a waveform, or the front end that makes its features.
        rate: Hz that the model was trained on, None when unknown; a front end has its own.
        hop: seconds from one window to the next, None for the model's own, else side by side.
        tail: keep the end of a file, filled up with silence.

    Raises:
        SampleError: a file cannot be read.
    """
    formats = [wav_format(path) for path in paths]
    front_end = takes.front_end if isinstance(takes, Chosen) else None
    rate = front_end.rate if front_end is not None else rate
    cut = replace(_cut(takes, hop, rate or formats[0].rate), tail=tail)
    windows: list[tuple[int, int]] = []
    short = 0
    for position, layout in enumerate(formats):
        samples = round(layout.frames * rate / layout.rate) if rate else layout.frames
        if samples == 0:
            raise SampleError("the WAV file is empty", where=str(paths[position]), hint="remove it")
        length = samples if front_end is None or front_end.clip else front_end.frames(samples)
        short += cut.size > length
        windows.extend((position, start) for start in cut.starts(length))
    notes = _rate_notes(formats, rate) + _cut_notes(cut, rate or formats[0].rate)
    if short:
        notes += (f"{short} WAV files are shorter than the input and were padded with silence",)
    sound, chosen = (None, takes) if isinstance(takes, Chosen) else (takes, None)
    if chosen is not None:
        notes = (chosen.why, *notes)
    return WavFiles(tuple(paths), root, tuple(windows), rate or 0, cut, spec, sound, chosen, notes)


def _cut(takes: Sound | Chosen, hop: float | None, rate: int) -> Cut:
    lead = 0
    if isinstance(takes, Sound):
        known = WAVEFORMS.get(takes.length)
        size, spacing = takes.length, 1
        side, lead = (known.hop or size, known.lead) if known is not None else (size, 0)
    elif takes.front_end.clip:
        side = size = takes.front_end.clip
        spacing = 1
    else:
        side, size, spacing = takes.front_end.step, takes.table.frames, takes.front_end.hop
    own = side if side > 0 else max(size, 1)
    return Cut(size, own if hop is None else max(1, round(hop * rate / spacing)), spacing, lead)


def _rate_notes(formats: Sequence[Any], rate: int | None) -> tuple[str, ...]:
    rates = sorted({layout.rate for layout in formats})
    words = " and ".join(f"{r} Hz" for r in rates)
    if rate is None:
        return (f"WAVs fed at their own rate ({words}): give --sample-rate if the model wants another",)
    return () if rates == [rate] else (f"WAVs resampled from {words} to {rate} Hz",)


def _cut_notes(cut: Cut, rate: int) -> tuple[str, ...]:
    if cut.size < 0:
        return ()
    seconds = cut.size * cut.spacing / rate
    sizes = f"{cut.size} {'samples' if cut.spacing == 1 else 'frames'} ({seconds:.3g} s)"
    if cut.hop == cut.size:
        rest = "" if cut.tail else ", the remainder left out"
        return (f"WAVs cut into windows of {sizes}{rest}",)
    return (f"WAVs cut into windows of {sizes}, one every {cut.hop * cut.spacing / rate:.3g} s",)
