"""The least squares behind slimming, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.compress.fitting.reconstruct import compensate, eliminate, held_out, pose, refit, taps_of


def _problem(seed: int, channels: int, taps: int, outputs: int = 5, rows: int = 400):
    rng = np.random.default_rng(seed)
    mixing = np.eye(channels * taps) + 0.4 * rng.standard_normal((channels * taps, channels * taps))
    x = (rng.standard_normal((rows, channels * taps)) @ mixing + rng.standard_normal(channels * taps)).astype(
        np.float32
    )
    weights = rng.standard_normal((channels * taps, outputs)).astype(np.float32)
    columns = np.tile(np.arange(channels), taps)
    feeds = np.repeat(np.arange(4), rows // 4)  # fewer than five: nothing is held out
    return x, weights, columns, feeds


def _error(x: np.ndarray, weights: np.ndarray, kept: np.ndarray) -> float:
    """Share of the output's energy that is lost when the other inputs go and a bias may change."""
    centred = (x - x.mean(0)).astype(np.float64)
    want = centred @ weights
    best, *_ = np.linalg.lstsq(centred[:, kept], want, rcond=None)
    return float(np.sum((centred[:, kept] @ best - want) ** 2) / np.sum(want**2))


@given(st.integers(0, 50), st.integers(3, 7), st.integers(1, 3))
def test_damage_is_the_error_of_the_best_weights_for_what_remains(
    seed: int, channels: int, taps: int
) -> None:
    x, weights, columns, feeds = _problem(seed, channels, taps)
    problem = pose(x, weights, columns, feeds, centre=True)
    found = eliminate([problem], range(channels), 1)
    assert len(found.order) == channels - 1
    for count in range(1, channels):
        kept = ~np.isin(columns, found.order[:count])
        assert found.damage[count] == pytest.approx(_error(x, weights, kept), rel=0.1, abs=0.01)


def test_the_first_to_go_is_the_cheapest() -> None:
    x, weights, columns, feeds = _problem(3, 6, 2)
    found = eliminate([pose(x, weights, columns, feeds, centre=True)], range(6), 5)
    alone = [_error(x, weights, columns != channel) for channel in range(6)]
    assert found.order == (int(np.argmin(alone)),)


def test_of_two_equal_channels_one_goes_for_nothing_and_not_both() -> None:
    """Also where several go at once: 320 channels in pairs, of which half can go without loss."""
    rng = np.random.default_rng(0)
    half = rng.standard_normal((1200, 160)).astype(np.float32)
    x = np.concatenate([half, half], axis=1)
    weights = rng.standard_normal((320, 8)).astype(np.float32)
    feeds = np.repeat(np.arange(4), 300)
    found = eliminate([pose(x, weights, np.arange(320), feeds, centre=True)], range(320), 150)
    assert sorted(channel % 160 for channel in found.order[:160]) == list(range(160))
    assert found.damage[160] < 1e-2 < found.damage[170]


def test_a_group_that_nobody_reads_goes_for_nothing() -> None:
    assert eliminate([], range(5), 2).damage == (0.0, 0.0, 0.0, 0.0)


@given(st.integers(0, 50), st.integers(1, 3))
def test_compensation_is_what_least_squares_gives(seed: int, taps: int) -> None:
    x, weights, columns, feeds = _problem(seed, 6, taps)
    kept = columns % 3 != 1
    got = compensate(pose(x, weights, columns, feeds, centre=True), weights, columns, kept)
    centred = (x - x.mean(0)).astype(np.float64)
    error = np.sum((centred[:, kept] @ got - centred @ weights) ** 2) / np.sum((centred @ weights) ** 2)
    assert error == pytest.approx(_error(x, weights, kept), rel=0.1, abs=0.01)


def test_many_columns_share_one_mixing_of_channels_for_all_taps() -> None:
    rng = np.random.default_rng(1)
    base = rng.standard_normal((60, 9, 128))
    rows = (
        np.concatenate([base, base], axis=2).reshape(60, -1).astype(np.float32)
    )  # 2304 columns, 256 channels
    weights = rng.standard_normal((2304, 3)).astype(np.float32)
    columns = np.tile(np.arange(256), 9)
    problem = pose(rows, weights, columns, np.repeat(np.arange(4), 15), centre=True)
    assert problem.hessian.shape == (256, 256)
    kept = columns < 128
    got = rows[:, kept] @ compensate(problem, weights, columns, kept)
    np.testing.assert_allclose(got, rows @ weights, atol=0.05 * np.abs(rows @ weights).max())


@pytest.mark.parametrize("rows", [12, 400])
def test_refit_gives_the_targets_bias_included(rows: int) -> None:
    """In both forms: fewer rows than columns, and more."""
    rng = np.random.default_rng(2)
    x = (rng.standard_normal((rows, 20)) + 3).astype(np.float32)
    true, bias = rng.standard_normal((20, 4)), rng.standard_normal(4)
    targets = (x @ true + bias).astype(np.float32)
    start = true + 0.1 * rng.standard_normal((20, 4))
    feeds = np.arange(rows) % 10
    weights, shift = refit(x, targets, start, feeds, centre=True)
    before = np.sum((x @ start + bias - targets) ** 2)
    assert np.sum((x @ weights + shift - targets) ** 2) < 1e-2 * before


def test_refit_stays_at_the_start_where_the_samples_only_tell_noise() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((30, 60)).astype(np.float32)
    start = rng.standard_normal((60, 3))
    targets = (x @ start + 2 * rng.standard_normal((30, 3))).astype(np.float32)
    weights, _ = refit(x, targets, start, np.arange(30), centre=False)
    assert np.linalg.norm(weights - start) < 0.5 * np.linalg.norm(start)


def test_without_a_bias_none_is_made() -> None:
    x, weights, _, feeds = _problem(0, 4, 1)
    got, bias = refit(x, x @ weights, weights.astype(np.float64), feeds, centre=False)
    assert not bias.any()
    np.testing.assert_allclose(got, weights, atol=1e-4)


def test_taps_are_told_from_the_order_of_channels() -> None:
    assert taps_of(np.tile(np.arange(5), 9)) == 9
    assert taps_of(np.arange(7)) == 1
    assert taps_of(np.array([0, 1, 0, 2])) == 1
    assert taps_of(np.array([0, 0, 1, 0, 0, 1])) == 2


def test_every_fifth_feed_is_held_out_and_none_of_fewer() -> None:
    assert held_out(np.repeat(np.arange(10), 2)).sum() == 4
    assert not held_out(np.repeat(np.arange(4), 2)).any()
