"""One model that takes part in a search, with the samples as it wants them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from sanderling.analysis.summary import Summary
from sanderling.graph.graph import Model
from sanderling.samples.samples import Feed, Samples, Split


@dataclass(frozen=True, slots=True)
class Subject:
    """A model and what is known of it before anything is measured.

    Attributes:
        path: its file.
        model: what is in it, verified.
        hash: SHA-256 of the file.
        summary: parameters, operators, element types.
        split: the samples, in its own input shapes; the same samples in every subject of a search.
        name: for tables, and different from that of every other subject of a search.
    """

    path: Path
    model: Model
    hash: str
    summary: Summary
    split: Split
    name: str


def by_turns(subjects: Iterable[Subject]) -> tuple[Subject, ...]:
    """Returns: models whose samples are read by one thread at a time: neither archives nor a user's own code
    need bear more."""
    lock = threading.RLock()

    def turned(samples: Samples) -> Samples:
        read = samples.read

        def one_at_a_time(index: int) -> Feed:
            with lock:
                return read(index)

        return replace(samples, read=one_at_a_time)

    return tuple(
        replace(
            subject,
            split=replace(
                subject.split,
                calibrate=turned(subject.split.calibrate),
                search=turned(subject.split.search),
                confirm=turned(subject.split.confirm),
            ),
        )
        for subject in subjects
    )
