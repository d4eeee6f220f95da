"""WAV files: RIFF chunks to float samples, and resampling. Standard library and NumPy only.

The standard library's ``wave`` refuses float samples, A-law, mu-law and (before Python 3.12) the
extensible header, all of which occur in practice; so the chunks are read here.

Source: Microsoft, Multimedia Programming Interface 1.0 (RIFF WAVE), and KSDATAFORMAT_SUBTYPE for the
extensible header; ITU-T G.711 for A-law and mu-law.
"""

from __future__ import annotations

import struct
from math import gcd
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sanderling.errors import SampleError
from sanderling.graph.types import Array

_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_KINDS = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64), _ALAW: (8,), _MULAW: (8,)}
Floats = npt.NDArray[np.float32]
_CROSSINGS = 16  # zeros of the sinc to a side
_MOST_PHASES = 4096
_MOST_VALUES = 1 << 29  # a file that states a rate of 1 Hz would grow 16,000-fold


class WavFormat(NamedTuple):
    """Where the samples of a file are: ``kind`` is the format tag, ``frames`` the length per channel."""

    kind: int
    bits: int
    channels: int
    rate: int
    start: int
    frames: int


def wav_format(path: Path) -> WavFormat:
    """Reads a WAV file's header.

    Raises:
        SampleError: it is no WAV file, is damaged, or is coded in a way that cannot be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(12)
            if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
                raise SampleError("not a WAV file (no RIFF/WAVE header)", where=str(path))
            layout = b""
            position = 12
            while position + 8 <= size:
                file.seek(position)
                name, length = struct.unpack("<4sI", file.read(8))
                if name == b"fmt ":
                    layout = file.read(min(length, 40))
                elif name == b"data":
                    # A recorder that was cut off leaves a length of 0 or all ones: the rest is the data.
                    left = size - position - 8
                    return _format(layout, position + 8, min(length, left) or left, path)
                position += 8 + length + length % 2
    except OSError as error:
        raise SampleError(f"cannot read the file ({error})", where=str(path)) from error
    raise SampleError("the WAV file holds no samples (no data chunk)", where=str(path))


def _format(layout: bytes, start: int, length: int, path: Path) -> WavFormat:
    if len(layout) < 16:
        raise SampleError("the WAV file does not say how its samples are coded", where=str(path))
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", layout)
    if kind == _EXTENSIBLE and len(layout) >= 26:
        kind = struct.unpack_from("<H", layout, 24)[0]
    if bits not in _KINDS.get(kind, ()):
        raise SampleError(
            f"cannot read WAV format {kind} with {bits} bits",
            where=str(path),
            hint="save it as PCM (8, 16, 24, 32 bit) or float",
        )
    if not 1 <= channels <= 64 or not 1 <= rate <= 10_000_000:
        raise SampleError(f"the WAV file claims {channels} channels at {rate} Hz", where=str(path))
    return WavFormat(kind, bits, channels, rate, start, length // (bits // 8 * channels))


def read_wav(path: Path) -> tuple[Floats, int]:
    """Decodes a WAV file.

    Returns: float32 [frames, channels] in −1..1, and the rate in Hz.

    Raises:
        SampleError: see ``wav_format``.
    """
    layout = wav_format(path)
    width = layout.bits // 8
    try:
        with path.open("rb") as file:
            file.seek(layout.start)
            data = file.read(layout.frames * layout.channels * width)
    except OSError as error:
        raise SampleError(f"cannot read the file ({error})", where=str(path)) from error
    frames = len(data) // (width * layout.channels)
    raw = np.frombuffer(data, np.uint8, frames * layout.channels * width)
    return _decode(raw, layout).astype(np.float32).reshape(frames, layout.channels), layout.rate


def _decode(raw: npt.NDArray[np.uint8], layout: WavFormat) -> Array:
    if layout.kind == _FLOAT:
        return raw.view("<f4" if layout.bits == 32 else "<f8")
    if layout.kind == _MULAW:
        return _mulaw(raw)
    if layout.kind == _ALAW:
        return _alaw(raw)
    if layout.bits == 8:
        return (raw.astype(np.float32) - 128) / 128
    if layout.bits == 24:
        wide = np.zeros((raw.size // 3, 4), np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)
        return wide.reshape(-1).view("<i4") / 2.0**31
    return raw.view("<i2") / 2.0**15 if layout.bits == 16 else raw.view("<i4") / 2.0**31


def _mulaw(raw: npt.NDArray[np.uint8]) -> Array:
    code = ~raw
    magnitude = (((code & 15).astype(np.int32) * 2 + 33) << ((code >> 4) & 7).astype(np.int32)) - 33
    return np.where(code & 128, -magnitude, magnitude) * 4 / 2.0**15


def _alaw(raw: npt.NDArray[np.uint8]) -> Array:
    code = raw ^ 0x55
    segment = ((code >> 4) & 7).astype(np.int32)
    step = (code & 15).astype(np.int32) * 2 + 1
    magnitude = np.where(segment == 0, step, (step + 32) << np.maximum(segment - 1, 0))
    return np.where(code & 128, magnitude, -magnitude) * 8 / 2.0**15


def resample(signal: Floats, rate: int, target: int) -> Floats:
    """Changes the sample rate with a windowed sinc (Kaiser, 16 zero crossings a side, no aliasing).

    Args:
        signal: [frames, channels].
        rate, target: Hz.

    Returns: float32 [round(frames × target / rate), channels].

    Raises:
        SampleError: the result would be too large.

    Source: J. O. Smith, Digital Audio Resampling (bandlimited interpolation).
    """
    if rate == target or signal.shape[0] == 0:
        return signal
    frames = max(1, round(signal.shape[0] * target / rate))
    if frames * signal.shape[1] > _MOST_VALUES:
        raise SampleError(f"brought from {rate} Hz to {target} Hz, the sound would hold {frames:,} samples")
    reach = int(np.ceil(_CROSSINGS / min(1.0, target / rate)))
    up, down = target // gcd(rate, target), rate // gcd(rate, target)
    ahead = max(0, (frames - 1) * down // up + 1 - signal.shape[0])  # rounding up may end a sample later
    padded = np.pad(signal, ((reach, reach + 1 + ahead), (0, 0)))
    if up <= _MOST_PHASES:
        return _by_phases(padded, frames, up, down, reach, target / rate)
    result = np.empty((frames, signal.shape[1]), np.float32)
    offsets = np.arange(2 * reach)
    step = max(1, (1 << 20) // offsets.size)
    for start in range(0, frames, step):
        first, late = np.divmod(np.arange(start, min(start + step, frames)) * down, up)
        weights = _kernel(late / up, reach, target / rate)
        result[start : start + step] = np.einsum("nk,nkc->nc", weights, padded[first[:, None] + offsets + 1])
    return result


def _by_phases(padded: Floats, frames: int, up: int, down: int, reach: int, ratio: float) -> Floats:
    """Resamples by a ratio of whole numbers: every ``up``-th output lies alike between its neighbours, so
    that one kernel serves them all."""
    result = np.empty((frames, padded.shape[1]), np.float32)
    taps = 2 * reach
    for channel in range(padded.shape[1]):
        windows = np.lib.stride_tricks.sliding_window_view(padded[:, channel], taps)
        for phase in range(min(up, frames)):
            first, late = divmod(phase * down, up)
            count = -(-(frames - phase) // up)
            kernel = _kernel(np.array([late / up]), reach, ratio)[0]
            result[phase::up, channel] = windows[first + 1 :: down][:count] @ kernel
    return result


def _kernel(late: npt.NDArray[np.float64], reach: int, ratio: float) -> Floats:
    """Returns: [n, 2 · reach] weights of the samples around places ``late`` (0..1) after a sample."""
    cutoff = min(1.0, ratio)
    distance = np.arange(-reach + 1, reach + 1)[None, :] - late[:, None]
    window = np.i0(9.0 * np.sqrt(np.clip(1 - (distance / reach) ** 2, 0, 1))) / np.i0(9.0)
    weights: Floats = (cutoff * np.sinc(cutoff * distance) * window).astype(np.float32)
    return weights
