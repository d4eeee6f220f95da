"""Keeps what other people's converters print off the user's terminal."""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO


@contextmanager
def quiet() -> Iterator[IO[bytes]]:
    """Sends to a file what compiled code writes to the process's output, and mutes logging and warnings.

    Output is a property of the whole process, so this is for as short as can be. Python's own ``sys.stdout``
    and ``sys.stderr`` stay the terminal's, so that progress can be shown meanwhile.

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
    """Points a descriptor elsewhere; the stream of Python that writes to it goes on writing where it did."""
    name = {1: "stdout", 2: "stderr"}[descriptor]
    stream = getattr(sys, name)
    try:
        kept = os.dup(descriptor)
    except OSError:  # a process without a terminal, such as a service
        yield
        return
    with suppress(OSError, ValueError, AttributeError):
        stream.flush()
    own = _writes_to(stream, descriptor)
    if own:
        twin = io.TextIOWrapper(
            os.fdopen(os.dup(kept), "wb", 0), encoding=stream.encoding, errors=stream.errors, write_through=True
        )
        setattr(sys, name, twin)
    os.dup2(target.fileno(), descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        if own:
            setattr(sys, name, stream)
            twin.close()


def _writes_to(stream: object, descriptor: int) -> bool:
    """Returns: whether a stream is the plain one of a descriptor, and not one that a test put there."""
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == descriptor
    except (OSError, ValueError):
        return False
