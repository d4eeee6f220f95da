"""One model that takes part in a search, with the samples as it wants them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sanderling.analysis.summary import Summary
from sanderling.graph.graph import Model
from sanderling.samples.samples import Split


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
