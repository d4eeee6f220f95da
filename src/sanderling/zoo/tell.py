"""A progress line on stderr for downloads, which any part of the library may start."""

from __future__ import annotations

import sys
import time

_EVERY = 0.2  # seconds


class Line:
    """Tells of downloads: a line that is written over on a terminal, one line each elsewhere."""

    def __init__(self) -> None:
        self._text = ""
        self._told = 0.0
        self._width = 0

    def __call__(self, text: str, done: int, total: int) -> None:
        """Takes what goes on.

        Args:
            text: what it is.
            done, total: bytes; ``total`` is 0 where there is nothing to count.
        """
        live = sys.stderr.isatty()
        size = f"{total / 1e6:.1f} MB" if total else ""
        if not live:
            if text != self._text:
                sys.stderr.write(f"{text}{f' ({size})' if size else ''} …\n")
                sys.stderr.flush()
            self._text = text
            return
        now = time.monotonic()
        if text == self._text and now - self._told < _EVERY and done < total:
            return
        self._text, self._told = text, now
        line = f"{text} … {done / 1e6:.1f} of {size}" if total else f"{text} …"
        sys.stderr.write("\r" + line.ljust(self._width))
        self._width = len(line)
        if total and done >= total:
            sys.stderr.write("\r" + " " * self._width + "\r")
            self._text, self._width = "", 0
        sys.stderr.flush()
