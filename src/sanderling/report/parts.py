"""The parts of a report, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

from sanderling.measure.results import Latency

Extra = Mapping[str, Any]


class Answer(TypedDict):
    """One sample's outputs as a person reads them.

    ``text`` is one or a few lines; ``picture`` is a PNG or JPEG file's bytes, or None.
    """

    text: str
    picture: bytes | None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that was given.

    Attributes:
        name: for people.
        file: the file's name, without its folder.
        sha256: of the file, in hexadecimal.
        parameters: number of stored weights; None when unknown.
        macs: multiply-accumulates of one call; None when unknown.
        operators: kind of operator → how many.
        extra: anything else worth showing (JSON values).
    """

    name: str
    file: str = ""
    sha256: str = ""
    parameters: int | None = None
    macs: int | None = None
    operators: Mapping[str, int] = field(default_factory=dict, hash=False)
    extra: Extra = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """The machine that the candidates were timed on. ``extra`` holds anything else (JSON values)."""

    name: str
    cpu: str = ""
    cores: int | None = None
    os: str = ""
    extra: Extra = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class SamplesInfo:
    """The samples and the drop that was measured on them.

    Attributes:
        origin: what they are, in words: ``600 images in photos/``.
        count: how many there are in all.
        calibrate, search, confirm: sizes of the three parts.
        task, why, metric: the task's name, how it was decided, its drop in words.
        labels: whether they carry labels.
        synthetic: True for noise made up because no samples were given.
        notes: guesses and warnings that the user must be told.
        fingerprint: hash of the source and of how it was read.
        unused_labels: why the labels take no part in the comparison; "" when they do or there are none.
        confirmed_on: names of the samples of the third part, so that anyone can measure the winner again.
    """

    origin: str
    count: int
    calibrate: int = 0
    search: int = 0
    confirm: int = 0
    task: str = "other"
    why: str = ""
    metric: str = ""
    labels: bool = False
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    unused_labels: str = ""
    confirmed_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """The float original as it was given, on the thread count that candidates are compared at (one, unless
    the user asked for another).

    Attributes:
        size_bytes: of the file.
        latency: of the baseline by itself (its ``speedup`` is 1); None when it could not be timed.
        engine, threads, precision: how it was run.
        peak_memory_bytes: growth of the process while loading and running it; None when not measured.
    """

    size_bytes: int
    latency: Latency | None
    engine: str = "litert"
    threads: int = 1
    precision: str = "float32"
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What quantizing one operator alone does to the answers.

    Attributes:
        operator: the name of its first output tensor.
        kind: ``CONV_2D``.
        drop: how far the answers move when this operator alone is quantized, in terms of ``measure``; NaN
            when it was not measured.
        cost_share: its share of the float model's cost (time, or arithmetic where no time was taken), 0 to
            1; None when unknown.
        ms_saved: milliseconds that quantizing it saves; None when unknown.
        keep_float: the winner (or nearest candidate) keeps it float.
        note: why, in words.
        measure: what ``drop`` is, in words, when it is not the task's drop.
    """

    operator: str
    kind: str
    drop: float
    cost_share: float | None = None
    ms_saved: float | None = None
    keep_float: bool = False
    note: str = ""
    measure: str = "drop"


@dataclass(frozen=True, slots=True)
class Example:
    """One sample with both answers.

    Attributes:
        name: the sample's name for people.
        badness: how far the answers are apart; larger is worse.
        reference: the float original's answer.
        candidate: the winner's (or nearest candidate's) answer.
        thumbnail: PNG bytes of the sample, or None.
    """

    name: str
    badness: float
    reference: Answer
    candidate: Answer
    thumbnail: bytes | None = None


@dataclass(frozen=True, slots=True)
class How:
    """How it was measured.

    Attributes:
        versions: library → version, Sanderling first.
        threads: thread counts that were tried.
        noise: relative spread of repeated measurements of the baseline (0.02 = ±2 %); None when unknown.
        sentences: warm-up, interleaving, isolation: one sentence each.
        notes: what a reader must know before trusting the figures.
    """

    versions: Mapping[str, str] = field(default_factory=dict, hash=False)
    threads: tuple[int, ...] = ()
    noise: float | None = None
    sentences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rung:
    """One rung of the ladder: how many candidates it tried, or why it was skipped ("" when it was not)."""

    name: str
    tried: int = 0
    skipped_reason: str = ""
