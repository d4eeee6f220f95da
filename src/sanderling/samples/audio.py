"""WAV files as samples: windows of them, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sanderling.errors import SampleError
from sanderling.graph.types import Array
from sanderling.samples.ear import Cut, Ear
from sanderling.samples.features.described import FrontEnd
from sanderling.samples.features.spectral import Signal
from sanderling.samples.pixels import waveform
from sanderling.samples.samples import Feed
from sanderling.samples.source import Unpictured, digest, files_identity, relative
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
class WavFiles(Unpictured):
    """Windows of WAV files, one after the other; a file shorter than a window is padded with silence.

    Attributes:
        paths: the files, sorted.
        root: the folder that names are relative to.
        windows: per sample (file's position, the window's position in it).
        rate: Hz to resample to; 0 leaves every file at its own.
        ear: the input they go to; None when a user's ``preprocess`` makes the inputs.
        constants: the inputs beside it, by name.
    """

    paths: tuple[Path, ...]
    root: Path
    windows: tuple[tuple[int, int], ...]
    rate: int
    ear: Ear | None = None
    notes: tuple[str, ...] = ()
    labels: Sequence[Any] | None = None
    constants: Mapping[str, Array] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        files = f"{len(self.paths)} WAV files in {self.root}"
        return files if self.ear is None else f"{len(self.windows)} windows of {files}"

    def __len__(self) -> int:
        return len(self.windows)

    def file(self, index: int) -> str:
        return relative(self.paths[self.windows[index][0]], self.root)

    def name(self, index: int) -> str:
        start = self.windows[index][1]
        unit = "frame" if self.ear is None or self.ear.cut.spacing == 1 else "features"
        return f"{self.file(index)} from {unit} {start}" if start > 0 else self.file(index)

    def _whole(self, index: int) -> Floats:
        path = self.paths[self.windows[index][0]]
        return _signal(path, path.stat().st_mtime_ns, self.rate)

    def feed(self, index: int) -> Feed:
        assert self.ear is not None
        position, start = self.windows[index]
        path = self.paths[position]
        whole = self.ear.takes_whole
        features = None if whole is None else _features(path, path.stat().st_mtime_ns, whole)
        array = self.ear.feed(self._whole(index), start, features, self.name(index))
        return {self.ear.spec.name: array, **self.constants}

    def raw(self, index: int) -> tuple[Any, ...]:
        rate = self.rate or wav_format(self.paths[self.windows[index][0]]).rate
        return self._whole(index).mean(axis=1), rate

    def thumbnail(self, index: int) -> bytes | None:
        whole = self._whole(index)
        window = whole if self.ear is None else self.ear.window(whole, self.windows[index][1])
        return waveform(window.mean(axis=1)) if window.size else None

    def identity(self) -> str:
        how = "" if self.ear is None or self.ear.chosen is None else self.ear.chosen.front_end
        cut = "" if self.ear is None else self.ear.cut
        return digest(files_identity(self.paths, self.root), self.rate, cut, how)


def whole_files(paths: Sequence[Path], root: Path, rate: int | None) -> WavFiles:
    """Prepares WAV files for a user's ``preprocess``, which gets each of them whole."""
    formats = [wav_format(path) for path in paths]
    windows = tuple((i, 0) for i in range(len(paths)))
    return WavFiles(tuple(paths), root, windows, rate or 0, notes=_rate_notes(formats, rate or 0))


def wav_files(paths: Sequence[Path], root: Path, ear: Ear) -> WavFiles:
    """Prepares WAV files for a model.

    Raises:
        SampleError: a file cannot be read.
    """
    formats = [wav_format(path) for path in paths]
    windows: list[tuple[int, int]] = []
    short = 0
    for position, layout in enumerate(formats):
        samples = round(layout.frames * ear.rate / layout.rate) if ear.rate else layout.frames
        if samples == 0:
            raise SampleError("the WAV file is empty", where=str(paths[position]), hint="remove it")
        short += ear.cut.size > ear.length(samples)
        windows.extend((position, start) for start in ear.starts(samples))
    notes = ear.notes + _rate_notes(formats, ear.rate) + _cut_notes(ear.cut, ear.rate or formats[0].rate)
    if short:
        notes += (f"{short} WAV files are shorter than the input and were padded with silence",)
    return WavFiles(tuple(paths), root, tuple(windows), ear.rate, ear, notes)


def _rate_notes(formats: Sequence[Any], rate: int) -> tuple[str, ...]:
    rates = sorted({layout.rate for layout in formats})
    words = " and ".join(f"{r} Hz" for r in rates)
    if not rate:
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
