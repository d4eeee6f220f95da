"""A meter that is a program: it prints watts, a number a line, for as long as it runs."""

from __future__ import annotations

import math
import os
import re
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from typing import IO, Self

from sanderling.errors import MeterError, UsageError

_PATIENCE = 5.0  # seconds until the first number, and without any further one
_LINE = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*w?(?:atts?)?\s*", re.IGNORECASE)
_LONGEST = 4096  # characters of a line that are looked at
_WHERE = "--power-meter"


class PowerMeter:
    """Runs a program and integrates what it prints over time.

    Between two numbers the power is taken to change evenly, after the last one to stay.

    Args:
        command: as for a shell without its operators: ``python3 read_plug.py --address 10.0.0.7``.
        patience: seconds without a number after which it is given up.

    Raises:
        UsageError: the command is empty, or has an open quotation mark.
        MeterError: it cannot be started, or does not print a number at first.
    """

    counts_cpu = True

    def __init__(self, command: str, patience: float = _PATIENCE) -> None:
        self._patience = patience
        words = _words(command)
        self.name = f"power meter: {command if len(command) <= 60 else words[0]}"
        self._joules = self._watts = self._at = 0.0
        self._problem = ""
        self._ready = threading.Event()
        self._lock = threading.Lock()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                errors="replace",
                bufsize=1,
                start_new_session=True,  # so that all it starts can be ended with it
            )
        except (OSError, ValueError) as error:
            self._log.close()
            why = getattr(error, "strerror", None) or error
            raise MeterError(f"{words[0]!r} cannot be started ({why})", where=_WHERE) from None
        self._thread = threading.Thread(target=self._listen, daemon=True, name="power meter")
        self._thread.start()
        try:
            if not self._ready.wait(patience):
                raise self._error(f"printed nothing within {patience:g} s")
            self.joules()
        except BaseException:
            self.close()
            raise

    def joules(self) -> float:
        """Returns: joules since its first number.

        Raises:
            MeterError: it ended, printed something else than a number, or nothing for too long.
        """
        with self._lock:
            if self._problem:
                raise self._error(self._problem)
            silent = time.monotonic() - self._at
            if silent > self._patience:
                raise self._error(f"has printed nothing for {silent:.0f} s")
            return self._joules + self._watts * silent

    def close(self) -> None:
        """Ends the program and all that it started."""
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        self._thread.join(1.0)
        if self._process.stdout is not None and not self._thread.is_alive():
            self._process.stdout.close()
        self._log.close()

    def _listen(self) -> None:
        output = self._process.stdout
        assert output is not None
        while line := output.readline(_LONGEST):
            if line.strip():
                self._take(line)
                self._ready.set()
            if self._problem:
                return
        code = self._process.wait()
        with self._lock:
            self._problem = self._problem or f"ended by itself, with exit code {code}"
        self._ready.set()

    def _take(self, line: str) -> None:
        now = time.monotonic()
        match = _LINE.fullmatch(line)
        with self._lock:
            watts = float(match[1]) if match else math.nan
            if not (math.isfinite(watts) and watts >= 0):
                self._problem = f"printed {line.strip()[:60]!r}, expected a number of watts a line"
                return
            if self._at:
                self._joules += (self._watts + watts) / 2 * (now - self._at)
            self._watts, self._at = watts, now

    def _error(self, what: str) -> MeterError:
        last = ""
        if not self._log.closed:
            self._log.seek(0)
            lines = self._log.read(64 * 1024).decode("utf-8", "replace").strip().splitlines()
            last = f" (its last words: {lines[-1][:200]})" if lines else ""
        return MeterError(
            f"the power meter {what}{last}",
            where=_WHERE,
            hint="it must print watts, a number a line, at once and for as long as it runs",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command, posix=os.name != "nt")
    except ValueError as error:
        raise UsageError(f"cannot be understood ({error})", where=_WHERE) from None
    if not words:
        raise UsageError("is empty", where=_WHERE, hint="name a program that prints watts, a number a line")
    return words
