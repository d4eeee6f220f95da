"""Numbers and names as people read them, in the page and in the terminal.

Every function takes any float: NaN (not measured) becomes an en dash, infinity its sign. Units are SI:
1 kB is 1000 bytes.
"""

from __future__ import annotations

import re
from math import floor, isfinite, isinf, isnan, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sanderling.measure.sustained import Sustained

MISSING = "–"
_MINUS = "−"
# C0 and C1 controls (which hold terminal escapes), bidirectional overrides (which make a name read as
# another one), and lone surrogates (which cannot be encoded as UTF-8).
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def format_ms(milliseconds: float | None, digits: int = 3) -> str:
    """Formats a latency.

    Args:
        milliseconds: ms; None when it was not measured.
        digits: significant digits.

    Returns: e.g. ``7.50 ms``, ``0.0784 ms``, ``8.00 µs`` below 0.01 ms, ``12.0 s`` from one second on.
    """
    odd = _odd(milliseconds)
    if odd is not None or milliseconds is None:
        return odd or MISSING
    rounded = abs(_rounded(milliseconds, digits))
    if rounded >= 1000:
        return f"{significant(milliseconds / 1000, digits)} s"
    if 0 < rounded < 0.01:
        return f"{significant(milliseconds * 1000, digits)} µs"
    return "0 ms" if rounded == 0 else f"{significant(milliseconds, digits)} ms"


def format_bytes(count: float | None, digits: int = 3) -> str:
    """Formats a size: ``512 B``, ``31.2 kB``, ``3.58 MB``; None when it was not measured."""
    return _scaled(count, ("B", "kB", "MB", "GB", "TB", "PB"), digits)


def format_count(count: float | None, digits: int = 3) -> str:
    """Formats a number of things (parameters, MACs): ``860``, ``3.54 M``, ``1.20 G``."""
    return _scaled(count, ("", "k", "M", "G", "T", "P"), digits)


def format_share(share: float | None) -> str:
    """Formats a share of one as a percentage that never rounds to a false 0 % or 100 %.

    Returns: ``0 %`` only for exactly 0, ``0.83 %``, ``12.3 %``, ``99.96 %``, ``100 %`` only for exactly 1;
        ``<0.001 %`` and ``>99.999 %`` for what lies beyond three decimals.
    """
    odd = _odd(share)
    if odd is not None or share is None:
        return odd or MISSING
    percent = abs(share) * 100
    sign = _MINUS if share < 0 else ""
    if percent == 0 or percent == 100:
        return f"{sign}{percent:.0f} %"
    if percent < 0.001:
        return "<0.001 %" if share > 0 else ">−0.001 %"
    if 99.999 < percent < 100:
        return ">99.999 %" if share > 0 else "<−99.999 %"
    if 99 < percent < 100:
        return f"{sign}{_near_hundred(percent)} %"
    decimals = 1 if percent >= 10 else min(3, 1 - floor(log10(percent)))
    text = f"{percent:.{decimals}f}"
    return f"{sign}{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def format_ratio(ratio: float | None, digits: int = 3) -> str:
    """Formats how many times: ``4.31×``, ``0.87×``, ``12.7×``; None when it was not measured.

    Ratios around 1 keep two decimals, so that 1.04 never reads as 1.
    """
    odd = _odd(ratio)
    if odd is not None or ratio is None:
        return odd or MISSING
    if ratio == 0:
        return "0×"
    if 0.1 <= abs(_rounded(ratio, 3)) < (2 if digits < 3 else 10):
        return f"{ratio:.2f}×".replace("-", _MINUS)
    if abs(ratio) < 0.1:
        digits = 2
    return f"{significant(ratio, digits)}×"


def format_joules(joules: float | None, digits: int = 3) -> str:
    """Formats an energy in millijoules, as energy per inference is given: ``12.3 mJ``, ``0.0456 mJ``.

    From 1000 mJ on in joules. Above idle it may be below 0 where running drew no more than the noise.
    """
    odd = _odd(joules)
    if odd is not None or joules is None:
        return odd or MISSING
    if abs(joules) >= 1:
        return f"{significant(joules, digits)} J"
    return f"{significant(joules * 1e3, digits)} mJ"


def format_rate(per_second: float | None) -> str:
    """Formats how often something happens in a second: ``28,470``, ``487``, ``0.83``."""
    odd = _odd(per_second)
    if odd is not None or per_second is None:
        return odd or MISSING
    return f"{per_second:,.0f}" if per_second >= 1000 else significant(per_second)


def slowdown_words(sustained: Sustained | None) -> str:
    """Says how much slower the last tenth of a long run was than the first: ``12 % slower (10 to 14)``.

    Where the interval holds 0 the two are not told apart.
    """
    if sustained is None:
        return MISSING
    low, high = ((bound - 1) * 100 for bound in sustained.ci95)
    change = (sustained.slowdown - 1) * 100
    if not (isfinite(low) and isfinite(high)):
        return f"{abs(change):.1f} % {'slower' if change > 0 else 'faster'} (too few calls for an interval)"
    if low <= 0 <= high:
        return f"as fast ({_MINUS if low < 0 else ''}{abs(low):.1f} to {high:.1f} %)"
    if change < 0:
        low, high = -high, -low
    return f"{abs(change):.1f} % {'slower' if change > 0 else 'faster'} ({low:.1f} to {high:.1f})"


def format_error(error: float | None) -> str:
    """Formats a relative error: ``0`` only for exactly 0, ``3.1e-07``, ``0.012``."""
    odd = _odd(error)
    if odd is not None or error is None:
        return odd or MISSING
    return "0" if error == 0 else f"{error:.2g}"


def format_interval(low: str, high: str) -> str:
    """Joins two formatted figures, telling their common unit once: ``0.2 – 1.9 %``."""
    for unit in (" %", "×", " ms", " MB", " kB"):
        if low.endswith(unit) and high.endswith(unit):
            low = low.removesuffix(unit)
            break
    return f"{low} – {high}"


def format_seconds(seconds: float | None) -> str:
    """Formats how long something took: ``0.4 s``, ``42 s``, ``9 min 42 s``, ``2 h 05 min``."""
    odd = _odd(seconds)
    if odd is not None or seconds is None:
        return odd or MISSING
    if seconds < 0.95:
        return f"{significant(seconds, 1)} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def significant(value: float, digits: int = 3) -> str:
    """Returns: a finite number with this many significant digits, without exponent: ``0.0784``, ``123``."""
    if value == 0:
        return "0"
    # The exponent after rounding, read from the text: 9.999 has that of 10.0.
    decimals = digits - 1 - int(f"{value:.{digits - 1}e}".split("e")[1])
    return f"{value:.{max(0, decimals)}f}".replace("-", _MINUS)


def plain(text: str) -> str:
    """Returns: the text without control characters, so that a name from a file cannot steer a terminal,
    reverse the reading direction or break the encoding; each becomes U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n"))


def shorten(text: str, length: int) -> str:
    """Returns: at most ``length`` characters, with an ellipsis in the middle: the ends of names tell most."""
    if len(text) <= length:
        return text
    tail = (length - 1) * 3 // 5
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def _odd(value: float | None) -> str | None:
    """What to print instead of a number, None when it is one."""
    if value is None or isnan(value):
        return MISSING
    if isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    return None


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")


def _scaled(count: float | None, units: tuple[str, ...], digits: int) -> str:
    odd = _odd(count)
    if odd is not None or count is None:
        return odd or MISSING
    value, power = float(count), 0
    while abs(_rounded(value, digits)) >= 1000 and power < len(units) - 1:
        value /= 1000
        power += 1
    text = f"{value:.0f}".replace("-", _MINUS) if power == 0 else significant(value, digits)
    return f"{text} {units[power]}".rstrip()


def _near_hundred(percent: float) -> str:
    decimals = min(3, max(1, -floor(log10(100 - percent))))
    # Not by rounding: 99.96 must not read 100.
    return f"{floor(percent * 10**decimals + 1e-6) / 10**decimals:.{decimals}f}"
