"""Answers samples on a cluster: the model and the samples travel, the folder stays."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sanderling.cluster.blocks import Work, done_on_cluster
from sanderling.errors import RunError, UsageError
from sanderling.pipeline.items import Port
from sanderling.pipeline.machine import Machine
from sanderling.pipeline.pipeline import Pipeline
from sanderling.predict.answering import Answering
from sanderling.predict.listing import Listing, list_samples
from sanderling.predict.packed import Unpacked, pack
from sanderling.predict.parts import part_of
from sanderling.runtime.loading import read_model
from sanderling.samples.inputs import Input
from sanderling.tasks.input_kind import find_kind
from sanderling.tasks.inputs.text import TextInput
from sanderling.tasks.spec import TaskSpec, from_json

_LARGEST, _SHARE = 64, 4  # samples of a block; blocks for each worker, so that none waits long for the last
_BYTES = 32 << 20  # of a block's files
_TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class ReadJob:
    """What is read.

    Attributes:
        given: see ``list_samples``.
        model: a model's file.
        ports: the inputs that are asked for, each with its kind's name.
        identity: of the listing.
    """

    given: Any
    model: Path
    ports: tuple[tuple[Input, str], ...]
    identity: str


class Reader:
    """Reads blocks of a folder."""

    def __init__(self, job: ReadJob) -> None:
        ports = [Port(spec, find_kind(kind)) for spec, kind in job.ports]
        self._listing = list_samples(job.given, ports, read_model(job.model))
        if self._listing.identity() != job.identity:
            raise RunError("the samples have changed meanwhile", where=str(job.given))

    def __call__(self, first: int, last: int) -> bytes:
        return pack(self._listing, first, last)


@dataclass(frozen=True, slots=True)
class AnswerJob:
    """What answers.

    Attributes:
        files: the model's by their names; the first one is what is loaded.
        engine, precision: what runs it.
        task: the settled task, as JSON; None where no sample could be read.
        tokenizer: the content of a ``tokenizer.json``, b"" for none.
        fixed: see ``columns.table_of``.
    """

    files: dict[str, bytes]
    engine: str
    precision: str
    task: Any
    tokenizer: bytes
    fixed: bool


class Answerer:
    """Answers blocks, one sample after the other: there is one of them for each processor."""

    def __init__(self, job: AnswerJob) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sanderling-")
        paths = [Path(self._folder.name) / name for name in job.files]
        for path, content in zip(paths, job.files.values(), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        spec = TaskSpec() if job.task is None else from_json(job.task, "the task")
        if job.tokenizer:
            tokenizer = paths[0].with_name(_TOKENIZER)
            tokenizer.write_bytes(job.tokenizer)
            spec = _with_tokenizer(spec, str(tokenizer))
        self._pipeline = Pipeline(Machine(paths[0], job.engine, 1, job.precision), spec)
        if job.task is not None:
            self._pipeline.adopt(spec)
        self._fixed = job.fixed

    def __call__(self, content: bytes) -> bytes:
        listing = Unpacked(content, self._pipeline.asked_for)
        rows = list(Answering(self._pipeline, listing, 1).one_by_one(listing.indices))
        return part_of(rows, fixed=self._fixed)


def _with_tokenizer(spec: TaskSpec, tokenizer: str) -> TaskSpec:
    inputs = (
        replace(each, tokenizer=tokenizer) if isinstance(each, TextInput) else each for each in spec.inputs
    )
    return replace(spec, inputs=tuple(inputs))


def answered_on_cluster(
    address: str,
    pipeline: Pipeline,
    given: Any,
    listing: Listing,
    missing: Sequence[tuple[int, int]],
    *,
    fixed: bool,
    joined: Callable[[str], None],
) -> Iterator[tuple[int, int, bytes]]:
    """Answers stretches of samples on a cluster.

    Args:
        address: of the cluster.
        pipeline: settled.
        given: what the listing is of.
        missing: first and last of each stretch.
        fixed: see ``columns.table_of``.
        joined: is called with a few words on the cluster.

    Yields: finished parts: first, last, content.

    Raises:
        UsageError: the task needs what is not sent.
        RunError: no node could answer.
    """
    spec, machine = pipeline.spec, pipeline.machine
    if spec.name == "custom" or pipeline.cropper is not None:
        what = "a function of your own" if spec.name == "custom" else "a detector that looks first"
        raise UsageError(f"{what} is not sent to other machines", where="--cluster", hint="leave it out")
    ports = tuple((port.spec, port.kind.name) for port in pipeline.asked_for)
    where = Path(given).absolute() if isinstance(given, str | Path) else given
    reads = ReadJob(where, machine.files[-1].absolute(), ports, listing.identity())
    does = AnswerJob(
        _files(machine.files), machine.engine_again, machine.precision,
        None if pipeline.settled is None else spec.to_json(), _tokenizer(spec), fixed,
    )  # fmt: skip
    work = Work(Reader, reads, Answerer, does)

    def blocks(workers: int) -> list[tuple[int, int]]:
        return in_blocks(listing, missing, workers)

    return done_on_cluster(address, "predict --cluster", blocks, work, joined)


def _files(paths: Sequence[Path]) -> dict[str, bytes]:
    """Returns: contents by name, relative to the first file's folder, in which they all lie."""
    folder = paths[0].parent.resolve()
    named = ((path.parent.resolve() / path.name, path) for path in paths)
    return {whole.relative_to(folder).as_posix(): path.read_bytes() for whole, path in named}


def _tokenizer(spec: TaskSpec) -> bytes:
    found = (each.tokenizer for each in spec.inputs if isinstance(each, TextInput) and each.tokenizer)
    path = next(found, None)
    return b"" if path is None else Path(path).read_bytes()


def in_blocks(listing: Listing, missing: Sequence[tuple[int, int]], workers: int) -> list[tuple[int, int]]:
    """Cuts stretches of samples into blocks.

    Returns: first and last sample of each block.
    """
    count = sum(last + 1 - first for first, last in missing)
    most = max(1, min(_LARGEST, count // (_SHARE * workers)))
    found: list[tuple[int, int]] = []
    for first, last in missing:
        start, size = first, 0
        for index in range(first, last + 1):
            own = _size(listing, index)
            if index > start and (index - start >= most or size + own > _BYTES):
                found.append((start, index - 1))
                start, size = index, 0
            size += own
        found.append((start, last))
    return found


def _size(listing: Listing, index: int) -> int:
    path = listing.file(index)
    try:
        return 0 if path is None else path.stat().st_size
    except OSError:
        return 0  # its row will say why
