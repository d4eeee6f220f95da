"""Answers in words: shares, bars, numbers, places."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.tasks.task import Outputs

Floats = npt.NDArray[np.float64]
_FAR = 1e12
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def output_at(outputs: Outputs, position: int) -> Floats:
    """Returns: one output as real numbers; NaN counts as zero, and nothing lies beyond ±10¹².

    Raises:
        UsageError: there is no such output, or it holds no numbers.
    """
    if not 0 <= position < len(outputs):
        raise UsageError(f"there is no output {position}, the model has {len(outputs)}", where="output")
    values = np.asarray(outputs[position])
    if values.dtype.kind not in "biuf" or not values.size:
        raise UsageError(f"output {position} holds no numbers", where="output")
    # No real answer comes near the bound, and squares and sums of what a broken model gives stay finite.
    return np.clip(np.nan_to_num(np.asarray(values, np.float64)), -_FAR, _FAR)


def share(value: float) -> str:
    """Returns: ``87 %``, ``0.4 %``, never 100 % for less, nor 0 % for more than nothing."""
    percent = 100 * value
    if value in (0, 1):
        return f"{percent:.0f} %"
    if percent >= 99.95 and value < 1:
        return ">99.9 %"
    if 0 < percent < 0.05:
        return "<0.1 %"
    return f"{percent:.1f} %" if 0 < percent < 10 or percent > 99 else f"{percent:.0f} %"


def bar(value: float, width: int = 20) -> str:
    """Returns: a bar of block characters, in eighths of a column."""
    eighths = round(min(max(value, 0.0), 1.0) * width * 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def bars(rows: Sequence[tuple[str, float]], width: int = 20) -> list[str]:
    """Returns: a line per name and share: name, share, bar."""
    longest = min(max((len(name) for name, _ in rows), default=0), 48)
    return [f"{name.ljust(longest)}  {share(value):>7}  {bar(value, width)}".rstrip() for name, value in rows]


def several(count: int, noun: str, plural: str = "") -> str:
    """Returns: ``1 box``, ``2 boxes``."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def strict_json(value: Any) -> Any:
    """Returns: the same without numbers that JSON does not know: NaN and infinities become null."""
    if isinstance(value, Mapping):
        return {str(name): strict_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [strict_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
