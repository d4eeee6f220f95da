"""Causes: each is made on purpose and must be named; sound tensors and weights must have none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.compress.damage import causes
from sanderling.compress.damage.causes import Activation, Weights, of_activation, of_weights
from sanderling.compress.quantizing.histogram import Histogram, Range, with_zero

SOUND = (
    lambda rng: rng.standard_normal((4000, 16)),
    lambda rng: np.maximum(rng.standard_normal((4000, 16)), 0),
    lambda rng: rng.uniform(0, 1, (4000, 16)),
    lambda rng: rng.laplace(size=(4000, 16)),
    lambda rng: rng.standard_normal((4000, 16)) * rng.uniform(0.5, 2, 16),
    lambda rng: np.zeros((10, 16)),
)


def activation(values: np.ndarray, held: Range | None = None, **more: bool) -> Activation:
    seen = Histogram()
    seen.update(values.astype(np.float32))
    low, high = held or with_zero(float(values.min()), float(values.max()))
    return Activation(
        seen, np.array([values.min(0), values.max(0)], np.float64), low, high, (high - low) / 255, **more
    )


def words(found: tuple[causes.Cause, ...]) -> list[str]:
    return [cause.word for cause in found]


@pytest.mark.parametrize("make", SOUND)
@pytest.mark.parametrize("seed", range(5))
def test_sound_activations_have_no_cause(make, seed: int) -> None:  # type: ignore[no-untyped-def]
    assert of_activation(activation(make(np.random.default_rng(seed)))) == ()


def test_a_few_large_values_are_a_matter_of_the_range() -> None:
    values = np.random.default_rng(0).standard_normal((4000, 16))
    values[7, 3] = 300.0
    found = of_activation(activation(values))
    assert words(found)[0] == causes.RANGE
    assert "99.9 %" in found[0].evidence


def test_a_large_channel_is_an_outlier() -> None:
    values = np.random.default_rng(0).standard_normal((4000, 16))
    values[:, 5] *= 60
    found = of_activation(activation(values))
    assert words(found)[0] == causes.CHANNEL
    assert "channel 5 of 16" in found[0].evidence


def test_an_outlier_among_many_channels_is_no_rare_value() -> None:
    values = np.random.default_rng(0).standard_normal((200, 3000))
    values[:, 9] *= 60
    assert words(of_activation(activation(values)))[0] == causes.CHANNEL


def test_values_beyond_the_range_saturate() -> None:
    values = np.random.default_rng(0).standard_normal((4000, 16))
    found = of_activation(activation(values, (-1.0, 1.0)))
    assert words(found)[0] == causes.SATURATION
    assert "0.31 of the values lie beyond -1 to 1" in found[0].evidence


def test_a_sound_percentile_is_no_saturation() -> None:
    values = np.random.default_rng(0).standard_normal((4000, 16))
    assert of_activation(activation(values, (-3.5, 3.5))) == ()


@pytest.mark.parametrize("kind", ["fixed", "shared", ""])
def test_a_scale_for_more_than_is_there(kind: str) -> None:
    values = np.random.default_rng(0).uniform(0, 0.02, (4000, 16))
    found = of_activation(activation(values, (0.0, 1.0), **({kind: True} if kind else {})))
    word = {"fixed": causes.FIXED, "shared": causes.SHARED, "": causes.RANGE}[kind]
    assert words(found)[0] == word


def test_values_of_a_few_steps_lack_precision() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((4000, 16)) ** 5
    values = np.clip(values, -60, 60)
    assert causes.PRECISION in words(of_activation(activation(values)))


def test_an_operand_of_a_step_is_lost_in_a_sum() -> None:
    assert causes.unequal([1.0, 60.0]).word == causes.SHARED
    assert causes.unequal([20.0, 60.0]) is None
    assert causes.unequal([1.0]) is None


def weights(rows: np.ndarray, *, bits: int = 8, per_channel: bool = True, share: float = 1.0) -> Weights:
    steps = 2 ** (bits - 1) - 1
    ends = np.abs(rows).max(axis=1 if per_channel else None, keepdims=True) * share
    stored = np.clip(np.round(rows / ends * steps), -steps, steps) * ends / steps
    return Weights(rows, stored, np.abs(rows).max(0), per_channel)


@given(st.integers(0, 1000), st.integers(2, 40), st.integers(2, 300), st.booleans())
def test_sound_weights_have_no_cause(seed: int, outputs: int, columns: int, per_channel: bool) -> None:
    rows = np.random.default_rng(seed).uniform(-1, 1, (outputs, columns))
    assert of_weights(weights(rows, per_channel=per_channel)) == ()


def test_one_scale_for_unequal_channels() -> None:
    rows = np.random.default_rng(0).standard_normal((16, 90))
    rows[4] *= 50
    assert words(of_weights(weights(rows, per_channel=False)))[0] == causes.CHANNEL
    assert of_weights(weights(rows)) == ()


def test_an_input_channel_with_large_weights() -> None:
    rows = np.random.default_rng(0).standard_normal((16, 90))
    rows[:, 7] *= 50
    found = of_weights(weights(rows))
    assert words(found)[0] == causes.CHANNEL
    assert "input channel 7" in found[0].evidence


def test_single_large_weights() -> None:
    rows = np.random.default_rng(0).standard_normal((16, 900))
    rows[np.arange(16), np.arange(16) * 50] = 60
    held = weights(rows)
    assert words(of_weights(Weights(rows, held.stored, None, True)))[0] == causes.RANGE


def test_four_bits_lack_precision() -> None:
    rows = np.random.default_rng(0).standard_normal((16, 90))
    assert words(of_weights(weights(rows, bits=4))) == [causes.PRECISION]


def test_weights_that_are_cut_off() -> None:
    rows = np.random.default_rng(0).standard_normal((16, 90))
    assert words(of_weights(weights(rows, share=0.3)))[0] == causes.SATURATION


def test_errors_that_move_the_mean() -> None:
    shift, spread = np.array([0.3, 0.0, -0.4]), np.array([0.01, 0.01, 0.01])
    found = causes.mean_shift(shift, spread, 1.0)
    assert found is not None
    assert found.word == causes.BIAS
    assert "channel 2 moves by 0.4" in found.evidence
    assert causes.mean_shift(shift / 10, spread, 1.0) is None


def test_a_bias_at_the_end_of_int32_overflows() -> None:
    found = causes.overflow(np.array([5, 2**31 - 1, -(2**31)]))
    assert found is not None
    assert (found.word, found.evidence) == (causes.OVERFLOW, "2 of 3 biases are cut off by int32")
    assert causes.overflow(np.array([5, 2**30])) is None
