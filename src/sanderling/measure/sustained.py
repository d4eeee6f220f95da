"""How a model's speed changes while it runs for minutes: processors that get hot lower their clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sanderling.measure.steady import Window
from sanderling.timing.median import median_interval

_WINDOWS = 100  # at least so many where calls are short enough: a tenth of them is compared with a tenth
_LONGEST = 1.0  # seconds of a window


@dataclass(frozen=True, slots=True)
class Sustained:
    """Minutes of continuous running.

    Attributes:
        seconds: how long.
        calls: how many.
        windows: one after the other.
        slowdown: p50 of the last tenth / that of the first: 1.2 is 20 % slower.
        ci95: its 95 % interval; infinite where there are too few windows for one.
    """

    seconds: float
    calls: int
    windows: tuple[Window, ...]
    slowdown: float
    ci95: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values, infinite bounds as null."""
        low, high = self.ci95
        return {
            "seconds": self.seconds,
            "calls": self.calls,
            "slowdown": self.slowdown,
            "ci95": [low if math.isfinite(low) else None, high if math.isfinite(high) else None],
            "windows": [window.to_json() for window in self.windows],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Sustained:
        """Reads what ``to_json`` wrote."""
        low, high = value["ci95"]
        windows = tuple(Window.from_json(window) for window in value["windows"])
        bounds = (0.0 if low is None else low, math.inf if high is None else high)
        return cls(value["seconds"], value["calls"], windows, value["slowdown"], bounds)


def window_seconds(seconds: float) -> float:
    """Returns: how long a window is, of a run of so many seconds."""
    return min(_LONGEST, seconds / _WINDOWS)


def throttling(windows: Sequence[Window], seconds: float) -> Sustained:
    """Compares the last tenth of a run with its first.

    The interval is that of the two medians taken together, so it is rather too wide than too narrow.

    Args:
        windows: of the whole run, at least one.
        seconds: how long it was.
    """
    calls = sum(window.calls for window in windows)
    windows = _whole(windows)
    count = max(1, len(windows) // 10)
    first, last = (_log_p50(part) for part in (windows[:count], windows[-count:]))
    slowdown, low, high = last[1] - first[1], last[0] - first[2], last[2] - first[0]
    return Sustained(seconds, calls, tuple(windows), math.exp(slowdown), (math.exp(low), math.exp(high)))


def _whole(windows: Sequence[Window]) -> Sequence[Window]:
    """Returns: the windows without a last one that time cut short: a call or two say nothing."""
    if len(windows) < 3:
        return windows
    lengths = [b.at - a.at for a, b in pairwise(windows[-3:])]
    return windows[:-1] if lengths[1] < lengths[0] / 2 else windows


def _log_p50(windows: Sequence[Window]) -> tuple[float, float, float]:
    return median_interval(np.log([window.p50 for window in windows]))
