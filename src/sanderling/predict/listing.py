"""What is to be answered: samples in a fixed order, each with a name, opened one by one."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sanderling.errors import SampleError, UsageError
from sanderling.graph.graph import Model
from sanderling.pipeline.items import VIDEOS, Port, opened_file, opened_row
from sanderling.samples.open import Manner, open_arrays, open_path, walk
from sanderling.samples.sentences import read_lines
from sanderling.samples.source import Source, digest, relative

Opened = Mapping[str, Any]


class Listing(Protocol):
    """Samples in order."""

    @property
    def origin(self) -> str:
        """What they are, in words."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided in listing them and must be told."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Returns: the file's path relative to the folder, or the row's number."""

    def text(self, index: int) -> str | None:
        """Returns: the sentence; None of what is none."""

    def open(self, index: int) -> Opened:
        """Returns: the sample by input's name, as the input's kind opens it, or an array.

        Raises:
            SampleError: it cannot be read.
        """

    def file(self, index: int) -> Path | None:
        """Returns: the file that holds this sample and no other; None of rows and sentences."""

    def identity(self) -> str:
        """Returns: the same text as long as names, sizes and dates of change, or contents, stay the same."""


@dataclass(frozen=True, slots=True)
class Files:
    """Files of one kind below a folder."""

    paths: tuple[Path, ...]
    root: Path
    ports: Sequence[Port]
    notes: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        return f"{len(self.paths)} {self.ports[0].kind.what} in {self.root}"

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return printable(relative(self.paths[index], self.root))

    def text(self, index: int) -> str | None:
        return None

    def open(self, index: int) -> Opened:
        return opened_file(regular(self.paths[index]), self.ports)

    def file(self, index: int) -> Path | None:
        return self.paths[index]

    def identity(self) -> str:
        return _identity(self.paths, self.root)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A line of a text file; ``error`` where the file cannot be read."""

    name: str
    text: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Sentences:
    """The lines of text files that are not empty."""

    rows: tuple[Sentence, ...]
    origin: str
    ports: Sequence[Port]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        return self.rows[index].name

    def text(self, index: int) -> str | None:
        return self.rows[index].text

    def open(self, index: int) -> Opened:
        row = self.rows[index]
        if row.error:
            raise SampleError(row.error, where=row.name)
        return {port.spec.name: row.text for port in self.ports}

    def file(self, index: int) -> Path | None:
        return None

    def identity(self) -> str:
        return digest(*(part for row in self.rows for part in (row.name, row.text, row.error)))


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of arrays or of a table, and .npy files of one sample each."""

    source: Source
    ports: Sequence[Port]
    notes: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        return self.source.origin

    def __len__(self) -> int:
        return len(self.source)

    def name(self, index: int) -> str:
        return printable(self.source.file(index))

    def text(self, index: int) -> str | None:
        return None

    def open(self, index: int) -> Opened:
        return opened_row(self.source, index, self.ports)

    def file(self, index: int) -> Path | None:
        return None

    def identity(self) -> str:
        return self.source.identity()


def list_samples(given: Any, ports: Sequence[Port], model: Model) -> Listing:
    """Lists what is to be answered.

    Args:
        given: a folder, a file, arrays in memory (one, or by input's name), or a list of sentences.
        ports: the inputs that are asked for.
        model: what the samples are for.

    Raises:
        SampleError: there is nothing, or nothing that the model takes.
        UsageError: it is a video.
    """
    if not isinstance(given, str | Path):
        return _in_memory(given, ports, model)
    path = Path(given)
    if not path.exists():
        raise SampleError("there is no such file or folder", where=str(path))
    if path.suffix.lower() in VIDEOS and path.is_file():
        raise UsageError(
            "is a video, not a set of samples", where=str(path), hint="answer it with: sanderling run"
        )
    kind = ports[0].kind
    files, root = (walk(path), path) if path.is_dir() else ([path], path.parent)
    chosen = [each for each in files if each.suffix.lower() in kind.suffixes]
    if kind.name == "text" and chosen:
        return _texts(chosen, root, ports, left_out(files, chosen, root))
    if chosen and kind.name != "array":
        if len(ports) != 1:
            names = ", ".join(repr(port.spec.name) for port in ports)
            raise SampleError(
                f"files feed a model with one input, this one has {len(ports)} ({names})", where=str(path),
                hint="give an .npz with one array per input",
            )  # fmt: skip
        return Files(tuple(chosen), root, ports, left_out(files, chosen, root))
    opened = open_path(path, [port.spec for port in ports], Manner(model))
    return Rows(opened.source, ports, opened.notes)


def _in_memory(given: Any, ports: Sequence[Port], model: Model) -> Listing:
    several = isinstance(given, list | tuple) and given and all(isinstance(each, str) for each in given)
    if several and ports[0].kind.name == "text":
        rows = tuple(Sentence(str(number), text) for number, text in enumerate(given))
        return Sentences(rows, f"{len(rows)} sentences", ports)
    opened = open_arrays(given, [port.spec for port in ports], Manner(model))
    return Rows(opened.source, ports, opened.notes)


def _texts(paths: Sequence[Path], root: Path, ports: Sequence[Port], notes: tuple[str, ...]) -> Sentences:
    rows: list[Sentence] = []
    for path in paths:
        name = printable(relative(path, root))
        try:
            lines = read_lines(regular(path))
        except SampleError as error:
            if len(paths) == 1:
                raise
            rows.append(Sentence(name, error=error.what))
            continue
        named = (str(n) if len(paths) == 1 else f"{name}[{n}]" for n in range(len(lines)))
        rows += [Sentence(each, line) for each, line in zip(named, lines, strict=True)]
    where = paths[0].name if len(paths) == 1 else f"{len(paths)} files in {root}"
    return Sentences(tuple(rows), f"{len(rows)} sentences of {where}", ports, notes)


def left_out(files: Sequence[Path], chosen: Sequence[Path], root: Path) -> tuple[str, ...]:
    """Returns: a note on files of other kinds."""
    left = len(files) - len(chosen)
    return (f"{left} files of other kinds in {root} left out",) if left else ()


def regular(path: Path) -> Path:
    """Returns: the path, which is that of a file: a pipe or a device might never end.

    Raises:
        SampleError: it is something else, or is not there.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SampleError(f"cannot be read ({error.strerror or error})", where=str(path)) from None
    if not stat.S_ISREG(mode):
        raise SampleError("is no regular file", where=str(path))
    return path


def printable(name: str) -> str:
    """Returns: a file's name as text; bytes of it that are no UTF-8 as ``\\xNN``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _identity(paths: Sequence[Path], root: Path) -> str:
    parts = []
    for path in paths:
        try:
            status = path.stat()
            parts.append(f"{relative(path, root)}|{status.st_size}|{status.st_mtime_ns}")
        except OSError as error:  # a link to nowhere: a row of the table with its error
            parts.append(f"{relative(path, root)}|{error.errno}")
    return digest(*(os.fsencode(part) for part in parts))
