"""Keeps LiteRT's log lines off the user's stderr while a model is loaded, without losing what matters.

LiteRT logs from C++ straight to file descriptor 2, where Python's ``sys.stderr`` cannot intercept it.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_CHATTER = ("INFO:", "VERBOSE:")
# LiteRT puts the next sentence right behind the last word of the one before.
_GLUED = re.compile(r"(?:\.|(?<=[^.]))(?=Node number \d)")
_lock = threading.Lock()  # the descriptor belongs to the whole process


@contextmanager
def captured(*, pass_on: bool = True) -> Iterator[list[str]]:
    """Collects what is written to file descriptor 2 inside the block.

    Lines that are not mere information are written to the real stderr at the end, unless the block
    raises: then the caller puts them into its error.

    Args:
        pass_on: False where the caller asked for the lines and reads them all.

    Yields: a list that holds all captured lines once the block has ended.
    """
    lines: list[str] = []
    with _lock:
        try:
            saved = os.dup(_STDERR)
        except OSError:  # this process has no stderr at all: nothing to keep clean
            yield lines
            return
        with tempfile.TemporaryFile() as sink:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(sink.fileno(), _STDERR)
            failed = True
            try:
                yield lines
                failed = False
            finally:
                os.dup2(saved, _STDERR)
                os.close(saved)
                sink.seek(0)
                lines.extend(sink.read().decode("utf-8", "replace").splitlines())
                if pass_on and not failed:
                    _pass_on(lines)


def _pass_on(lines: list[str]) -> None:
    kept = [line for line in lines if line.strip() and not line.startswith(_CHATTER)]
    if kept:
        os.write(_STDERR, ("\n".join(kept) + "\n").encode())


def cause(error: BaseException, lines: list[str]) -> str:
    """Returns: one line that says why LiteRT failed, without its advice and without repetition."""
    texts = [*str(error).splitlines(), *(line for line in lines if not line.startswith(_CHATTER))]
    told: list[str] = []
    for text in texts:
        line = _GLUED.sub(": ", text.removeprefix("ERROR:").strip()).rstrip(".")
        for advice in ("See instructions:", "Registration failed"):
            line = line.split(advice)[0].strip()
        if line and not any(line in earlier for earlier in told):
            told.append(line)
    return "; ".join(told[:3]) or type(error).__name__
