"""A 16-bit fixed-point Fourier transform, rounded after every step as KISS FFT does it on small devices.

In floating point the last bits would differ, and quiet channels of a front end have few others.

Source: the decimation in time of Cooley and Tukey, radix 4 then 2; the scaling and rounding are KISS FFT's.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Pair = tuple[Integers, Integers]
_ONE = 32767


def real_fft(signal: Integers) -> Pair:
    """Transforms real frames.

    Args:
        signal: [frames, size], 16-bit values; size a power of two of at least 2.

    Returns: real and imaginary parts [frames, size/2 + 1], scaled by 1/size.
    """
    half = signal.shape[1] // 2
    real, imaginary = _complex_fft(signal[:, 0::2], signal[:, 1::2])
    # Even and odd samples were transformed as one complex signal; their spectra are taken apart again.
    mirror = (-np.arange(half)) % half
    a, b = _scaled(real, 2), _scaled(imaginary, 2)
    c, d = a[:, mirror], -b[:, mirror]
    k = np.arange(1, half // 2 + 1)
    sum_real, sum_imaginary = (a + c)[:, k], (b + d)[:, k]
    turned = _product((a - c)[:, k], (b - d)[:, k], *_twiddles_real(half))
    out_real, out_imaginary = (np.zeros((len(signal), half + 1), np.int64) for _ in range(2))
    out_real[:, 0], out_real[:, half] = a[:, 0] + b[:, 0], a[:, 0] - b[:, 0]
    out_real[:, k] = (sum_real + turned[0]) >> 1
    out_imaginary[:, k] = (sum_imaginary + turned[1]) >> 1
    out_real[:, half - k] = (sum_real - turned[0]) >> 1
    out_imaginary[:, half - k] = (turned[1] - sum_imaginary) >> 1
    return out_real, out_imaginary


def _rounded(values: Integers) -> Integers:
    return (values + (1 << 14)) >> 15


def _scaled(values: Integers, divisor: int) -> Integers:
    return _rounded(values * (_ONE // divisor))


def _product(a: Integers, b: Integers, c: Integers, d: Integers) -> Pair:
    return _rounded(a * c - b * d), _rounded(a * d + b * c)


def _turns(phase: npt.NDArray[np.float64]) -> Pair:
    return (
        np.floor(0.5 + _ONE * np.cos(phase)).astype(np.int64),
        np.floor(0.5 + _ONE * np.sin(phase)).astype(np.int64),
    )


@lru_cache(maxsize=16)
def _twiddles(size: int) -> Pair:
    return _turns(-2 * np.pi * np.arange(size) / size)


@lru_cache(maxsize=16)
def _twiddles_real(half: int) -> Pair:
    return _turns(-np.pi * (np.arange(1, half // 2 + 1) / half + 0.5))


def _complex_fft(real: Integers, imaginary: Integers) -> Pair:
    """Returns: the transform of [frames, size], scaled by 1/size."""
    size = real.shape[1]
    if size == 1:
        return real, imaginary
    radix = 4 if size % 4 == 0 else 2
    parts = [_complex_fft(real[:, i::radix], imaginary[:, i::radix]) for i in range(radix)]
    step = np.arange(size // radix)
    cosines, sines = _twiddles(size)
    turned = [(_scaled(r, radix), _scaled(i, radix)) for r, i in parts]
    turned[1:] = [
        _product(r, i, cosines[step * p], sines[step * p]) for p, (r, i) in enumerate(turned[1:], start=1)
    ]
    if radix == 2:
        (a, b), (c, d) = turned
        return np.concatenate([a + c, a - c], axis=1), np.concatenate([b + d, b - d], axis=1)
    (r0, i0), (r1, i1), (r2, i2), (r3, i3) = turned
    even_r, even_i, odd_r, odd_i = r0 + r2, i0 + i2, r1 + r3, i1 + i3
    half_r, half_i, quarter_r, quarter_i = r0 - r2, i0 - i2, r1 - r3, i1 - i3
    return (
        np.concatenate([even_r + odd_r, half_r + quarter_i, even_r - odd_r, half_r - quarter_i], axis=1),
        np.concatenate([even_i + odd_i, half_i - quarter_r, even_i - odd_i, half_i + quarter_r], axis=1),
    )
