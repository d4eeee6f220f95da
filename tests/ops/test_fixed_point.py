"""TFLite's fixed-point arithmetic against Python's whole numbers and fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.graph.graph import Node
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.ops import _fixed_point as fixed

INT32 = st.integers(-(2**31), 2**31 - 1)
FACTORS = st.floats(1e-8, 60.0)


def half_away(value: Fraction) -> int:
    whole = abs(value).__floor__()
    whole += abs(value) - whole >= Fraction(1, 2)
    return int(whole if value >= 0 else -whole)


@given(FACTORS)
def test_a_factor_is_kept_to_31_bits(real: float) -> None:
    multiplier, shift = fixed.quantize_multiplier(real)
    assert 2**30 <= int(multiplier) < 2**31
    held = Fraction(int(multiplier)) * Fraction(2) ** (int(shift) - 31)
    assert abs(held - Fraction(real)) <= Fraction(real) / 2**31


@pytest.mark.parametrize("real", [0.0, 1e-12])
def test_what_is_too_small_becomes_zero(real: float) -> None:
    multiplier, shift = fixed.quantize_multiplier(real)
    assert (int(multiplier), int(shift)) == (0, 0)


def test_a_factor_that_rounds_up_to_one_takes_the_next_power() -> None:
    multiplier, shift = fixed.quantize_multiplier(1 - 2.0**-40)
    assert (int(multiplier), int(shift)) == (2**30, 1)


@given(INT32, INT32)
def test_high_mul(a: int, b: int) -> None:
    wanted = min((a * b + 2**30) >> 31, 2**31 - 1)
    assert int(fixed.high_mul(a, b)) == wanted


@given(INT32, st.integers(0, 31))
def test_division_by_a_power_of_two_rounds_halves_away(x: int, exponent: int) -> None:
    assert int(fixed.rounding_divide_by_pot(x, exponent)) == half_away(Fraction(x, 2**exponent))


@given(st.integers(-(2**24), 2**24), FACTORS)
def test_products_are_within_one_of_the_real_ones(x: int, real: float) -> None:
    multiplier, shift = fixed.quantize_multiplier(real)
    exact = Fraction(x) * Fraction(int(multiplier)) * Fraction(2) ** (int(shift) - 31)
    twice = int(fixed.multiply_by_quantized_multiplier(x, multiplier, shift))
    once = int(fixed.multiply_rounding_once(x, multiplier, shift))
    assert abs(once - exact) <= Fraction(1, 2)
    assert abs(twice - exact) <= 1
    wide = int(fixed.multiply_wide_by_quantized_multiplier(x, multiplier, shift))
    assert abs(wide - exact) <= 1 + abs(exact) / 2**14


def test_arrays_are_computed_element_by_element() -> None:
    x = np.arange(-50, 50).reshape(10, 10) * 1001
    multiplier, shift = fixed.quantize_multiplier(np.linspace(0.001, 3, 10))
    together = fixed.multiply_by_quantized_multiplier(x, multiplier, shift)
    for row in range(10):
        for column in range(10):
            alone = fixed.multiply_by_quantized_multiplier(x[row, column], multiplier[column], shift[column])
            assert together[row, column] == alone


@pytest.mark.parametrize(
    "fused, expected",
    [("NONE", (-128, 127)), ("RELU", (-20, 127)), ("RELU6", (-20, 100)), ("RELU_N1_TO_1", (-40, 0))],
)
def test_activation_ranges(fused: str, expected: tuple[int, int]) -> None:
    kind = TensorType((1,), DType.INT8, Quant.of(0.05, -20))
    assert fixed.activation_range(Node("ADD", (), (), {"fused_activation_function": fused}), kind) == expected
