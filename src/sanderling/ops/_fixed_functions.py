"""The sigmoid and tanh on 16-bit fixed-point numbers, as integer LSTMs compute them.

A number of ``bits`` integer bits stands for raw / 2^(15 − bits).

Source: gemmlowp ``fixedpoint/fixedpoint.h`` (logistic, tanh, exp_on_negative_values), for int16.
"""

from __future__ import annotations

import numpy as np

from sanderling.ops._fixed_point import Integers, rounding_divide_by_pot

_ONE = 2**15 - 1  # with no integer bits, the largest number stands for 1
_LOW, _HIGH = -(2**15), 2**15 - 1
# exp(−2^e) with no integer bits, of 31 bits in gemmlowp, for e from −2 on.
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def logistic(x: Integers, bits: int) -> Integers:
    """Returns: the sigmoid of fixed-point numbers, with no integer bits."""
    positive = _reciprocal(_exp(-np.abs(x), bits))
    return np.where(x == 0, 1 << 14, np.where(x > 0, positive, _ONE - positive))


def tanh(x: Integers, bits: int) -> Integers:
    """Returns: the tanh of fixed-point numbers, with no integer bits."""
    positive = _ratio(_exp(-np.abs(x), bits + 1))
    return np.where(x == 0, 0, np.where(x < 0, -positive, positive))


def _constant(raw: int) -> int:
    """Returns: a 32-bit constant in 16 bits."""
    return (raw + (1 << 15)) >> 16


def _times(a: Integers, b: Integers | int) -> Integers:
    return np.asarray(np.minimum((a * b + (1 << 14)) >> 15, _HIGH))


def _scaled(x: Integers, exponent: int) -> Integers:
    """Returns: x · 2^exponent, rounded and saturated."""
    if exponent < 0:
        return rounding_divide_by_pot(x, -exponent)
    return np.asarray(np.clip(x << exponent, _LOW, _HIGH))


def _wrapped(x: Integers) -> Integers:
    return np.asarray(x.astype(np.int16).astype(np.int64))


def _exp(x: Integers, bits: int) -> Integers:
    """Returns: e^x of numbers that are not positive."""
    fraction = 15 - bits
    if fraction >= 2:
        quarter = 1 << (fraction - 2)
        part = (x & (quarter - 1)) - quarter
        rest = part - x
    else:
        part, rest = x, np.zeros_like(x)
    result = _exp_near_zero(_scaled(part, bits))
    for exponent, power in enumerate(_POWERS, start=-2):
        if bits > exponent and fraction + exponent >= 0:
            factor = _times(result, _constant(power))
            result = np.where(rest & (1 << (fraction + exponent)), factor, result)
    if bits > 5:
        result = np.where(x < -(1 << (fraction + 5)), 0, result)
    return np.where(x == 0, _ONE, result)


def _exp_near_zero(x: Integers) -> Integers:
    """Returns: e^x for x in [−1/4, 0), by its series around −1/8."""
    at = _wrapped(x + (1 << 12))
    square = _times(at, at)
    cube, fourth = _times(square, at), _times(square, square)
    third = _constant(715827883)
    tail = _scaled(_times(_scaled(fourth, -2) + cube, third) + square, -1)
    constant = _constant(1895147668)
    return np.asarray(np.clip(constant + _times(at + tail, constant), _LOW, _HIGH))


def _newton(half_denominator: Integers) -> Integers:
    """Returns: 1 / half_denominator with 2 integer bits, after three steps of Newton's method."""
    x = _wrapped(_constant(1515870810) + _times(half_denominator, _constant(-1010580540)))
    for _ in range(3):
        error = _wrapped((1 << 13) - _times(half_denominator, x))
        x = _wrapped(x + _scaled(_times(x, error), 2))
    return x


def _reciprocal(x: Integers) -> Integers:
    """Returns: 1 / (1 + x) for x in [0, 1]."""
    return _scaled(_newton((x + _ONE + 1) >> 1), 1)


def _ratio(x: Integers) -> Integers:
    """Returns: (1 − x) / (1 + x) for x in [0, 1]."""
    return _scaled(_wrapped(_newton((x + _ONE + 1) >> 1) - (1 << 13)), 2)
