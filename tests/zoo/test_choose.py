"""Which model to take, and why: pure decisions on made-up figures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.zoo.card import Quality
from sanderling.zoo.choose import Limits, Measured, choose, judge, nearest


def row(name: str = "a", p50: float | None = 1.0, **fields: object) -> Measured:
    values: dict[str, object] = {
        "name": name, "subject": "birds", "size_bytes": 1000, "input_shape": (1, 64, 32, 3), "p50": p50,
        "p90": p50, "p50_ci95": None if p50 is None else (p50 * 0.98, p50 * 1.02), "verdict": "fits",
    }  # fmt: skip
    return Measured(**(values | fields))  # type: ignore[arg-type]


def quality(value: float, metric: str = "accuracy on birds") -> Quality:
    return Quality(metric, value, f"{value:.0%} right", "somewhere")


@pytest.mark.parametrize(
    "limits, reason",
    [
        (Limits(), ""),
        (Limits(max_latency_ms=1.1), ""),
        (Limits(max_latency_ms=0.9), "too slow: 1 ms, at most 0.9 ms is allowed"),
        (Limits(max_latency_ms=1.01), "too close to tell: 1 ms, up to 1.02 ms, at most 1.01 ms is allowed"),
        (Limits(max_size_bytes=999), "too large: 1,000 bytes, at most 999 are allowed"),
        (Limits(input_size=33), "too coarse: it sees 32 pixels, at least 33 are asked for"),
        (Limits(input_size=32), ""),
    ],
)
def test_a_limit_that_is_missed_is_named(limits: Limits, reason: str) -> None:
    assert judge(row(), limits) == reason


@pytest.mark.parametrize(
    "shape, fits", [((1, 3, 48, 192), False), ((1, 3, 64, 64), True), ((1, -1, -1, 3), True), ((1, 44), True)]
)
def test_the_side_of_a_picture(shape: tuple[int, ...], fits: bool) -> None:
    assert (judge(row(input_shape=shape), Limits(input_size=49)) == "") is fits


def test_models_about_different_things_are_no_alternatives() -> None:
    found = choose([row("a"), row("b", subject="fish", p50=9.0)], Limits())
    assert [(each.subject, each.name, each.reason) for each in found] == [
        ("birds", "a", "the only one there is"),
        ("fish", "b", "the only one there is"),
    ]
    assert choose([row("a")], Limits(max_latency_ms=5))[0].reason == "the only one that fits"


def test_a_published_figure_decides_where_all_have_one_measured_alike() -> None:
    rows = [row("fast", 1.0, quality=quality(0.8)), row("good", 5.0, quality=quality(0.9))]
    [found] = choose(rows, Limits(max_latency_ms=10))
    assert found.name == "good"
    assert "best published figure of 2 that fit: 90% right" in found.reason
    for other in (quality(0.9, "accuracy on fish"), None):
        [found] = choose([rows[0], replace(rows[1], quality=other)], Limits(max_latency_ms=10))
        assert found.name == "fast"
        assert "the fastest of 2 that fit; no published figure compares it with good" in found.reason


def test_among_equals_the_smallest_wins() -> None:
    [found] = choose([row("a", 1.0), row("b", 1.02, size_bytes=10), row("c", 2.0, size_bytes=1)], Limits())
    assert found.name == "b"
    assert found.reason.startswith("the smallest of the fastest of 3")


@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 100), st.integers(1, 10**7), st.sampled_from(["birds", "fish"]),
            st.sampled_from(["fits", "no", "failed", "skipped"]),
        ),
        max_size=8,
    )
)  # fmt: skip
def test_only_what_fits_is_chosen_and_never_a_slower_and_larger_one(
    drawn: list[tuple[float, int, str, str]],
) -> None:
    rows = [
        row(f"m{i}", p50, size_bytes=size, subject=subject, verdict=verdict)
        for i, (p50, size, subject, verdict) in enumerate(drawn)
    ]
    for choice in choose(rows, Limits()):
        [chosen] = [each for each in rows if each.name == choice.name]
        assert chosen.verdict == "fits"
        assert chosen.subject == choice.subject
        rivals = [each for each in rows if each.verdict == "fits" and each.subject == chosen.subject]
        assert not any(
            each.p50 * 1.03 < chosen.p50 and each.size_bytes < chosen.size_bytes  # type: ignore[operator]
            for each in rivals
        )


def test_the_nearest_is_the_one_that_misses_least() -> None:
    limits = Limits(max_latency_ms=1.0, max_size_bytes=1000)
    rows = [
        row("large", 0.5, size_bytes=5000, verdict="skipped", reason="too large"),
        row("slow", 1.5, verdict="no", reason="too slow"),
        row("slower", None, expected=30.0, verdict="skipped", reason="far too slow"),
        row("broken", None, verdict="failed", reason="no"),
    ]
    assert nearest(rows, limits) == "slow comes nearest (too slow)"
    assert nearest(rows[2:], limits) == "slower comes nearest (far too slow)"
    assert nearest(rows[3:], limits) == ""
