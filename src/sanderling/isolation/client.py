"""The parent's side of an isolated worker: starts it, calls it, and outlives its crashes."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from sanderling import errors
from sanderling.errors import ConnectionLost, SanderlingError, WorkerError
from sanderling.isolation.process import Process

# The child imports from where the parent does, and nothing from the folder it happens to be started in.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from sanderling.isolation.worker import main; main(int(sys.argv[2]))"
)
_TICK = 0.05  # seconds between two looks at the child's memory
# Seconds until a new process must have said that it is ready: at most, and with little time left.
_START_TIMEOUT, _START_LEAST = 60.0, 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a call: seconds and the time when they are over; and what is told meanwhile."""

    timeout: float | None
    deadline: float | None
    doing: str
    on_progress: Callable[[Any], None] | None


class Made(os.PathLike[str]):
    """Among the arguments of a call: a file that it writes, and that is here when the call returns.

    Args:
        path: where it is to be on this machine.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


class Channel(Protocol):
    """A process that serves calls, wherever it runs: see ``Process``."""

    messages: queue.SimpleQueue[Any]

    @property
    def pid(self) -> int:
        """Process id of what stands for it here."""

    def send(self, message: object) -> None: ...
    def alive(self) -> bool: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def ending(self) -> str: ...
    def was_killed(self) -> bool: ...
    def log(self) -> str: ...
    def resident_bytes(self) -> int: ...


class Worker:
    """A process of its own for what may crash, hang or eat all memory. It starts at the first call.

    After a crash the next call starts a fresh process: handles of the old one are lost, which
    ``generation`` tells. Safe to use from several threads, one call at a time.

    Args:
        name: what it is called in errors.
        memory_limit_bytes: the process is killed when its resident memory grows beyond this. The parent
            looks every 50 ms (an address space limit would count every mapped file and thread stack, and
            makes engines abort rather than say why). Linux and macOS only.
        folder: where its temporary files go, which it leaves behind when it is killed; None: the system's.

    Attributes:
        generation: number of processes started so far.
    """

    def __init__(
        self, *, name: str = "worker", memory_limit_bytes: int | None = None, folder: Path | None = None
    ) -> None:
        self.name = name
        self.generation = 0
        self._limit = memory_limit_bytes
        self._folder = folder
        self._lock = threading.RLock()
        self._process: Channel | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running worker, None before the first call and after a crash."""
        return self._process.pid if self._process is not None else None

    def call(
        self,
        function: str,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Any], None] | None = None,
        doing: str = "",
        generation: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Calls a function in the worker.

        Args:
            function: ``"sanderling.<module>:<name>"``, a public function of this package.
            timeout: seconds for the whole call, the start of a new process included (which gets 2 s at
                least); then the process is killed. None: no limit.
            on_progress: called here with each value that the function passes to its ``progress`` parameter.
            doing: what it does, for errors: ``"loading net.tflite"``; default: the function's name.
            generation: the process that ``kwargs`` has handles of; None: any will do.
            kwargs: its arguments: JSON values, arrays, bytes, paths, nested anywhere.

        Returns: its result, tuples as lists.

        Raises:
            SanderlingError: as the function raised it, of the same class.
            WorkerError: the function failed otherwise, the process crashed, hung or took too much memory.
            ConnectionLost: the process is another one than that of ``generation``.
        """
        doing = doing or f"calling {function}"
        with self._lock:
            deadline = None if timeout is None else time.monotonic() + timeout
            limits = Limits(timeout, deadline, doing, on_progress)
            process = self._running(deadline)
            if generation is not None and generation != self.generation:
                raise ConnectionLost(f"the {self.name} had ended before {limits.doing}")
            return self._ask(process, limits, function, kwargs)

    def _ask(self, process: Channel, limits: Limits, function: str, kwargs: Mapping[str, Any]) -> Any:
        """Has a running process call a function: what workers on other devices do in their own ways."""
        return self._exchange(process, limits, function, kwargs)

    def _exchange(self, process: Channel, limits: Limits, function: str, kwargs: Mapping[str, Any]) -> Any:
        """Sends one request to a running process. Returns: its result."""
        try:
            process.send({"function": function, "kwargs": kwargs})
            while True:
                message = self._wait(process, limits.deadline, limits.timeout, limits.doing)
                if "progress" not in message:
                    break
                if limits.on_progress is not None:
                    limits.on_progress(message["progress"])
        except TypeError:  # an argument that cannot be sent: nothing was
            raise
        except BaseException:
            self._discard()  # its answer would be taken for that of the next call
            raise
        if "result" in message:
            return message["result"]
        raise _rebuilt(message)

    def _running(self, deadline: float | None) -> Channel:
        if self._process is not None and self._process.alive():
            return self._process
        self._discard()
        process = self._start()
        self._finalizer = weakref.finalize(self, process.kill)
        self._process = process
        self.generation += 1
        now = time.monotonic()
        left = _START_TIMEOUT if deadline is None else deadline - now
        allowed = min(_START_TIMEOUT, max(_START_LEAST, left))
        try:
            self._wait(process, now + allowed, allowed, "starting")
        except BaseException:
            self._discard()
            raise
        return process

    def _start(self) -> Channel:
        """Starts a process that serves calls."""
        return start_process(self._folder)

    def _wait(self, process: Channel, deadline: float | None, timeout: float | None, doing: str) -> Any:
        """Returns: the next message; kills the process when the time or the memory is used up."""
        while True:
            left = float("inf") if deadline is None else deadline - time.monotonic()
            if left <= 0:
                process.kill()
                late = f"did not finish within {timeout:.3g} s ({doing}) and was stopped"
                raise self._error(late, process, passing=True)
            pause = left if self._limit is None else min(left, _TICK)
            try:
                message = process.messages.get(timeout=None if pause == float("inf") else pause)
            except queue.Empty:
                self._check_memory(process, doing)
                continue
            if message is None:
                raise self._ended(process, doing)
            if isinstance(message, WorkerError):
                process.kill()
                raise self._error(f"{message.what} while {doing}", process)
            return message

    def _ended(self, process: Channel, doing: str) -> WorkerError:
        """Returns: what to raise when the process has ended in the middle of a call."""
        return self._error(f"{process.ending()} while {doing}", process, passing=process.was_killed())

    def _check_memory(self, process: Channel, doing: str) -> None:
        if self._limit is None:
            return
        used = process.resident_bytes()
        if used > self._limit:
            process.kill()
            amount = f"{used / 2**20:.0f} MB of memory, more than the {self._limit / 2**20:.0f} MB allowed"
            raise self._error(f"used {amount}, while {doing}", process)

    def _error(self, what: str, process: Channel, *, passing: bool = False) -> WorkerError:
        log = process.log()
        last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")
        error = WorkerError(f"the {self.name} {what}" + (f" (its last words: {last[:200]})" if last else ""))
        error.detail, error.passing = log, passing
        return error

    def _discard(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._process = self._finalizer = None

    def close(self) -> None:
        """Lets the process end by itself, and kills it after 2 s. A later call starts a new one."""
        with self._lock:
            if self._process is not None:
                self._process.stop()
            self._discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_process(folder: Path | None = None) -> Process:
    """Starts a process of this machine that serves calls.

    Args:
        folder: where its temporary files go; None: the system's.
    """
    paths = [os.path.abspath(entry) for entry in sys.path]
    command = [sys.executable, "-P", "-u", "-c", _BOOT, json.dumps(paths), str(os.getpid())]
    place = {} if folder is None else dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    return Process(command, os.environ | place)


def _rebuilt(message: dict[str, Any]) -> SanderlingError:
    """Returns: the error that the function raised in the worker, as one of this process."""
    kind = getattr(errors, str(message["class"]), WorkerError)
    if not (isinstance(kind, type) and issubclass(kind, SanderlingError)):
        kind = WorkerError
    error = kind.__new__(kind)  # some classes take other arguments than the base
    SanderlingError.__init__(error, message["what"], where=message["where"], hint=message["hint"])
    error.__dict__.update(detail=message["detail"])
    if issubclass(kind, errors.MissingExtra):
        error.__dict__.update(extra=message["extra"])
    if issubclass(kind, errors.BudgetError):
        error.__dict__.update(nearest=())
    return error
