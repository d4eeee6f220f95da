"""Quantities as people type them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from math import isclose
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.cli import units
from sanderling.errors import UsageError

amounts = st.floats(0.001, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    "read, text, value",
    [
        (units.share, "1%", 0.01),
        (units.share, "0.01", 0.01),
        (units.share, "1 %", 0.01),
        (units.share, "0", 0.0),
        (units.share, ".5%", 0.005),
        (units.share, "1e-3", 0.001),
        (units.share, "150%", 1.5),
        (units.milliseconds, "5ms", 5.0),
        (units.milliseconds, "1.5s", 1500.0),
        (units.milliseconds, "200us", 0.2),
        (units.milliseconds, "200\u00b5s", 0.2),  # the micro sign
        (units.milliseconds, "200\u03bcs", 0.2),  # the Greek letter
        (units.seconds, "10m", 600.0),
        (units.seconds, "3m30s", 210.0),
        (units.seconds, "1h 5min", 3900.0),
        (units.seconds, "90s", 90.0),
        (units.size_bytes, "1.5MB", 1_500_000),
        (units.size_bytes, "500KB", 500_000),
        (units.size_bytes, "500kb", 500_000),
        (units.size_bytes, "2MiB", 2 * 2**20),
        (units.size_bytes, "64k", 64_000),
        (units.size_bytes, "12B", 12),
        (units.per_second, "200/s", 200.0),
        (units.per_second, "600/min", 10.0),
        (units.numbers, "127.5", 127.5),
        (units.numbers, "-1,0,1", (-1.0, 0.0, 1.0)),
        (units.counts, "1,2,4,2", (1, 2, 4)),
    ],
)
def test_reads(read: Callable[[str, str], Any], text: str, value: object) -> None:
    assert read(text, "--option") == pytest.approx(value)


@pytest.mark.parametrize(
    "read, text",
    [
        (units.share, "5"),
        (units.share, "1"),
        (units.share, "-1%"),
        (units.share, "1ms"),
        (units.share, "%"),
        (units.share, "1,5%"),
        (units.share, "nan"),
        (units.share, "inf%"),
        (units.share, "1e999"),
        (units.milliseconds, "5"),
        (units.milliseconds, "5MB"),
        (units.milliseconds, "0ms"),
        (units.milliseconds, "-5ms"),
        (units.milliseconds, "five ms"),
        (units.seconds, ""),
        (units.seconds, "30s10m"),
        (units.seconds, "1m1m"),
        (units.seconds, "10m30"),
        (units.seconds, "1e999s"),
        (units.size_bytes, "1.5"),
        (units.size_bytes, "1.5QB"),
        (units.size_bytes, "1ms"),
        (units.size_bytes, "0MB"),
        (units.per_second, "200"),
        (units.per_second, "200/day"),
        (units.numbers, ""),
        (units.numbers, "1,,2"),
        (units.numbers, "nan"),
        (units.counts, "0"),
        (units.counts, "1,-2"),
        (units.counts, "1.5"),
        (units.counts, ""),
        (units.counts, "99999999999999999999"),
        (units.counts, "²"),
    ],
)
def test_refuses_in_one_sentence_that_names_the_option(read: Callable[[str, str], Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text, "--option")
    sentence = str(caught.value)
    assert sentence.startswith("--option: got ")
    assert "\n" not in sentence


def test_says_what_a_bare_number_could_mean() -> None:
    with pytest.raises(UsageError, match=r"could mean 5% or 500%; write --max-drop 5%"):
        units.share("5", "--max-drop")
    with pytest.raises(UsageError, match=r"has no unit; write 5ms, 5s or 5m"):
        units.milliseconds("5", "--max-latency")


@given(amounts)
def test_a_share_is_the_same_with_and_without_percent(amount: float) -> None:
    assert isclose(units.share(f"{amount:.12f}%", "-o"), amount / 100, rel_tol=1e-9)


@given(st.integers(0, 999), st.integers(0, 59), st.integers(0, 59), st.integers(1, 999))
def test_times_add_up(hours: int, minutes: int, seconds: int, millis: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s{millis}ms"
    assert isclose(units.seconds(text, "-o"), hours * 3600 + minutes * 60 + seconds + millis / 1000)


@given(st.integers(1, 10**9), st.sampled_from(["KB", "kB", "kb", "Kb"]))
def test_a_size_does_not_depend_on_capitals(count: int, unit: str) -> None:
    assert units.size_bytes(f"{count}{unit}", "-o") == count * 1000


@given(
    st.text(max_size=12), st.sampled_from([units.share, units.seconds, units.size_bytes, units.per_second])
)
def test_any_text_is_a_number_or_a_usage_error(text: str, read: Callable[[str, str], float]) -> None:
    with contextlib.suppress(UsageError):
        assert 0 <= read(text, "--option") < float("inf")
