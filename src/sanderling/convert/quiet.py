"""Keeps what other people's converters print off the user's terminal."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def quiet() -> Iterator[IO[bytes]]:
    """Sends to a file what compiled code writes to the process's output, and mutes logging and warnings.

    Output is a property of the whole process, so this is for as short as can be. What other threads print in
    Python still reaches the terminal, so that progress can be shown meanwhile.

    Yields: the file, for whoever wants to look what was said.
    """
    before = logging.root.manager.disable
    with tempfile.TemporaryFile() as said, warnings.catch_warnings(), _moved(1, said), _moved(2, said):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield said
        finally:
            logging.disable(before)


@contextmanager
def _moved(descriptor: int, target: IO[bytes]) -> Iterator[None]:
    """Points a descriptor elsewhere; Python's stream goes on writing where it did for all other threads."""
    name = {1: "stdout", 2: "stderr"}[descriptor]
    stream = getattr(sys, name)
    try:
        kept = os.dup(descriptor)
    except OSError:  # a process without a terminal, such as a service
        yield
        return
    twin = _Twin(stream, descriptor, kept) if _writes_to(stream, descriptor) else None
    if twin is not None:
        stream.flush()
        setattr(sys, name, twin)
    os.dup2(target.fileno(), descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        if twin is not None:
            twin.kept = -1
            setattr(sys, name, stream)
        os.close(kept)


class _Twin(io.TextIOBase):
    """Stands for a stream while its descriptor points elsewhere; whoever keeps it gets the stream later."""

    def __init__(self, stream: io.TextIOWrapper, descriptor: int, kept: int) -> None:
        self.stream, self.descriptor, self.kept = stream, descriptor, kept
        self.muted = threading.get_ident()

    def write(self, text: str) -> int:
        if self.kept < 0:
            return self.stream.write(text)
        target = self.descriptor if threading.get_ident() == self.muted else self.kept
        rest = memoryview(text.encode(self.stream.encoding, self.stream.errors or "strict"))
        while rest:
            rest = rest[os.write(target, rest) :]
        return len(text)

    def flush(self) -> None:
        if self.kept < 0:
            self.stream.flush()

    def fileno(self) -> int:
        return self.stream.fileno() if self.kept < 0 else self.kept

    def isatty(self) -> bool:
        return self.stream.isatty()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding


def _writes_to(stream: object, descriptor: int) -> bool:
    """Returns: whether a stream is the plain one of a descriptor, and not one that a test put there."""
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == descriptor
    except (OSError, ValueError):
        return False
