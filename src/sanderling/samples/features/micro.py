"""TFLite Micro's audio front end, bit for bit: mel bands, noise reduction, gain control, logarithm.

Streaming wake words and Silicon Labs' keyword models are trained on exactly these integers. The stages, and
the widths of their numbers, follow TensorFlow's ``lite/experimental/microfrontend``; the transform is
``micro_fft``. Frames depend on those before them (the noise estimate), so a sound is always taken from its
beginning; the recursion over frames is the only loop.

Source: Wang et al., Trainable Frontend For Robust and Far-Field Keyword Spotting, 2017 (the gain control);
the fixed-point choices are TensorFlow's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.samples.features.micro_fft import real_fft
from sanderling.samples.features.spectral import MOST_CLIP, MOST_SAMPLES, Signal
from sanderling.samples.features.spectrum import frame_count, frames

Integers = npt.NDArray[np.int64]
_WINDOW_BITS, _BAND_BITS, _NOISE_BITS, _SNR_BITS, _GAIN_OUTPUT_BITS = 12, 12, 14, 12, 6
_LOG_BITS, _LOG_SEGMENT_BITS = 16, 7
_WORD = 0xFFFFFFFF
_BLOCK = 4096  # frames that are transformed at a time
_PER_UNIT = 25.6  # features of 0..666 stand for 0..26, which int8 spreads over its range


@dataclass(frozen=True, slots=True)
class Noise:
    """Subtracts a slow mean of every channel, even and odd ones smoothed differently.

    Attributes:
        even, odd: the weight of a new frame in the mean.
        remaining: the share of the signal that is always left.
        bits: fractional bits of the mean.
    """

    even: float = 0.025
    odd: float = 0.06
    remaining: float = 0.05
    bits: int = 10


@dataclass(frozen=True, slots=True)
class Gain:
    """Divides by (noise + offset)^strength, in fixed point of ``bits`` fractional bits."""

    strength: float = 0.95
    offset: float = 80.0
    bits: int = 21


@dataclass(frozen=True, slots=True)
class Micro:
    """The front end.

    Attributes:
        name: for people.
        rate: Hz.
        window, hop: samples of a frame, and from frame to frame.
        channels, low, high: mel bands, and their outer edges in Hz.
        noise, gain: the two adaptive stages, None to leave one out.
        log_shift: the logarithm is multiplied with 2^log_shift; −1 for no logarithm.
        notch: pole of the filter that removes the mean before, 0 for none.
        output: ``units`` gives features / 25.6 (what micro_speech and microWakeWord feed), ``int8`` those
            spread over −128..127, ``range`` a clip's top ``range_db`` decibels spread over −128..127
            (Silicon Labs), ``raw`` the integers.
        range_db: for ``range``.
        clip: samples that are turned into features together, each clip by itself; 0 takes the whole file.
        step: frames from one window of the model to the next where ``clip`` is 0; 0 puts them side by side.
    """

    KIND: ClassVar[str] = "micro"

    name: str
    rate: int = 16000
    window: int = 480
    hop: int = 160
    channels: int = 40
    low: float = 125.0
    high: float = 7500.0
    noise: Noise | None = Noise()
    gain: Gain | None = Gain()
    log_shift: int = 6
    notch: float = 0.0
    output: Literal["units", "int8", "range", "raw"] = "units"
    range_db: float = 40.0
    clip: int = 0
    step: int = 0

    def __post_init__(self) -> None:
        where = f"front end {self.name!r}"
        if not 1 <= self.rate <= 10_000_000 or not 0 <= self.clip <= MOST_CLIP or self.step < 0:
            words = f"the sample rate must be positive, clip 0 to {MOST_CLIP}, and step not negative"
            raise UsageError(words, where=where)
        if not 33 <= self.window <= 1 << 14 or not 1 <= self.hop <= MOST_SAMPLES:
            raise UsageError(
                f"frames of {self.window} samples, {self.hop} apart, are not possible", where=where
            )
        if not 1 <= self.channels <= 1024 or not 0 <= self.low < self.high <= self.rate / 2:
            words = f"{self.channels} channels from {self.low:g} to {self.high:g} Hz"
            raise UsageError(f"{words} are not possible at {self.rate} Hz", where=where)
        if self.gain is not None and self.noise is None:
            raise UsageError("the gain control needs the noise estimate", where=where)
        if not -1 <= self.log_shift <= 16 or not 0 <= self.notch < 1 or not self.range_db > 0:
            raise UsageError("log_shift is −1 to 16, notch 0 to 1, and range_db above 0", where=where)
        bits = (0 if self.noise is None else self.noise.bits, 21 if self.gain is None else self.gain.bits)
        if not 0 <= bits[0] <= 16 or not 16 <= bits[1] <= 30:
            raise UsageError("noise has 0 to 16 fractional bits, gain 16 to 30", where=where)

    @property
    def features(self) -> int:
        """Values per frame."""
        return self.channels

    @property
    def fft(self) -> int:
        """Samples of the transform: the least power of two that holds a frame."""
        return 1 << (self.window - 1).bit_length()

    def frames(self, samples: int) -> int:
        """Returns: how many frames a signal of this length gives."""
        return frame_count(samples, self.window, self.hop)

    def __call__(self, signal: Signal) -> Signal:
        """Args: signal [samples] in −1..1 at ``rate``. Returns: float32 [frames, channels]."""
        values = self.integers(pcm16(signal))
        if self.output == "raw":
            return values.astype(np.float32)
        if self.output == "units":
            return (values / _PER_UNIT).astype(np.float32)
        if self.output == "int8":
            return np.clip((values * 256 + 333) // 666 - 128, -128, 127).astype(np.float32)
        return _top_range(values, self.range_db, self.log_shift)

    def integers(self, pcm: npt.NDArray[np.int16]) -> Integers:
        """Args: pcm [samples], 16-bit. Returns: [frames, channels], the 16-bit features before ``output``."""
        values = pcm.astype(np.int64)
        if self.notch:
            values = _notched(values, self.notch)
        bank = _bank(self.channels, self.low, self.high, self.rate, self.fft)
        cut = frames(values, self.window, self.hop)
        signal = np.concatenate(
            [np.empty((0, self.channels), np.int64)]
            + [_bands(cut[i : i + _BLOCK], self.fft, bank) for i in range(0, len(cut), _BLOCK)]
        )
        correction = self.fft.bit_length() - 1 - _BAND_BITS // 2
        estimates = None
        if self.noise is not None:
            signal, estimates = _less_noise(signal, self.noise)
        if self.gain is not None and self.noise is not None and estimates is not None:
            table = _gain_table(self.gain, self.noise.bits - correction)
            snr = (signal * _looked_up(estimates, table)) >> (self.gain.bits - correction - _SNR_BITS)
            signal = _shrunk(snr)
        if self.log_shift >= 0:
            signal = _logarithms((signal << correction) & _WORD, self.log_shift)
        return np.minimum(signal, 0xFFFF)


def pcm16(signal: Signal) -> npt.NDArray[np.int16]:
    """Args: signal in −1..1. Returns: 16-bit samples, rounded."""
    return np.clip(np.rint(np.asarray(signal, np.float64) * 32768), -32768, 32767).astype(np.int16)


@lru_cache(maxsize=8)
def _taper(size: int) -> Integers:
    """Returns: [size], Hann's window of 12 fractional bits, through single precision as on the device."""
    single = np.float32
    angles = single(2 * np.pi / size) * (np.arange(size, dtype=np.float32) + single(0.5))
    values = single(0.5) - single(0.5) * np.cos(angles.astype(np.float64)).astype(np.float32)
    rounded: Integers = np.floor(values * single(1 << _WINDOW_BITS) + single(0.5)).astype(np.int64)
    return rounded


def _wrapped16(values: Integers) -> Integers:
    return np.asarray(((values + 0x8000) & 0xFFFF) - 0x8000)


def _bit_length(values: Integers) -> Integers:
    """Returns: how many bits each value takes, 0 for 0; exact below 2⁵²."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


@lru_cache(maxsize=8)
def _bank(channels: int, low: float, high: float, rate: int, fft: int) -> Integers:
    """Returns: [bins, channels]: a bin is shared by the centres on either side; in single precision."""
    single = np.float32
    hertz_per_bin = single(0.5 * rate / (fft // 2))
    least, most = (single(1127.0 * np.log1p(f / 700.0)) for f in (low, high))
    spacing = single((most - least) / single(channels + 1))
    centres = least + spacing * np.arange(1, channels + 2, dtype=np.float32)
    hertz = (np.arange(fft // 2 + 1, dtype=np.float32) * hertz_per_bin).astype(np.float64)
    mels = (1127.0 * np.log1p(hertz / 700.0)).astype(np.float32)
    weights = np.zeros((fft // 2 + 1, channels + 2), np.int64)
    for position in range(int(1.5 + low / float(hertz_per_bin)), fft // 2 + 1):
        channel = int(np.searchsorted(centres, mels[position]))
        if channel > channels:
            break
        before = least if channel == 0 else centres[channel - 1]
        share = float((centres[channel] - mels[position]) / (centres[channel] - before))
        weights[position, channel] = int(share * 4096 + 0.5)
        weights[position, channel + 1] = int((1.0 - share) * 4096 + 0.5)
    return weights[:, 1:-1]


def _bands(cut: npt.NDArray[np.float64], fft: int, bank: Integers) -> Integers:
    """Returns: [frames, channels], the rounded square root of each band's energy."""
    weighed = (cut.astype(np.int64) * _taper(cut.shape[1])) >> _WINDOW_BITS
    # The loudest sample of every frame gets 15 bits, so that little is lost to rounding in the transform.
    # −32768 has no magnitude in 16 bits and does not count.
    shift = 15 - _bit_length(np.where(weighed == -32768, 0, np.abs(weighed)).max(axis=1, initial=0))
    scaled = _wrapped16(weighed << shift[:, None])
    real, imaginary = real_fft(np.pad(scaled, ((0, 0), (0, fft - cut.shape[1]))))
    sums = (real**2 + imaginary**2) @ bank
    roots = np.floor(np.sqrt(sums.astype(np.float64))).astype(np.int64)
    roots -= roots * roots > sums  # a double may round a large square up
    rounded: Integers = roots + (sums - roots * roots > roots)
    return rounded >> shift[:, None]


def _less_noise(signal: Integers, noise: Noise) -> tuple[Integers, Integers]:
    """Returns: the signal less its noise, and the noise estimates, both [frames, channels]."""
    one = 1 << _NOISE_BITS
    smoothing = np.where(np.arange(signal.shape[1]) % 2 == 0, int(noise.even * one), int(noise.odd * one))
    scaled = (signal << noise.bits) & _WORD
    estimates = np.empty_like(signal)
    state = np.zeros(signal.shape[1], np.int64)
    for i, row in enumerate(scaled):
        state = (row * smoothing + state * (one - smoothing)) >> _NOISE_BITS
        estimates[i] = state
    left = (scaled - np.minimum(estimates, scaled)) >> noise.bits
    floor = (signal * int(noise.remaining * one)) >> _NOISE_BITS
    return np.maximum(left, floor), estimates


@lru_cache(maxsize=8)
def _gain_table(gain: Gain, input_bits: int) -> Integers:
    """Returns: [33, 3], a parabola for every octave of 32-bit numbers; the first two rows hold 0, 1 and 2."""

    def value(x: int) -> int:
        base = float(np.float32(x / 2.0**input_bits) + np.float32(gain.offset))
        curve = np.float32(1 << gain.bits) * np.float32(base ** -float(np.float32(gain.strength)))
        return min(int(curve + np.float32(0.5)), 0x7FFF)

    rows = [(0, 0, 0), (0, 0, 0)]
    for octave in range(2, 33):
        first = 1 << (octave - 1)
        last = first + (first - 1) if octave == 32 else 2 * first
        y0, y1, y2 = value(first), value(first + (first >> 1)), value(last)
        slope = 4 * (y1 - y0) - (y2 - y0)
        rows.append((y0, slope, (y2 - y0) - slope))
    rows[0], rows[1] = (value(0), 0, 0), (value(1), 0, 0)
    return np.array(rows, np.int64)


def _looked_up(x: Integers, table: Integers) -> Integers:
    octave = _bit_length(x)
    up, down = np.maximum(11 - octave, 0), np.maximum(octave - 11, 0)
    fraction = ((x << up) >> down) & 0x3FF
    base, slope, bend = (table[octave, i] for i in range(3))
    curve = ((bend * fraction >> 5) + (slope << 5)) * fraction
    return np.asarray(np.where(x < 2, base, ((curve + (1 << 14)) >> 15) + base))


def _shrunk(snr: Integers) -> Integers:
    """A square root's opposite: small values are squared, large ones taken as they are."""
    squared = (snr * snr) >> (2 + 2 * _SNR_BITS - _GAIN_OUTPUT_BITS)
    straight = (snr >> (_SNR_BITS - _GAIN_OUTPUT_BITS)) - (1 << _GAIN_OUTPUT_BITS)
    return np.where(snr < 2 << _SNR_BITS, squared, straight)


@lru_cache(maxsize=1)
def _log_table() -> Integers:
    """Returns: log2(1 + x) − x at the ends of 128 segments of 0..1, of 16 fractional bits."""
    x = np.arange((1 << _LOG_SEGMENT_BITS) + 1) / 2.0**_LOG_SEGMENT_BITS
    return np.append(np.rint((np.log2(1 + x) - x) * 2.0**_LOG_BITS).astype(np.int64), 0)


def _logarithms(x: Integers, shift: int) -> Integers:
    """Returns: round(ln(x) · 2^shift), in fixed point; 0 for 0 and 1."""
    whole = np.maximum(_bit_length(x) - 1, 0)
    rest = x - (1 << whole)
    rest = np.where(
        whole < _LOG_BITS, rest << np.maximum(_LOG_BITS - whole, 0), rest >> np.maximum(whole - _LOG_BITS, 0)
    )
    segment = np.clip(rest >> (_LOG_BITS - _LOG_SEGMENT_BITS), 0, 1 << _LOG_SEGMENT_BITS)
    table = _log_table()
    start = table[segment]
    slope = table[segment + 1] - start
    inside = rest - (segment << (_LOG_BITS - _LOG_SEGMENT_BITS))
    log2 = (whole << _LOG_BITS) + rest + start + ((slope * inside) >> _LOG_BITS)
    half = 1 << (_LOG_BITS - 1)
    natural = (round(np.log(2) * 2.0**_LOG_BITS) * log2 + half) >> _LOG_BITS
    return np.where(x > 1, ((natural << shift) + half) >> _LOG_BITS, 0)


def _notched(pcm: Integers, pole: float) -> Integers:
    """Removes the mean: y[i] = x[i] − x[i−1] + pole · y[i−1], each y rounded to 16 bits."""
    coefficient = int(pole * 32768)
    last, out = 0, []
    for step in _wrapped16(np.diff(pcm, prepend=0)).tolist():
        last = ((step + ((((coefficient * last) >> 14) + 1) >> 1) + 0x8000) & 0xFFFF) - 0x8000
        out.append(last)
    return np.array(out, np.int64)


def _top_range(values: Integers, range_db: float, log_shift: int) -> Signal:
    """Returns: float32 of whole numbers, −128 (``range_db`` below the greatest feature, and less) to 127."""
    wide = max(1, int(range_db * (1 << max(log_shift, 0)) * np.log(10) / 20))
    least = (int(values.max()) if values.size else 0) - wide
    return np.clip((values - least) * 255 // wide - 128, -128, 127).astype(np.float32)
