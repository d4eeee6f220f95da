"""Histograms: what goes in must come out, whatever the order and scale of the values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sanderling.compress.quantizing.histogram import EPSILON, HALF, Histogram, with_zero

FLOATS = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=1, max_dims=3, max_side=20),
    elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False),
)


def histogram(*batches: np.ndarray) -> Histogram:
    made = Histogram()
    for batch in batches:
        made.update(batch)
    return made


def quantization_error(values: np.ndarray, low: float, high: float) -> float:
    scale = (high - low) / 255
    stored = np.clip(np.round(values / scale) + np.round(-128 - low / scale), -128, 127)
    return float(np.square((stored - np.round(-128 - low / scale)) * scale - values).mean())


@given(st.lists(FLOATS, min_size=1, max_size=5))
def test_counts_every_value_and_knows_the_extremes(batches: list[np.ndarray]) -> None:
    made = histogram(*batches)
    values = np.concatenate([b.ravel() for b in batches])
    assert made.counts.sum() + made.zeros == values.size
    assert made.zeros == (values == 0).sum()
    assert (made.low, made.high) == (values.min(), values.max())


@given(st.lists(FLOATS, min_size=2, max_size=5))
def test_order_of_batches_does_not_matter(batches: list[np.ndarray]) -> None:
    one, other = histogram(*batches), histogram(*reversed(batches))
    assert one.exponent == other.exponent
    assert np.array_equal(one.counts, other.counts)


@given(FLOATS, st.floats(50, 100))
def test_ranges_lie_within_the_extremes_and_hold_zero(values: np.ndarray, percent: float) -> None:
    made = histogram(values)
    low, high = made.minmax()
    assert low <= 0 <= high
    assert low < high
    for inner in (made.percentile(percent), made.mse()):
        assert low <= inner[0] <= 0 <= inner[1] <= max(high, EPSILON)
        assert inner[0] < inner[1]


@settings(max_examples=15)
@given(FLOATS)
def test_entropy_lies_within_the_extremes_and_holds_zero(values: np.ndarray) -> None:
    made = histogram(values)
    low, high = made.entropy()
    assert made.minmax()[0] <= low <= 0 <= high <= max(made.minmax()[1], EPSILON)
    assert low < high


@pytest.mark.parametrize("percent", [90.0, 99.0, 99.9])
def test_percentile_is_numpys_to_the_width_of_a_bin(percent: float) -> None:
    values = np.random.default_rng(0).standard_normal(200_000).astype(np.float32) * 3
    made = histogram(values)
    tail = (100 - percent) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    width = 2.0 ** (made.exponent or 0)
    assert made.percentile(percent) == pytest.approx((low, high), abs=2 * width)


@pytest.mark.parametrize("outlier", [20.0, 200.0])
def test_mse_cuts_outliers_and_beats_minmax(outlier: float) -> None:
    values = np.random.default_rng(1).standard_normal(100_000).astype(np.float32)
    values[0] = outlier
    made = histogram(values)
    assert made.mse()[1] < outlier
    assert quantization_error(values, *made.mse()) < quantization_error(values, *made.minmax())


def test_mse_keeps_evenly_spread_values_whole() -> None:
    made = histogram(np.linspace(-1, 1, 10_001, dtype=np.float32))
    assert made.mse() == pytest.approx((-1, 1), abs=0.02)


@pytest.mark.parametrize("outlier", [15.0, 30.0])
def test_entropy_cuts_outliers_at_the_end_where_they_are(outlier: float) -> None:
    values = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    low, high = histogram(np.append(values, np.float32(outlier))).entropy()
    assert high < outlier / 2
    assert high > 2.5
    assert -5 < low < -2


def test_entropy_keeps_evenly_spread_values_whole_and_beats_none_on_few_levels() -> None:
    values = np.random.default_rng(0).uniform(-1, 3, 50_000).astype(np.float32)
    low, high = histogram(values).entropy()
    assert (low, high) == pytest.approx((-1, 3), abs=0.2)
    assert histogram(np.zeros(9, np.float32)).entropy() == (0.0, EPSILON)


def test_resolution_stays_when_the_range_grows() -> None:
    rng = np.random.default_rng(2)
    made = histogram(*(rng.uniform(-1, 1, 1000).astype(np.float32) * scale for scale in (1e-6, 1, 1e4)))
    used = np.flatnonzero(made.counts)
    assert max(used.max() - HALF, HALF - used.min()) >= HALF // 2 - 1


def test_numbers_that_are_none_are_left_out() -> None:
    made = histogram(np.array([1, np.nan, np.inf, -3.4e38, -2], np.float32))
    assert (made.low, made.high, made.ignored) == (-2, 1, 1)
    assert made.counts.sum() == 2
    assert histogram(np.full(4, np.nan, np.float32)).empty


def test_means_of_channels() -> None:
    values = np.random.default_rng(3).standard_normal((6, 5, 4)).astype(np.float32)
    made = histogram(values[:2], values[2:])
    assert made.means is not None
    assert np.allclose(made.means, values.mean(axis=(0, 1)), atol=1e-6)
    assert histogram(values, values.reshape(5, 4, 6)).means is None  # another number of channels


def test_within_leaves_out_what_lies_outside() -> None:
    values = np.random.default_rng(4).standard_normal(10_000).astype(np.float32)
    inner = histogram(values).within(0.0, np.inf)
    assert inner.minmax() == (0.0, values.max())
    assert inner.counts.sum() == (values > 0).sum()


def test_a_tensor_that_is_always_zero_gets_a_range() -> None:
    made = histogram(np.zeros(10, np.float32))
    assert made.minmax() == made.mse() == made.percentile(99.9) == (0.0, EPSILON)
    assert with_zero(3.0, 5.0) == (0.0, 5.0)
