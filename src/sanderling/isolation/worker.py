"""The worker: a process of its own that calls functions of this package on request.

Started by ``isolation/client.py``. Requests come in on the standard input and answers leave on the standard
output that it was born with; everything else that writes there (libraries, prints) lands in the log.
"""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import importlib
import inspect
import os
import re
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import IO, Any, NoReturn

from sanderling.errors import SanderlingError
from sanderling.isolation import wire

_at_end: list[Callable[[], None]] = []
_FUNCTION = re.compile(r"(sanderling(?:\.[a-z][a-z0-9_]*)+):([a-z][a-z0-9_]*)")
_PR_SET_PDEATHSIG = 1
# The disk is full, the quota used up, or it can only be read. Windows has no quota.
_CANNOT_WRITE = {errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}
_process = {"worker": False}


def is_worker() -> bool:
    """Returns: whether this process is a worker, so that what ends it ends nothing of the user's."""
    return _process["worker"]


def at_end(function: Callable[[], None]) -> None:
    """Has a function called when this worker ends by itself or because its connection is gone."""
    _at_end.append(function)


def process_id() -> int:
    """Returns: the process id of this worker."""
    return os.getpid()


def main(parent: int | None) -> None:
    """Serves requests until the parent closes the pipe or dies.

    Args:
        parent: process id of the parent; None where that runs on another machine.
    """
    requests, answers = _take_streams()
    _process["worker"] = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    faulthandler.enable()
    if parent is None:
        threading.Thread(target=_watch_pipe, args=(requests.fileno(),), daemon=True).start()
        answers.write(wire.BEGIN)
    else:
        _die_with(parent)
    wire.send(answers, {"ready": os.getpid()})
    while (request := wire.receive(requests)) is not None:
        answer = _answer(request, answers)
        try:
            wire.send(answers, answer)
        except TypeError as error:  # nothing was written yet
            wire.send(answers, _failure(error, request["function"]))
    _end()


def _take_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Moves the pipes away from descriptors 0 and 1, where any library could write into them."""
    requests, answers = os.fdopen(os.dup(0), "rb", 0), os.fdopen(os.dup(1), "wb", 0)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    return requests, answers


def _die_with(parent: int) -> None:
    """Makes sure that this process ends with its parent, even if that is killed.

    On Linux the kernel does it, also while C code holds the interpreter's lock. Elsewhere a thread looks.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:  # it died before the request took effect
            os._exit(0)
    elif sys.platform != "win32":
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


def _watch_pipe(descriptor: int) -> None:
    """Ends this process when the connection is gone, also in the middle of a call."""
    poll = select.poll()
    poll.register(descriptor, select.POLLHUP | select.POLLERR)
    poll.poll()
    _end()


def _end() -> NoReturn:
    """Ends without destructors: those of engines may hang or crash, and there is nothing left to save."""
    for function in _at_end:
        function()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _answer(request: dict[str, Any], answers: IO[bytes]) -> dict[str, Any]:
    name = request["function"]
    try:
        function = _resolve(name)
        kwargs = request["kwargs"]
        if "progress" in inspect.signature(function).parameters:
            kwargs["progress"] = lambda value: wire.send(answers, {"progress": value})
        return {"result": function(**kwargs)}
    except MemoryError as error:
        return {**_failure(error, name), "class": "OutOfMemory", "what": "the worker ran out of memory"}
    except Exception as error:  # noqa: BLE001 - whatever it was, the parent is told
        return _failure(error, name)


def _resolve(name: str) -> Callable[..., Any]:
    match = _FUNCTION.fullmatch(name)
    if match is None:
        raise TypeError(f"{name!r} names no function of this package")
    function = getattr(importlib.import_module(match[1]), match[2], None)
    if not inspect.isfunction(function):
        raise TypeError(f"{name!r} is no function")
    return function


def _failure(error: Exception, name: str) -> dict[str, Any]:
    detail = "".join(traceback.format_exception(error))
    if isinstance(error, SanderlingError):
        parts = {"what": error.what, "where": error.where, "hint": error.hint}
        extra = getattr(error, "extra", "")
        return {"class": type(error).__name__, **parts, "extra": extra, "detail": detail}
    if isinstance(error, OSError) and error.errno in _CANNOT_WRITE:
        what, where = f"cannot be written ({error.strerror})", str(error.filename or "")
        return {"class": "StorageError", "what": what, "where": where, "hint": "", "detail": detail}
    lines = str(error).splitlines()
    cause = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    parts = {"what": f"{name} failed: {cause}", "where": "", "hint": ""}
    return {"class": "WorkerError", **parts, "detail": detail}
