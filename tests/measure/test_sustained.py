"""What minutes of continuous running say: the last tenth beside the first."""

from __future__ import annotations

import pytest

from sanderling.measure.steady import Window
from sanderling.measure.sustained import throttling


def windows(*p50: float) -> list[Window]:
    return [Window(float(second), 100, ms, 2 * ms) for second, ms in enumerate(p50, 1)]


def test_slower_at_the_end() -> None:
    found = throttling(windows(*[1.0] * 50, *[1.25] * 50), 100.0)
    assert found.slowdown == pytest.approx(1.25)
    assert found.calls == 10_000


def test_a_last_window_that_time_cut_short_is_left_out() -> None:
    whole = windows(*[1.0] * 100)
    cut = throttling([*whole, Window(100.01, 1, 9.0, 9.0)], 100.01)
    assert cut.slowdown == pytest.approx(1.0)
    assert (len(cut.windows), cut.calls) == (100, 10_001)
    long = throttling([*whole, Window(100.9, 90, 9.0, 9.0)], 100.9)  # long enough to say something
    assert len(long.windows) == 101


def test_few_windows() -> None:
    assert throttling(windows(2.0), 1.0).slowdown == pytest.approx(1.0)
    assert throttling(windows(1.0, 2.0), 2.0).slowdown == pytest.approx(2.0)
