"""A worker on another machine: what it is given goes there once, and the connection may break off."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Any

import numpy as np

from sanderling import files
from sanderling.devices.store import KEPT
from sanderling.errors import ConnectionLost, StorageError, WorkerError
from sanderling.graph.types import Array
from sanderling.isolation.client import Channel, Limits, Made, Worker
from sanderling.isolation.process import Process

LARGE = 4096  # bytes of an array from which on it is kept on the device
MOST_KEPT = 1 << 30  # bytes of arrays that a device is asked to keep; others are sent each time
PART = 32 << 20  # bytes of a file that one message carries
_STORE = "sanderling.devices.store"


class RemoteWorker(Worker):
    """A worker on another machine.

    Paths (of type ``Path``) among the arguments of a call are sent and replaced by their place on the device;
    files that the call makes (``Made``) are fetched when it has returned.

    Args:
        name: what it is called in errors.
        device: the device's name, for errors.
    """

    def __init__(self, *, name: str, device: str) -> None:
        super().__init__(name=f"{name} on {device}")
        self._device = device
        self._files: dict[str, str] = {}
        self._kept: set[str] = set()
        self._kept_bytes = 0
        self._known_generation = 0

    def _ask(self, process: Channel, limits: Limits, function: str, kwargs: Mapping[str, Any]) -> Any:
        """Sends what the device does not have yet, then has it call the function on what it keeps."""
        if self._known_generation != self.generation:
            self._files, self._kept, self._kept_bytes = {}, set(), 0
            self._known_generation = self.generation

        def there(do: str, **arguments: Any) -> Any:
            return self._exchange(process, limits, f"{_STORE}:{do}", arguments)

        new: dict[str, Array] = {}
        made: dict[str, Path] = {}
        arguments = {key: self._sent(value, new, made, there) for key, value in kwargs.items()}
        if new:
            there("keep", digests=list(new), arrays=list(new.values()))
            self._kept |= set(new)
        result = there("call", function=function, kwargs=arguments)
        for place, path in made.items():
            _fetch(place, path, there)
        return result

    def _sent(
        self, value: Any, new: dict[str, Array], made: dict[str, Path], there: Callable[..., Any]
    ) -> Any:
        """Returns: a value as the device gets it: paths there, and digests of arrays that it keeps.

        Args:
            new: is filled with arrays that it has yet to be sent.
            made: is filled with the paths there of files that the call makes, and their paths here.
            there: calls the device's store.
        """
        if isinstance(value, Made):
            place = str(there("place", name=value.path.name))
            made[place] = value.path
            return place
        if isinstance(value, Path):
            return self._placed(value, there)
        if isinstance(value, np.ndarray) and value.nbytes >= LARGE and value.dtype.kind in "biuf":
            return self._known(value, new)
        if isinstance(value, Mapping):
            return {key: self._sent(item, new, made, there) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._sent(item, new, made, there) for item in value]
        return value

    def _placed(self, path: Path, there: Callable[..., Any]) -> str:
        """Sends a file, in parts where it is large, unless the device has it."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest in self._files:
                return self._files[digest]
            file.seek(0)
            part = file.read(PART)
            while more := file.read(PART):
                there("add", digest=digest, data=np.frombuffer(part, np.uint8))
                part = more
            data = np.frombuffer(part, np.uint8)
            self._files[digest] = there("put", digest=digest, suffix=path.suffix, data=data)
        return self._files[digest]

    def _known(self, array: Array, new: dict[str, Array]) -> Any:
        data = np.ascontiguousarray(array)
        digest = hashlib.sha256(repr((data.dtype.str, data.shape)).encode() + data.tobytes()).hexdigest()
        if digest not in self._kept and digest not in new:
            if self._kept_bytes + data.nbytes > MOST_KEPT:
                return array
            self._kept_bytes += data.nbytes
            new[digest] = data
        return {KEPT: digest}


def _fetch(place: str, path: Path, there: Callable[..., Any]) -> None:
    """Fetches a file that a call made on the device, which then forgets it.

    Raises:
        StorageError: it cannot be written here.
    """
    try:
        with files.whole(path) as file:
            while len(data := there("part", path=place, start=file.tell(), most=PART)):
                file.write(data.tobytes())
    except OSError as error:
        raise StorageError(f"cannot be written ({error.strerror or error})", where=str(path)) from None
    there("drop", path=place)


class PipedWorker(RemoteWorker):
    """A remote worker that a command on this machine connects to.

    Args:
        name, device: as for any remote worker.
        command: gives the command that starts it and carries its messages.
        failure: the command's exit code when it is the connection that failed.
    """

    def __init__(self, *, name: str, device: str, command: Callable[[], Sequence[str]], failure: int) -> None:
        super().__init__(name=name, device=device)
        self._command, self._failure = command, failure

    def _start(self) -> Process:
        return Process(self._command(), greets=True)

    def _ended(self, process: Channel, doing: str) -> WorkerError:
        assert isinstance(process, Process)
        process.ending()  # waits until it is known
        code = process.exit_code()
        if code == self._failure or code is None or code < 0:
            last = process.log().strip().splitlines()[-1:]
            why = f" ({last[0].strip()[:200]})" if last else ""
            return ConnectionLost(f"the connection to {self._device} was lost while {doing}{why}")
        if code > 128:
            try:
                signal = Signals(code - 128).name
            except ValueError:
                signal = f"signal {code - 128}"
            return self._error(f"crashed ({signal}) while {doing}", process, passing=signal == "SIGKILL")
        return self._error(f"ended by itself (exit code {code}) while {doing}", process)
