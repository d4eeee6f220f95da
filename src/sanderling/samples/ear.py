"""How one input listens: which part of a sound goes in, and as what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, DType
from sanderling.samples.features.choose import Chosen, Wanted, front_end_for
from sanderling.samples.features.described import FrontEnd
from sanderling.samples.features.presets import CONSTANTS, WAVEFORMS
from sanderling.samples.features.spectral import Signal
from sanderling.samples.inputs import Input, Sound, fit, sound_of
from sanderling.samples.wav import Floats


@dataclass(frozen=True, slots=True)
class Cut:
    """How a sound becomes windows. Positions count samples of the waveform, or frames of features.

    Attributes:
        size: of a window; −1 takes the whole sound.
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
class Ear:
    """One input that takes sound.

    Attributes:
        spec: the input.
        rate: Hz that it listens at, 0 for any.
        cut: how windows are made.
        sound: how it holds a waveform, where it takes one.
        chosen: the front end, where it takes features.
        notes: what was guessed.
    """

    spec: Input
    rate: int
    cut: Cut
    sound: Sound | None
    chosen: Chosen | None
    notes: tuple[str, ...] = ()

    def starts(self, samples: int) -> range:
        """Returns: positions of the windows in a waveform of that length."""
        return self.cut.starts(self.length(samples))

    @property
    def takes_whole(self) -> FrontEnd | None:
        """The front end, where it makes its features of a whole sound at once."""
        return None if self.chosen is None or self.chosen.front_end.clip else self.chosen.front_end

    def length(self, samples: int) -> int:
        """Returns: a waveform's length in positions."""
        return samples if self.takes_whole is None else self.takes_whole.frames(samples)

    def span(self, start: int, samples: int, rate: int) -> tuple[float, float]:
        """Returns: where a window begins and ends, in seconds; ``samples`` is the whole waveform's length."""
        first = start * self.cut.spacing
        size = self.cut.size * self.cut.spacing if self.cut.size >= 0 else samples
        return first / rate, (first + size) / rate

    def window(self, signal: Floats, start: int) -> Floats:
        """Args: signal [samples, channels]. Returns: what a window covers, filled up with silence."""
        if self.cut.size < 0:
            return signal
        first, size = start * self.cut.spacing, self.cut.size * self.cut.spacing
        window = signal[max(first, 0) : max(first + size, 0)]
        before = min(max(-first, 0), size)
        return np.pad(window, ((before, size - before - window.shape[0]), (0, 0)))

    def feed(self, signal: Floats, start: int, features: Signal | None, where: str) -> Array:
        """Makes the input of one window.

        Args:
            signal: [samples, channels] at ``rate``.
            start: the window's position.
            features: of the whole signal, where the front end takes it whole; else None.
            where: the sound's name, for errors.

        Raises:
            SampleError: the sound is too short.
        """
        if self.chosen is None:
            assert self.sound is not None
            array = _stored(_wave(self.window(signal, start), self.sound, self.spec), self.spec)
        else:
            array = self.chosen.table.arranged(self._table(signal, start, features, where), self.spec)
        return fit(array, self.spec, where)

    def _table(self, signal: Floats, start: int, features: Signal | None, where: str) -> Signal:
        """Returns: [frames, features] of one window, as many frames as the input takes."""
        assert self.chosen is not None
        frames = self.chosen.table.frames
        if features is None:
            found = self.chosen.front_end(self.window(signal, start).mean(axis=1))
        else:
            found = features[max(start, 0) :]
        if frames < 0:
            return found
        if not len(found):
            raise SampleError("is too short for a single frame of features", where=where)
        missing = frames - len(found)
        return found[:frames] if missing <= 0 else np.pad(found, ((0, missing), (0, 0)), mode="edge")


def ear_of(
    model: Model | None,
    spec: Input,
    *,
    front_end: Wanted = None,
    rate: int | None = None,
    hop: float | None = None,
    tail: bool = False,
    own_rate: int = 16000,
) -> Ear | None:
    """Decides how an input listens.

    Args:
        model, front_end: see ``front_end_for``.
        rate: Hz that the model was trained on, None when unknown; a front end has its own.
        hop: seconds from one window to the next, None for the model's own, else side by side.
        tail: keep the end of a sound, filled up with silence.
        own_rate: Hz of the sound, for the hop of a model whose rate is not known.

    Returns: None when the input takes no sound.

    Raises:
        UsageError: there is no such front end.
        SampleError: it does not fit the input.
    """
    chosen = front_end_for(model, spec, front_end)
    sound = sound_of(spec)
    if chosen is not None:
        made = chosen.front_end
        size, spacing = (made.clip, 1) if made.clip else (chosen.table.frames, made.hop)
        cut = Cut(
            size, _hop(hop, made.step if not made.clip else 0, size, made.rate / spacing), spacing, 0, tail
        )
        return Ear(spec, made.rate, cut, None, chosen, (chosen.why,))
    if sound is None:
        return None
    known = WAVEFORMS.get(sound.length)
    notes: tuple[str, ...] = ()
    if rate is None and known is not None:
        rate = known.rate
        words = f"as models that take {sound.length} samples do; give --sample-rate to be sure"
        notes = (f"GUESS: {rate} Hz, {words}",)
    usual, lead = (known.hop, known.lead) if known is not None else (0, 0)
    cut = Cut(sound.length, _hop(hop, usual, sound.length, rate or own_rate), 1, lead, tail)
    return Ear(spec, rate or 0, cut, sound, None, notes)


def constant_of(spec: Input, rate: int) -> Array | None:
    """Returns: the usual value of an input beside the sound, None where it has none."""
    if int(np.prod(spec.dims)) != 1:
        return None
    value = rate if spec.name in ("sr", "sample_rate") else CONSTANTS.get(spec.name)
    return None if value is None else np.full(spec.dims, value, spec.dtype.numpy)


def _hop(seconds: float | None, usual: int, size: int, per_second: float) -> int:
    if seconds is not None:
        return max(1, round(seconds * per_second))
    return usual or max(size, 1)


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
