"""How many samples the time allows for choosing and for confirming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sanderling.samples.samples import Samples, Split
from sanderling.search.clock import Clock
from sanderling.search.study import Study
from sanderling.search.subject import Subject

# Shares of the whole time that comparing one candidate may take while choosing, and while confirming.
SEARCH_SHARE, CONFIRM_SHARE = 0.03, 0.05
LEAST_SEARCH, LEAST_CONFIRM = 24, 60
# With very little time there are fewer still: these, and what fits into these shares of it.
SCARCE, SCARCE_SEARCH_SHARE = 8, 0.1
# Reading the winner's answers again for the examples, and writing the report.
CLOSING_SECONDS = 2.0
MOST_RESERVE = 0.35

Sizes = tuple[int, int]


def affordable(split: Split, seconds_per_sample: float, seconds: float | None) -> Sizes:
    """Returns: how many samples to search on and to confirm on, at most as many as there are."""
    most = len(split.search), len(split.confirm)
    if seconds is None:
        return most
    per_sample = max(seconds_per_sample, 1e-6)
    search = max(LEAST_SEARCH, int(SEARCH_SHARE * seconds / per_sample))
    confirm = max(LEAST_CONFIRM, int(CONFIRM_SHARE * seconds / per_sample))
    fits = MOST_RESERVE * seconds - closing(seconds)
    search = min(search, max(SCARCE, int(SCARCE_SEARCH_SHARE * seconds / per_sample)))
    confirm = min(confirm, max(SCARCE, int(fits / (2 * per_sample))))
    return min(most[0], search), min(most[1], confirm)


def closing(seconds: float | None) -> float:
    """Returns: seconds to keep for the examples and the report."""
    return 0.0 if seconds is None else min(CLOSING_SECONDS, 0.1 * seconds)


def reserve(sizes: Sizes, seconds_per_sample: float, seconds: float | None) -> float:
    """Returns: seconds to keep for confirming: the original, and a second candidate if the first falls."""
    if seconds is None:
        return 0.0
    return min(MOST_RESERVE * seconds, closing(seconds) + 3 * sizes[1] * seconds_per_sample)


def settle(
    subjects: Sequence[Subject], study: Study, clock: Clock, seconds_per_sample: float
) -> tuple[tuple[Subject, ...], str]:
    """Cuts every model's samples to what the time allows, and sets the clock's reserve.

    A resumed study keeps the sizes that it began with: its trials would not count otherwise.

    Returns: the models with their samples, and a note ("" when nothing was cut).
    """
    split = subjects[0].split
    known = study.recall("sizes")
    sizes = affordable(split, seconds_per_sample, clock.seconds) if known is None else (known[0], known[1])
    if known is None:
        study.remember("sizes", list(sizes))
    clock.reserve = reserve(sizes, seconds_per_sample, clock.seconds)
    most = len(split.search), len(split.confirm)
    if sizes == most:
        return tuple(subjects), ""
    cut = tuple(replace(subject, split=_cut(subject.split, sizes)) for subject in subjects)
    used = f"{sizes[0]} of {most[0]} samples for choosing and {sizes[1]} of {most[1]} for confirming"
    note = f"to keep to the time, {used} are used"
    return cut, note


def _cut(split: Split, sizes: Sizes) -> Split:
    return replace(split, search=_spread(split.search, sizes[0]), confirm=_spread(split.confirm, sizes[1]))


def _spread(samples: Samples, count: int) -> Samples:
    if count >= len(samples):
        return samples
    if samples.sequential:
        return samples.first(count)
    return samples.take([int(p) for p in np.linspace(0, len(samples) - 1, count).round()])
