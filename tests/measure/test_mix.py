"""What takes longer on some inputs than on others is compared by means, each input by its own median."""

from __future__ import annotations

import time

import numpy as np
import pytest

from sanderling.timing.mix import PASSES, by_feed, mean_ratio
from sanderling.timing.race import Contender, race


def timed(times: list[list[float]], feeds: int) -> Contender:
    """A contender whose blocks were timed."""
    return Contender(lambda arrays: None, [[np.zeros(1)]] * feeds, blocks=times)


def test_a_hiccup_counts_for_nothing() -> None:
    own = timed([[1.0, 9.0], [1.0, 9.0], [500.0, 9.0], [1.0, 9.0]], 2)
    assert by_feed(own).tolist() == [1.0, 9.0]


def test_the_ratio_is_that_of_the_means_not_of_the_medians() -> None:
    """Seven of eight inputs are easy: a median would see nothing of the eighth."""
    own = timed([[1.0] * 7 + [13.0]] * 4, 8)
    base = timed([[10.0] * 8] * 4, 8)
    low, middle, high = mean_ratio(own, base)
    assert middle == pytest.approx(10 / 2.5)
    assert low < middle < high
    assert high <= 10 * 1.02


def test_all_inputs_are_timed_as_often_as_asked() -> None:
    def slow(arrays: list[np.ndarray]) -> None:
        time.sleep(2e-4 * float(arrays[0][0]))

    feeds = [[np.array([k % 4], np.float64)] for k in range(40)]
    contenders = [Contender(slow, feeds), Contender(lambda arrays: None, feeds)]
    race(contenders, seconds=0.0, target=0.0, passes=PASSES)
    for contender in contenders:
        assert len(contender.times) >= PASSES * len(feeds)
        assert len(by_feed(contender)) == len(feeds)
    assert len(contenders[0].times) == len(contenders[1].times)
    rises = by_feed(contenders[0]).reshape(-1, 4).mean(axis=0)
    assert list(rises) == sorted(rises)
