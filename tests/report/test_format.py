"""Numbers as people read them: right to the digits shown, in one unit, never misleading."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.report.format import (
    format_bytes,
    format_count,
    format_interval,
    format_ms,
    format_ratio,
    format_seconds,
    format_share,
    plain,
    shorten,
    significant,
)

UNITS = {"µs": 1e-3, "ms": 1.0, "s": 1e3, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15,
         "%": 0.01, "×": 1.0}  # fmt: skip
positive = st.floats(1e-4, 1e7)


def read(text: str) -> float:
    """The number that a reader takes from a formatted figure."""
    match = re.fullmatch(r"([<>]?)(−?)([\d.]+) ?(\D*)", text)
    assert match, text
    return float(match[3]) * UNITS[match[4]] * (-1 if match[2] else 1)


@pytest.mark.parametrize(
    "value,text",
    [(0, "0 ms"), (0.02, "0.0200 ms"), (0.0784, "0.0784 ms"), (0.008, "8.00 µs"), (7.5, "7.50 ms"),
     (999.6, "1.00 s"), (12_000, "12.0 s"), (math.nan, "–"), (None, "–"), (math.inf, "∞")],
)  # fmt: skip
def test_ms(value: float | None, text: str) -> None:
    assert format_ms(value) == text


@pytest.mark.parametrize(
    "value,text",
    [(0, "0 B"), (512, "512 B"), (999, "999 B"), (999_600, "1.00 MB"), (31_248, "31.2 kB"),
     (13_986_000, "14.0 MB"), (None, "–")],
)  # fmt: skip
def test_bytes(value: float | None, text: str) -> None:
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    "value,text",
    [(0.0, "0 %"), (1.0, "100 %"), (0.0083, "0.83 %"), (0.01, "1 %"), (0.123, "12.3 %"), (0.992, "99.2 %"),
     (0.9996, "99.96 %"), (0.99999999, ">99.999 %"), (1e-9, "<0.001 %"), (-0.005, "−0.5 %"),
     (-1e-9, ">−0.001 %"), (20.0, "2000 %"), (math.nan, "–")],
)  # fmt: skip
def test_share(value: float, text: str) -> None:
    assert format_share(value) == text


@pytest.mark.parametrize(
    "value,text",
    [(4.312, "4.31×"), (0.87, "0.87×"), (0.031, "0.031×"), (9.999, "10.0×"), (12.71, "12.7×"), (0, "0×")],
)
def test_ratio(value: float, text: str) -> None:
    assert format_ratio(value) == text


def test_a_short_ratio_near_one_keeps_its_decimals() -> None:
    assert format_ratio(1.04, 2) == "1.04×"
    assert format_ratio(4.31, 2) == "4.3×"


@pytest.mark.parametrize(
    "value,text",
    [(0.04, "0.04 s"), (2.34, "2.3 s"), (9.97, "10 s"), (59.7, "1 min 00 s"), (582, "9 min 42 s"),
     (7500, "2 h 05 min")],
)  # fmt: skip
def test_seconds(value: float, text: str) -> None:
    assert format_seconds(value) == text


def test_counts() -> None:
    assert [format_count(v) for v in (0, 860, 3_487_816, 300_774_272)] == ["0", "860", "3.49 M", "301 M"]


def test_intervals_tell_a_common_unit_once() -> None:
    assert format_interval("0.2 %", "1.9 %") == "0.2 – 1.9 %"
    assert format_interval("900 kB", "1.10 MB") == "900 kB – 1.10 MB"


@given(positive)
def test_what_is_read_is_what_was_measured(value: float) -> None:
    assert read(format_ms(value)) == pytest.approx(value, rel=0.00501)
    # Ratios have two significant digits below 1, three above.
    assert read(format_ratio(value)) == pytest.approx(value, rel=0.0501 if value < 1 else 0.00501)


@given(st.integers(0, 10**17))
def test_bytes_read_back(value: int) -> None:
    assert read(format_bytes(value)) == pytest.approx(value, rel=0.00501)


@given(st.floats(-3, 3))
def test_shares_read_back_and_only_exact_ones_are_round(value: float) -> None:
    text = format_share(value)
    assert (text == "0 %") == (value == 0)
    if abs(value) < 1:
        assert text not in ("100 %", "−100 %")
    if text[0] not in "<>":
        # Two significant digits below 10 %, one decimal above.
        assert read(text) == pytest.approx(value, rel=0.0501, abs=0.0000051)


@given(positive, positive)
def test_order_is_kept(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert read(format_ms(low)) <= read(format_ms(high)) * 1.0000001
    assert read(format_ratio(low)) <= read(format_ratio(high))


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_any_float_is_one_short_figure(value: float) -> None:
    for text in (format_ms(value), format_share(value), format_ratio(value), format_bytes(value)):
        assert text
        assert "e" not in text.lower()
        assert "nan" not in text
        assert "-" not in text
    if math.isfinite(value) and 1e-6 < abs(value) < 1e6:
        assert len(format_ms(value)) <= 11


@given(st.floats(1e-9, 1e9), st.integers(1, 6))
def test_significant_digits(value: float, digits: int) -> None:
    assert float(significant(value, digits)) == pytest.approx(value, rel=0.51 * 10 ** (1 - digits))


@given(st.text())
def test_plain_text_has_no_controls_and_can_be_encoded(text: str) -> None:
    clean = plain(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", clean)
    clean.encode("utf-8")
    assert plain(clean) == clean


@given(st.text(), st.integers(2, 40))
def test_shortened_names_keep_both_ends(text: str, length: int) -> None:
    short = shorten(text, length)
    assert len(short) <= max(length, 0)
    assert short == text or (short[0] in (text[0], "…") and short[-1] in (text[-1], "…"))
