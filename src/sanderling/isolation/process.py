"""One worker process: its pipes, its log, its end."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from sanderling.errors import WorkerError
from sanderling.isolation import wire

_LOG_BYTES = 64 * 1024
_KILLED = {-number for number in (9, 15, 1)}  # SIGKILL, SIGTERM, SIGHUP: no crash of its own


class Process:
    """A running worker.

    A thread of the parent starts it and reads its answers until its end. The thread lives exactly as long as
    the child: on Linux the child dies with the *thread* that started it, so that must not be a caller's.

    Args:
        command: what starts it: a program that speaks ``wire`` on its standard input and output.
        environment: its environment variables; None: this process's.
        greets: what it says before ``wire.BEGIN`` is not for us: a login shell's greeting. The log gets it.

    Attributes:
        messages: answers as they arrive; a ``WorkerError`` if one cannot be understood; None at the end.
        pid: process id.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, *, greets: bool = False
    ) -> None:
        self.messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._log = bytearray()
        self._owner = os.getpid()
        started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError] = queue.SimpleQueue()
        self._reader = threading.Thread(
            target=_serve,
            args=(started, self.messages, self._log, list(command), environment, greets),
            name="sanderling-worker",
            daemon=True,
        )
        self._reader.start()
        child = started.get()
        if isinstance(child, OSError):
            error = WorkerError(f"the worker could not be started ({child})")
            error.passing = True  # too many processes, or no memory for another one
            raise error
        self._child = child
        self.pid = child.pid

    def send(self, message: object) -> None:
        """Sends a request. A child that is gone is noticed by waiting for its answer."""
        assert self._child.stdin is not None
        try:
            wire.send(self._child.stdin, message)
        except BrokenPipeError:
            return

    def alive(self) -> bool:
        """Returns: whether the process still runs."""
        return self._child.poll() is None

    def stop(self) -> None:
        """Closes its input, which ends it, and kills it if it has not ended after 2 s."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(2.0)
        except subprocess.TimeoutExpired:
            self.kill()
        self._reader.join(5.0)

    def kill(self) -> None:
        """Kills the process and all that it started. Harmless when it has ended."""
        if os.getpid() != self._owner:  # a fork of the parent: the worker is not its to kill
            return
        if self._child.poll() is None:
            if os.name == "posix":
                os.killpg(self._child.pid, signal.SIGKILL)  # it leads a session, so also a group, of its own
            else:
                self._child.kill()
            self._child.wait()
        if self._child.stdin is not None:
            self._child.stdin.close()
        self._reader.join(5.0)

    def ending(self) -> str:
        """Returns: how it ended, in words. Waits for the end, which the closed pipe has announced."""
        try:
            code = self._child.wait(5.0)
        except subprocess.TimeoutExpired:
            self.kill()
            return "closed its connection"
        if code >= 0:
            return f"ended by itself (exit code {code})"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        if name == "SIGKILL":
            return "was killed (SIGKILL; the system does that when memory runs out)"
        return f"crashed ({name})"

    def was_killed(self) -> bool:
        """Returns: whether someone else ended it: the system for want of memory, or a person."""
        return self._child.poll() in _KILLED

    def exit_code(self) -> int | None:
        """Returns: the exit code, negative for a signal; None while it runs."""
        return self._child.poll()

    def log(self) -> str:
        """Returns: the last lines that it wrote to its standard output and error."""
        self._reader.join(1.0)
        return self._log.decode("utf-8", "replace")

    def resident_bytes(self) -> int:
        """Returns: its resident memory now; 0 when it has just ended.

        Raises:
            WorkerError: this system does not tell.
        """
        if sys.platform == "linux":
            try:
                pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
                return pages * os.sysconf("SC_PAGE_SIZE")
            except (FileNotFoundError, ProcessLookupError):
                return 0
        if sys.platform == "darwin":
            shown = subprocess.run(
                ["/bin/ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, text=True, check=False
            )
            return int(shown.stdout.strip() or 0) * 1024
        raise WorkerError(f"the memory of a process cannot be watched on {sys.platform}")


def _serve(
    started: queue.SimpleQueue[subprocess.Popen[bytes] | OSError],
    messages: queue.SimpleQueue[Any],
    log: bytearray,
    command: list[str],
    environment: Mapping[str, str] | None,
    greets: bool,
) -> None:
    """Starts the child and passes on its answers until it ends. Holds no reference to its ``Process``."""
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=os.name == "posix",  # Ctrl-C in the terminal reaches the parent only
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    except OSError as error:
        started.put(error)
        return
    assert child.stdout is not None
    assert child.stderr is not None
    drain = threading.Thread(target=_drain, args=(child.stderr, log), daemon=True)
    drain.start()
    started.put(child)
    with child.stdout as answers:
        end: WorkerError | None = None
        try:
            if greets:
                log.extend(wire.greeting(answers))
            while (message := wire.receive(answers)) is not None:
                messages.put(message)
        except WorkerError as error:
            end = error
        if end is None:
            child.wait()
    drain.join(1.0)  # a grandchild may hold the log open
    messages.put(end)


def _drain(stream: IO[bytes], log: bytearray) -> None:
    """Keeps the end of what the child writes, however much that is."""
    with stream:
        while chunk := stream.read(4096):
            log.extend(chunk)
            del log[:-_LOG_BYTES]
