"""A node of a cluster: candidates are made, answered and timed there, with the node for themselves."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sanderling.cluster.joining import Resident
from sanderling.devices.device import Facts
from sanderling.devices.relay import ENDED
from sanderling.devices.remote import RemoteWorker
from sanderling.errors import DeviceError, NodeLost, WorkerError
from sanderling.isolation.client import Channel

# What answers, times and candidates depend on. A node with another version would give another's figures.
PACKAGES = (
    "ai-edge-litert", "numpy", "torch", "openvino", "onnxruntime", "ai-edge-quantizer", "litert-quantizer",
)  # fmt: skip


class NodeDevice:
    """A node, for as long as our resident lives there.

    Args:
        resident: a ``Relay`` that has the whole node for itself.

    Raises:
        DeviceError: its packages are not those of this machine.
        NodeLost: it is gone.
    """

    local, equipped = False, True

    def __init__(self, resident: Resident) -> None:
        self._resident = resident
        self.name = resident.node.name
        found = resident.call("facts", list(PACKAGES))
        _alike(self.name, found.pop("installed"))
        known = Facts.from_json(found)
        # Ray may have been told to use fewer processors than the machine has.
        self._facts = replace(known, cores=min(known.cores, resident.node.cpus))

    def worker(self, name: str) -> RemoteWorker:
        """Returns: a worker there."""
        return NodeWorker(name=name, resident=self._resident)

    def facts(self) -> Facts:
        """Returns: what the node is."""
        return self._facts

    def close(self) -> None:
        """Ends all that runs there for us, and gives the node back."""
        self._resident.end()


class NodeWorker(RemoteWorker):
    """A worker on a node. Once the node is gone, so is it, and for good.

    Args:
        name: what it is called in errors.
        resident: the ``Relay`` there.
    """

    def __init__(self, *, name: str, resident: Resident) -> None:
        super().__init__(name=name, device=resident.node.name)
        self._resident = resident

    def _start(self) -> Channel:
        return _Line(self._resident)

    def _ended(self, process: Channel, doing: str) -> WorkerError:
        assert isinstance(process, _Line)
        if process.lost is not None:
            return NodeLost(f"{process.lost.what} while {doing}")
        return super()._ended(process, doing)


class _Line:
    """A worker's process on a node, as a ``Channel``."""

    def __init__(self, resident: Resident) -> None:
        self._resident = resident
        self._number: int = resident.call("start")
        self.messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.lost: NodeLost | None = None
        self._end: dict[str, Any] | None = None
        self._over = threading.Event()
        self._reader = threading.Thread(target=self._read, name="sanderling-node", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """This process's own: the worker's would mean nothing here."""
        return os.getpid()

    def send(self, message: object) -> None:
        """Sends a request. A node that is gone is noticed by waiting for its answer."""
        try:
            self._resident.call("send", self._number, message)
        except NodeLost:
            return

    def alive(self) -> bool:
        return not self._over.is_set()

    def stop(self) -> None:
        self._finish("stop")

    def kill(self) -> None:
        self._finish("kill")

    def ending(self) -> str:
        self._over.wait(5.0)
        return str(self._end["how"]) if self._end else "is gone"

    def was_killed(self) -> bool:
        return self._end is None or bool(self._end["killed"])

    def log(self) -> str:
        self._over.wait(1.0)
        return str(self._end["log"]) if self._end else ""

    def resident_bytes(self) -> int:
        raise WorkerError(
            f"the memory of a process on {self._resident.node.name} cannot be watched from here"
        )

    def _finish(self, how: str) -> None:
        if self._over.is_set():
            return
        try:
            self._resident.call(how, self._number)
        except NodeLost:
            return
        self._over.wait(5.0)

    def _read(self) -> None:
        try:
            for message in self._resident.stream("messages", self._number):
                if ENDED in message:
                    self._end = message[ENDED]
                else:
                    self.messages.put(message)
        except NodeLost as error:
            self.lost = error
        self._over.set()
        self.messages.put(None)


def _alike(name: str, theirs: Mapping[str, str | None]) -> None:
    """Makes sure that a node has what this machine has.

    Raises:
        DeviceError: it has not.
    """
    wrong = []
    for package, found in theirs.items():
        try:
            ours = version(package)
        except PackageNotFoundError:
            continue
        if found != ours:
            wrong.append(f"{package} {found or 'is missing'}, here {ours}")
    if wrong:
        raise DeviceError(
            f"its packages are not those of this machine ({'; '.join(wrong)})",
            where=name,
            hint="install the same versions there, as pip freeze shows them here",
        )
