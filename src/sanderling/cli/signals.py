"""Ctrl-C that is never lost, and SIGTERM that is the same."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

from sanderling.cli.failure import Terminated


class Signals:
    """Inside of the block Ctrl-C raises KeyboardInterrupt, and SIGTERM (systems that shut down, batch queues)
    raises ``Terminated``."""

    def __init__(self) -> None:
        self._previous: dict[int, Any] = {}
        self._interrupted: type[KeyboardInterrupt] | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # A KeyboardInterrupt that hits inside of a finalizer is swallowed by the interpreter: remembered, it
        # is raised again by the next ``check``.
        self._interrupted = Terminated if number == signal.SIGTERM else KeyboardInterrupt
        raise self._interrupted

    def check(self) -> None:
        """Raises again what came meanwhile."""
        if self._interrupted is not None:
            raise self._interrupted
