"""Joins a cluster by way of a broker: whatever becomes of the cluster, this process lives on to tell."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from multiprocessing import Pipe
from typing import Any

from sanderling import errors
from sanderling.cluster.broker import FAILED, ITEM, JOINING, LEAVE, LOST, VALUE
from sanderling.cluster.nodes import Node
from sanderling.errors import ConnectionLost, MissingExtra, NodeLost, RunError, SanderlingError, WorkerError

_JOIN_SECONDS, _LEAVE_SECONDS = 60.0, 10.0
_PAUSES = (3.0, 6.0, 12.0)  # seconds between attempts to join
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from sanderling.cluster.broker import main; main(int(sys.argv[2]), *sys.argv[3:])"
)
_Answer = tuple[str, Any]


class Cluster:
    """A cluster that was joined. Safe to use from several threads.

    Attributes:
        nodes: that were there then.
    """

    def __init__(self, address: str, feature: str) -> None:
        self._address = address
        self._numbers = count(JOINING + 1)
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[_Answer]] = {JOINING: queue.SimpleQueue()}
        self._gone = False
        ours, theirs = Pipe()
        self._connection = ours
        with theirs:
            command = [sys.executable, "-P", "-c", _BOOT, json.dumps(sys.path), str(theirs.fileno())]
            self._broker = subprocess.Popen(
                [*command, address, feature],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the terminal reaches this process only
            )
        self._reader = threading.Thread(target=self._read, name="sanderling-cluster", daemon=True)
        self._reader.start()
        try:
            self.nodes: list[Node] = self._joined()
        except BaseException:
            self.leave()
            raise

    def settle_in(
        self, places: Sequence[Node], target: str, seconds: float
    ) -> tuple[list[Resident], list[Node]]:
        """Has an object live on each of several nodes, with all processors of the node for itself.

        Args:
            places: the nodes.
            target: ``module:class`` of this package.
            seconds: until those that are busy are left alone.

        Returns: the residents, and the nodes where there is none: busy, or gone meanwhile.

        Raises:
            NodeLost: the whole cluster is gone.
        """
        there = next(self.ask("settle in", list(places), target, seconds))
        return [Resident(self, node) for node in there], [node for node in places if node not in there]

    def ask(self, what: str, *arguments: Any) -> Generator[Any, None, None]:
        """Asks the broker. Yields: what comes of it.

        Raises:
            NodeLost: the node, or the cluster, is gone.
            WorkerError: it failed otherwise.
        """
        answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = answers
            if self._gone:
                raise self._lost()
            try:
                self._connection.send((number, what, arguments))
            except OSError:
                raise self._lost() from None
        while True:
            kind, value = answers.get()
            if kind == LOST:
                raise NodeLost(value)
            if kind == FAILED:
                raise WorkerError(f"the cluster {self._address} cannot do it: {value}")
            if kind == ITEM or value is not None:
                yield value
            if kind == VALUE:
                return

    def leave(self) -> None:
        """Leaves the cluster: what was started there for us ends."""
        try:
            with self._lock:
                self._connection.send((JOINING, LEAVE, ()))
            self._broker.wait(_LEAVE_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            self._broker.kill()
            self._broker.wait()
        self._reader.join(_LEAVE_SECONDS)
        self._connection.close()

    def _joined(self) -> list[Node]:
        try:
            kind, value = self._waiting[JOINING].get(timeout=_JOIN_SECONDS)
        except queue.Empty:
            kind, value = LOST, ""
        if kind == VALUE:
            return list(value)
        if kind == FAILED:
            name, what, where, hint = value
            known: type[SanderlingError] = getattr(errors, name, RunError)
            raise known(what, where=where, hint=hint)
        raise ConnectionLost("the cluster cannot be joined: Ray gave up", where=f"--cluster {self._address}")

    def _read(self) -> None:
        try:
            while True:
                number, kind, value = self._connection.recv()
                with self._lock:
                    asked = self._waiting[number] if kind == ITEM else self._waiting.pop(number)
                asked.put((kind, value))
        except (EOFError, OSError):
            pass
        with self._lock:
            self._gone = True
            for asked in self._waiting.values():
                asked.put((LOST, self._lost().what))

    def _lost(self) -> NodeLost:
        return NodeLost(f"the cluster {self._address} was lost")


class Resident:
    """An object of ours on a node, which nothing else of the cluster shares with it while it lives.

    Attributes:
        node: where it lives.
    """

    def __init__(self, cluster: Cluster, node: Node) -> None:
        self._cluster = cluster
        self.node = node

    def call(self, method: str, *arguments: Any) -> Any:
        """Calls a method. Returns: its result.

        Raises:
            NodeLost: the node is gone.
        """
        for value in self._cluster.ask("call", self.node.id, method, arguments):
            return value
        return None

    def stream(self, method: str, *arguments: Any) -> Iterator[Any]:
        """Yields: what a method yields, as it comes.

        Raises:
            NodeLost: the node is gone.
        """
        yield from self._cluster.ask("stream", self.node.id, method, arguments)

    def end(self) -> None:
        """Ends it, and gives the node back. Harmless when it is gone."""
        try:
            list(self._cluster.ask("end", self.node.id))
        except NodeLost:
            return


def _joined_at_last(address: str, feature: str) -> Cluster:
    """Joins, again after a while where that broke off: of several nodes on a machine Ray may choose one that
    is gone, as long as the cluster has not noticed."""
    for pause in _PAUSES:
        try:
            return Cluster(address, feature)
        except ConnectionLost:
            time.sleep(pause)
    return Cluster(address, feature)


@contextmanager
def joined(address: str, feature: str) -> Iterator[Cluster]:
    """Joins a Ray cluster for the time of a block.

    Args:
        address, feature: see ``connected``.

    Raises:
        MissingExtra: Ray is not installed.
        UsageError, RunError: it cannot be joined.
    """
    if find_spec("ray") is None:
        raise MissingExtra(feature, "cluster")
    cluster = _joined_at_last(address, feature)
    try:
        yield cluster
    finally:
        cluster.leave()
