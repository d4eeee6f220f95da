"""What lives on a node of a cluster: it starts workers there, and passes their messages on.

All that is here is called on the node, by ``devices/node.py`` through the cluster.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from typing import Any

from sanderling.devices.facts import collect
from sanderling.errors import WorkerError
from sanderling.isolation.client import start_process
from sanderling.isolation.process import Process

# A worker's last message: how it ended.
ENDED = "ended"


class Relay:
    """Workers of this node, by their numbers. Its end is theirs: they die with the process that it is in."""

    def __init__(self) -> None:
        self._processes: dict[int, Process] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()

    def facts(self, packages: Sequence[str]) -> dict[str, Any]:
        """Returns: what this machine is (see ``Facts``), with the versions of packages: None for what is
        not installed."""
        return {**collect(), "installed": {name: _version(name) for name in packages}}

    def start(self) -> int:
        """Starts a worker. Returns: its number."""
        process = start_process()
        with self._lock:
            number = next(self._numbers)
            self._processes[number] = process
        return number

    def send(self, number: int, message: object) -> None:
        """Sends a request to a worker. One that has ended is noticed by waiting for its answer."""
        if process := self._processes.get(number):
            process.send(message)

    def messages(self, number: int) -> Iterator[dict[str, Any]]:
        """Yields: a worker's messages until its end, then how it ended."""
        process = self._processes[number]
        while isinstance(message := process.messages.get(), dict):
            yield message
        if isinstance(message, WorkerError):  # it cannot be understood
            process.kill()
        how = message.what if message is not None else process.ending()
        yield {ENDED: {"how": how, "killed": process.was_killed(), "log": process.log()}}
        with self._lock:
            del self._processes[number]

    def stop(self, number: int) -> None:
        """Lets a worker end by itself, and kills it after 2 s."""
        if process := self._processes.get(number):
            process.stop()

    def kill(self, number: int) -> None:
        """Kills a worker and all that it started."""
        if process := self._processes.get(number):
            process.kill()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
