"""Folders of WAV files, cut into windows of the model's input length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.types import Array, DType
from sanderling.samples.inputs import Input, Sound, fit, sound_of
from sanderling.samples.normalize import Normalization
from sanderling.samples.pixels import waveform
from sanderling.samples.samples import Feed
from sanderling.samples.source import files_identity, relative
from sanderling.samples.wav import Floats, read_wav, resample, wav_format

SUFFIXES = frozenset((".wav", ".wave"))


@lru_cache(maxsize=2)
def _signal(path: Path, modified: int, rate: int) -> Floats:
    """Returns: the whole file at ``rate`` Hz (0: its own). The last files are kept for their next windows."""
    signal, own = read_wav(path)
    return resample(signal, own, rate or own)


@dataclass(frozen=True, slots=True)
class WavFiles:
    """Windows of WAV files, one after the other; a file shorter than a window is padded with silence.

    Attributes:
        paths: the files, sorted.
        root: the folder that names are relative to.
        windows: per sample (file's position, first frame).
        rate: Hz to resample to; 0 leaves every file at its own.
        spec, sound: the input they go to; None when a user's ``preprocess`` makes the inputs.
    """

    paths: tuple[Path, ...]
    root: Path
    windows: tuple[tuple[int, int], ...]
    rate: int
    spec: Input | None
    sound: Sound | None
    notes: tuple[str, ...] = ()
    labels: Sequence[Any] | None = None

    @property
    def origin(self) -> str:
        files = f"{len(self.paths)} WAV files in {self.root}"
        return files if self.sound is None else f"{len(self.windows)} windows of {files}"

    @property
    def normalized(self) -> bool:
        return False

    def __len__(self) -> int:
        return len(self.windows)

    def file(self, index: int) -> str:
        return relative(self.paths[self.windows[index][0]], self.root)

    def name(self, index: int) -> str:
        start = self.windows[index][1]
        return f"{self.file(index)} from frame {start}" if start else self.file(index)

    def _whole(self, index: int) -> Floats:
        path = self.paths[self.windows[index][0]]
        return _signal(path, path.stat().st_mtime_ns, self.rate)

    def _window(self, index: int) -> Floats:
        """Returns: [length, channels of the file]."""
        signal = self._whole(index)
        if self.sound is None or self.sound.length < 0:
            return signal
        start = self.windows[index][1]
        window = signal[start : start + self.sound.length]
        return np.pad(window, ((0, self.sound.length - window.shape[0]), (0, 0)))

    def feed(self, index: int) -> Feed:
        assert self.spec is not None
        assert self.sound is not None
        window = self._window(index)
        if self.sound.channels == 1:
            window = window.mean(axis=1, keepdims=True)
        else:
            window = np.repeat(window, 2, axis=1)[:, :2] if window.shape[1] == 1 else window[:, :2]
        array: Array = window[:, 0] if self.sound.channel_axis is None else window
        if self.sound.channel_axis == 0:
            array = window.T
        if self.spec.batched:
            array = array[None]
        return {self.spec.name: fit(_stored(array, self.spec), self.spec, self.name(index))}

    def raw(self, index: int) -> tuple[Any, ...]:
        path = self.paths[self.windows[index][0]]
        return self._whole(index).mean(axis=1), self.rate or wav_format(path).rate

    def pixels(self, index: int) -> Array | None:
        return None

    def thumbnail(self, index: int) -> bytes | None:
        window = self._window(index).mean(axis=1)
        return waveform(window) if window.size else None

    def normalize(self, normalization: Normalization) -> Self:
        return replace(self)

    def identity(self) -> str:
        return f"{files_identity(self.paths, self.root)}@{self.rate}"


def _stored(array: Array, spec: Input) -> Array:
    """Integer inputs without a scale take PCM; every other input takes −1..1."""
    if spec.dtype.is_float or spec.is_quantized:
        return array
    full = {DType.INT8: 128.0, DType.INT16: 32768.0, DType.INT32: 2147483648.0}[spec.dtype]
    return np.clip(np.rint(array.astype(np.float64) * full), -full, full - 1)


def wav_files(
    paths: Sequence[Path], root: Path, inputs: Sequence[Input], *, rate: int | None, preprocessed: bool
) -> WavFiles:
    """Prepares WAV files for a model.

    Args:
        rate: Hz that the model was trained on, None when unknown.
        preprocessed: a user's function makes the inputs, so any model will do.

    Raises:
        SampleError: the model does not take raw audio, or a file cannot be read.
    """
    formats = [wav_format(path) for path in paths]
    wanted = rate or 0
    if preprocessed:
        whole = tuple((i, 0) for i in range(len(paths)))
        return WavFiles(tuple(paths), root, whole, wanted, None, None, _rate_notes(formats, rate, 0))
    sound = sound_of(inputs[0]) if len(inputs) == 1 else None
    if sound is None:
        raise SampleError(
            "WAV files feed a model that takes raw audio [1,N], this one takes "
            + ", ".join(f"{i.name!r} {i}" for i in inputs),
            where=str(root),
            hint="give --preprocess file.py:fn that makes its features, or an .npz of them",
        )
    windows: list[tuple[int, int]] = []
    short = 0
    for position, layout in enumerate(formats):
        frames = layout.frames if not wanted else round(layout.frames * wanted / layout.rate)
        if frames == 0:
            raise SampleError("the WAV file is empty", where=str(paths[position]), hint="remove it")
        count = 1 if sound.length < 0 else max(1, frames // sound.length)
        short += sound.length > frames
        windows.extend((position, i * max(sound.length, 0)) for i in range(count))
    notes = _rate_notes(formats, rate, sound.length)
    if short:
        notes += (f"{short} WAV files are shorter than the input and were padded with silence",)
    return WavFiles(tuple(paths), root, tuple(windows), wanted, inputs[0], sound, notes)


def _rate_notes(formats: Sequence[Any], rate: int | None, length: int) -> tuple[str, ...]:
    rates = sorted({layout.rate for layout in formats})
    words = " and ".join(f"{r} Hz" for r in rates)
    notes: tuple[str, ...]
    if rate is None:
        notes = (f"WAVs fed at their own rate ({words}): give --sample-rate if the model wants another",)
    elif rates == [rate]:
        notes = ()
    else:
        notes = (f"WAVs resampled from {words} to {rate} Hz",)
    if length > 0:
        seconds = length / (rate or rates[0])
        notes += (f"WAVs cut into windows of {length} samples ({seconds:.3g} s), the remainder left out",)
    return notes
