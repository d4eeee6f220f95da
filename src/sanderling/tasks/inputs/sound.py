"""Sounds: how a waveform is cut, and turned into what a model listens to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sanderling.errors import SampleError, UsageError
from sanderling.graph.graph import Model
from sanderling.samples.audio import SUFFIXES
from sanderling.samples.ear import Ear, ear_of
from sanderling.samples.features.described import to_json
from sanderling.samples.inputs import Input, keeps_state, picture_of
from sanderling.samples.wav import read_wav, resample
from sanderling.tasks.input_kind import Fed, InputKind, Part
from sanderling.tasks.sound import Waveform, Window

_LONG = 0.4  # seconds: windows of a model that hears as much at once overlap, unless it remembers
_OVERLAP = 4


@dataclass(frozen=True, slots=True)
class SoundInput:
    """How a sound becomes an input.

    Attributes:
        front_end: makes its features: a preset's name, a JSON file, or what such a file holds; "": as the
            model or its input's shape tells.
        rate: Hz that a model of waveforms listens at; 0 as the model or its length tells.
        hop: seconds from one window to the next; 0 the usual.
    """

    front_end: Any = ""
    rate: int = 0
    hop: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.front_end, (str, dict)):
            raise UsageError(f"got {self.front_end!r}, expected a front end's name, or an object")
        if not 0 <= self.rate <= 10_000_000 or not 0 <= self.hop < 1e6:
            raise UsageError(f"{self.rate} Hz and windows {self.hop:g} s apart are not possible")


def _ear(settings: SoundInput, model: Model | None, spec: Input, own_rate: int) -> Ear | None:
    return ear_of(
        model, spec, front_end=settings.front_end or None, rate=settings.rate or None,
        hop=settings.hop or None, tail=True, own_rate=own_rate,
    )  # fmt: skip


def _recognise(model: Model, position: int, spec: Input) -> SoundInput | None:
    ear = ear_of(model, spec)
    if ear is None:
        return None
    guessed = ear.chosen is None or ear.chosen.guessed
    return None if guessed and picture_of(spec) is not None else SoundInput()


def _open(path: Path) -> Waveform:
    signal, rate = read_wav(path)
    if not len(signal):
        raise SampleError("the WAV file is empty", where=str(path))
    return Waveform(signal, rate)


def _complete(
    settings: SoundInput, model: Model, position: int, spec: Input, opened: Sequence[Waveform], run: Any
) -> tuple[SoundInput, tuple[str, ...]]:
    """Fills in the front end and the rate, and lets long windows overlap where the model keeps no state."""
    own = opened[0].rate
    rate = settings.rate or _stated_rate(model, position)
    ear = _ear(replace(settings, rate=rate), model, spec, own)
    if ear is None:
        return settings, ()
    front_end = settings.front_end if ear.chosen is None else to_json(ear.chosen.front_end)
    notes = ear.notes
    if not ear.rate:
        notes += (f"sounds are fed at their own rate ({own} Hz): state the rate if the model wants another",)
    hop = settings.hop
    seconds = ear.cut.size * ear.cut.spacing / (ear.rate or own)
    side_by_side = ear.cut.hop == ear.cut.size
    if not hop and side_by_side and seconds >= _LONG and not keeps_state(model):
        hop = seconds / _OVERLAP
    return replace(settings, front_end=front_end, rate=ear.rate, hop=hop), notes


def _stated_rate(model: Model, position: int) -> int:
    from sanderling.tflite.metadata import read_metadata

    found = read_metadata(model)
    return found.inputs[position].sample_rate if found and position < len(found.inputs) else 0


def _heard(raw: Waveform, settings: SoundInput, spec: Input, where: str) -> tuple[Waveform, Ear]:
    ear = _ear(settings, None, spec, raw.rate)
    if ear is None:
        raise SampleError(f"input {spec.name!r} takes {spec}, which is no sound", where=where)
    rate = ear.rate or raw.rate
    return Waveform(resample(raw.signal, raw.rate, rate), rate), ear


def _parts(raw: Waveform, settings: SoundInput, spec: Input, where: str) -> list[Part]:
    whole, ear = _heard(raw, settings, spec, where)
    samples = whole.signal.shape[0]
    features = None if ear.takes_whole is None else ear.takes_whole(whole.mono)
    return [
        Part(Window(whole, ear, start, features), ear.span(start, samples, whole.rate))
        for start in ear.starts(samples)
    ]


def _feed(raw: Any, settings: SoundInput, spec: Input, where: str) -> Fed:
    window = raw if isinstance(raw, Window) else _parts(raw, settings, spec, where)[0].raw
    return Fed(window.ear.feed(window.whole.signal, window.start, window.features, where))


KIND = InputKind(
    "sound", "sounds (.wav)", SoundInput, SUFFIXES, _recognise, _open, _feed, _parts, _complete, rank=8
)
