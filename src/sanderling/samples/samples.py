"""A user's data, ready to be fed to a model: lazy, sized, splittable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sanderling.errors import SampleError, UnreadableSample
from sanderling.graph.types import Array
from sanderling.samples.normalize import Normalization

Feed = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples for one model.

    Attributes:
        read: index → inputs of one call by input name, in the float model's own shapes (batch 1) and dtypes.
        indices: which samples of the source these are.
        origin: what they are, in words: ``600 images in photos/``.
        notes: guesses that were made and must be told ("no normalisation given: assumed 0..1").
        labels: one per source sample (int class, or any), None when there are none.
        thumbnail: index → PNG bytes of the sample as a person would see it, or None.
        name_of: index → a name for people (file name, row number).
        fingerprint: hash of the source and of how it is read.
        synthetic: True for noise that was made up because no samples were given.
        sequential: samples must be fed in order without resetting state (stateful models).
        normalization: how pixels become inputs, None where the samples are no pixels or go in as they are.
    """

    read: Callable[[int], Feed]
    indices: tuple[int, ...]
    origin: str
    fingerprint: str
    notes: tuple[str, ...] = ()
    labels: Sequence[Any] | None = None
    thumbnail: Callable[[int], bytes | None] = lambda index: None
    name_of: Callable[[int], str] = str
    synthetic: bool = False
    sequential: bool = False
    normalization: Normalization | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Feed:
        try:
            return self.read(self.indices[position])
        except SampleError as error:
            raise UnreadableSample(error.what, where=error.where, hint=error.hint) from error

    def label(self, position: int) -> Any | None:
        """Returns: the label of the sample at ``position``, None without labels."""
        return None if self.labels is None else self.labels[self.indices[position]]

    def take(self, positions: Sequence[int]) -> Samples:
        """Returns: the samples at these positions, in this order."""
        return replace(self, indices=tuple(self.indices[p] for p in positions))

    def first(self, count: int) -> Samples:
        """Returns: at most the first ``count`` samples."""
        return replace(self, indices=self.indices[:count])


@dataclass(frozen=True, slots=True)
class Split:
    """Three parts that never overlap: for calibrating and training, for choosing, for confirming."""

    calibrate: Samples
    search: Samples
    confirm: Samples
    note: str = ""


def split(samples: Samples, *, seed: int = 0) -> Split:
    """Splits samples: a sixth (at most 2,000) to calibrate and train, a third to search, half to confirm.

    With labels each part gets about its share of every class. Sequential samples are cut, not shuffled.
    Fewer than 6 samples cannot be split: all parts are then the same and ``note`` says so.
    """
    count = len(samples)
    if count < 6:
        few = "only 1 sample" if count == 1 else f"only {count} samples"
        note = f"{few}: too few to split, the winner was confirmed on those it was chosen on"
        return Split(samples, samples, samples, note)
    order = _order(samples, seed)
    calibrate = min(2000, max(2, count // 6))
    search = max(2, (count - calibrate) * 2 // 5)
    parts = (order[:calibrate], order[calibrate : calibrate + search], order[calibrate + search :])
    note = "" if count >= 60 else f"only {count} samples: the intervals are wide"
    first, second, third = (samples.take(sorted(part)) for part in parts)
    return Split(first, second, third, note)


def _order(samples: Samples, seed: int) -> list[int]:
    count = len(samples)
    if samples.sequential:
        return list(range(count))
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(count)
    if samples.labels is None:
        return [int(p) for p in shuffled]
    # Interleave the classes: any prefix of the order then holds about its share of each of them.
    seen: dict[str, int] = {}
    ranked: list[tuple[float, int]] = []
    totals: dict[str, int] = {}
    for position in shuffled:
        key = repr(samples.label(int(position)))
        totals[key] = totals.get(key, 0) + 1
    for position in shuffled:
        key = repr(samples.label(int(position)))
        seen[key] = seen.get(key, 0) + 1
        ranked.append(((seen[key] - 0.5 * rng.random()) / totals[key], int(position)))
    return [position for _, position in sorted(ranked)]
