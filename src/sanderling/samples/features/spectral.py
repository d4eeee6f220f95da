"""Spectrograms, log-mel features and MFCCs, described as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.samples.features.mel import Mel
from sanderling.samples.features.spectrum import Cosines, Edge, Floats, Taper, dct, frame_count, frames, taper

Signal = npt.NDArray[np.float32]
MOST_SAMPLES = 1 << 20
MOST_CLIP = 1 << 24  # samples that are made into features together: 17 minutes at 16 kHz
_MOST_WEIGHTS = 1 << 24
_BLOCK = 1 << 22  # elements of spectra at a time, so that an hour of sound needs no gigabytes


@dataclass(frozen=True, slots=True)
class Log:
    """factor · log(max(x, floor) + offset).

    Attributes:
        base: ``e`` or ``10``; decibels of power are base 10 and factor 10.
        offset: added before the logarithm.
        floor: the least value that is taken into it.
        factor: what the logarithm is multiplied with.
        range: how far below a clip's greatest value its least may lie, in units of the result; 0: anywhere.
    """

    base: Literal["e", "10"] = "e"
    offset: float = 0.0
    floor: float = 0.0
    factor: float = 1.0
    range: float = 0.0

    def __post_init__(self) -> None:
        if self.offset < 0 or self.floor < 0 or self.offset + self.floor <= 0:
            raise UsageError(
                "a logarithm needs an offset or a floor above zero, for silence has no logarithm"
            )

    def __call__(self, values: Floats) -> Floats:
        """Returns: the logarithms, same shape."""
        raised = np.maximum(values, self.floor) + self.offset
        logs = self.factor * (np.log(raised) if self.base == "e" else np.log10(raised))
        if self.range > 0 and logs.size:
            logs = np.maximum(logs, logs.max() - self.range)
        return np.asarray(logs)


@dataclass(frozen=True, slots=True)
class Pcen:
    """Per-channel energy normalisation: ((x / (ε + m)^gain + bias)^power − bias^power), m a slow mean of x.

    Source: Wang et al., Trainable Frontend For Robust and Far-Field Keyword Spotting, 2017.
    """

    smoothing: float = 0.025
    gain: float = 0.98
    bias: float = 2.0
    power: float = 0.5
    epsilon: float = 1e-6

    def __call__(self, values: Floats) -> Floats:
        """Args: values [frames, bands], not negative. Returns: same shape."""
        mean = np.empty_like(values)
        state = values[0] if len(values) else np.zeros(values.shape[1:])
        for i, row in enumerate(values):
            state = (1 - self.smoothing) * state + self.smoothing * row
            mean[i] = state
        normalized = values * (self.epsilon + mean) ** -self.gain
        result: Floats = (normalized + self.bias) ** self.power - self.bias**self.power
        return result


@dataclass(frozen=True, slots=True)
class Normalize:
    """(x − mean) / std at the end.

    Attributes:
        mean, std: one value, or one per feature.
        over: ``given`` takes both as they stand; ``clip`` takes each clip's own, one for all its values;
            ``feature`` its own per feature; ``range`` maps each clip's least and greatest value to 0 and 1.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    over: Literal["given", "clip", "feature", "range"] = "given"

    def __post_init__(self) -> None:
        if not self.mean or not self.std or not all(self.std):
            raise UsageError("a normalisation needs means, and deviations that are not zero")

    def __call__(self, values: Floats) -> Floats:
        """Args: values [frames, features]. Returns: same shape."""
        if self.over == "given" or values.size == 0:
            return np.asarray((values - np.asarray(self.mean)) / np.asarray(self.std))
        if self.over == "range":
            return np.asarray((values - values.min()) / max(float(np.ptp(values)), 1e-12))
        axis = 0 if self.over == "feature" else None
        mean, std = values.mean(axis=axis), values.std(axis=axis)
        return np.asarray((values - mean) / np.maximum(std, 1e-12))


@dataclass(frozen=True, slots=True)
class Spectral:
    """Frames → spectra → mel bands → logarithm → cosine transform → normalisation; every step but the first
    two may be absent.

    Attributes:
        name: for people.
        rate: Hz.
        window, hop, fft: samples of a frame, from frame to frame, and of the transform (frames are padded
            with zeros to it).
        taper, edge: see ``spectrum``.
        level: ``peak`` first divides a clip by its greatest sample (MLPerf Tiny), ``abs_peak`` by its
            greatest magnitude, ``none`` takes −1..1, ``int16`` −32768..32767.
        preemphasis: y[i] = x[i] − preemphasis · x[i − 1].
        power: 1 for magnitudes, 2 for power.
        mel, log, pcen, normalize: the later steps, None to leave one out.
        mfcc: cosine coefficients that are kept, 0 for no transform.
        cosines: how they are scaled, see ``dct``.
        clip: samples that are turned into features together, each clip by itself; 0 takes the whole file.
        step: frames from one window of the model to the next where ``clip`` is 0; 0 puts them side by side.
    """

    KIND: ClassVar[str] = "spectral"

    name: str
    rate: int
    window: int
    hop: int
    fft: int
    taper: Taper = "hann"
    edge: Edge = "none"
    level: Literal["none", "peak", "abs_peak", "int16"] = "none"
    preemphasis: float = 0.0
    power: int = 2
    mel: Mel | None = None
    log: Log | None = None
    pcen: Pcen | None = None
    mfcc: int = 0
    cosines: Cosines = "ortho"
    normalize: Normalize | None = None
    clip: int = 0
    step: int = 0

    def __post_init__(self) -> None:
        where = f"front end {self.name!r}"
        if not 1 <= self.rate <= 10_000_000:
            raise UsageError(f"a sample rate of {self.rate} Hz is not possible", where=where)
        if not 1 <= self.window <= self.fft <= MOST_SAMPLES or not 1 <= self.hop <= MOST_SAMPLES:
            raise UsageError(
                f"frames of {self.window} samples, {self.hop} apart, with a transform of {self.fft} are not"
                f" possible: 1 ≤ window ≤ fft ≤ {MOST_SAMPLES} and hop ≥ 1 must hold",
                where=where,
            )
        if self.power not in (1, 2) or not 0 <= self.clip <= MOST_CLIP or self.step < 0:
            raise UsageError(f"power is 1 or 2, clip 0 to {MOST_CLIP}, and step not negative", where=where)
        if self.mel is not None and self.mel.bands * (self.fft // 2 + 1) > _MOST_WEIGHTS:
            raise UsageError(f"{self.mel.bands} bands of a transform of {self.fft} are too many", where=where)
        if not 0 <= self.mfcc <= self._bands:
            raise UsageError(f"{self.mfcc} coefficients of {self._bands} bands are not possible", where=where)
        for values in () if self.normalize is None else (self.normalize.mean, self.normalize.std):
            if len(values) not in (1, self.features):
                raise UsageError(f"{len(values)} values normalise {self.features} features", where=where)

    @property
    def _bands(self) -> int:
        return self.mel.bands if self.mel is not None else self.fft // 2 + 1

    @property
    def features(self) -> int:
        """Values per frame."""
        return self.mfcc or self._bands

    def frames(self, samples: int) -> int:
        """Returns: how many frames a signal of this length gives."""
        return frame_count(samples, self.window, self.hop, self.edge)

    def __call__(self, signal: Signal) -> Signal:
        """Args: signal [samples] in −1..1 at ``rate``. Returns: float32 [frames, features]."""
        cut = frames(self._levelled(signal), self.window, self.hop, self.edge)
        window = taper(self.taper, self.window)
        banks = None if self.mel is None else self.mel.weights(self.fft // 2 + 1, self.rate)
        found = np.empty((len(cut), self._bands))
        block = max(1, _BLOCK // self.fft)
        for start in range(0, len(cut), block):
            part = slice(start, start + block)
            spectra = np.abs(np.fft.rfft(cut[part] * window, self.fft))
            powers = spectra**2 if self.power == 2 else spectra
            found[part] = powers if banks is None else powers @ banks
        if self.pcen is not None:
            found = self.pcen(found)
        if self.log is not None:
            found = self.log(found)
        if self.mfcc:
            found = dct(found, self.mfcc, self.cosines)
        if self.normalize is not None:
            found = self.normalize(found)
        return found.astype(np.float32)

    def _levelled(self, signal: Signal) -> Floats:
        x = np.asarray(signal, np.float64)
        if self.level == "int16":
            x = x * 32768.0
        elif self.level != "none" and x.size:
            greatest = float(x.max() if self.level == "peak" else np.abs(x).max())
            x = x / greatest if greatest > 0 else x
        if self.preemphasis:
            x = np.concatenate([x[:1], x[1:] - self.preemphasis * x[:-1]])
        return x
