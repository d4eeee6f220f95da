"""The nodes of a cluster, and objects of ours that live there."""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sanderling.errors import NodeLost

# Calls into one resident at a time: its workers' messages, and what is sent to them.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster.

    Attributes:
        id: as Ray calls it.
        name: its address; with the beginning of its id where that alone is not its own.
        cpus: processors that Ray may use there.
    """

    id: str
    name: str
    cpus: float


def nodes() -> list[Node]:
    """Returns: the nodes that are there now and have processors, by name."""
    import ray

    listed: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    rows = [row for row in listed if row["Alive"] and row["Resources"].get("CPU", 0.0) >= 1.0]
    addresses = [row["NodeManagerAddress"] for row in rows]
    found = []
    for row, address in zip(rows, addresses, strict=True):
        name = address if addresses.count(address) == 1 else f"{address} ({row['NodeID'][:6]})"
        found.append(Node(row["NodeID"], name, float(row["Resources"]["CPU"])))
    return sorted(found, key=lambda node: node.name)


class Home:
    """The process on a node that a resident lives in.

    Args:
        target: ``module:class``.
    """

    def __init__(self, target: str) -> None:
        module, _, name = target.partition(":")
        self._resident = getattr(importlib.import_module(module), name)()

    def call(self, method: str, arguments: Sequence[Any]) -> Any:
        """Calls a method of the resident."""
        return getattr(self._resident, method)(*arguments)

    def stream(self, method: str, arguments: Sequence[Any]) -> Iterator[Any]:
        """Yields: what a method of the resident yields."""
        yield from getattr(self._resident, method)(*arguments)


class Actor:
    """An object of ours on a node, which nothing else of the cluster shares with it while it lives.

    Args:
        node: where.
        handle: Ray's, of its ``Home``.
    """

    def __init__(self, node: Node, handle: Any) -> None:
        self.node = node
        self._handle = handle

    def call(self, method: str, arguments: Sequence[Any]) -> Any:
        """Calls a method. Returns: its result.

        Raises:
            NodeLost: the node is gone.
        """
        import ray

        try:
            return ray.get(self._handle.call.remote(method, arguments))
        except _gone():
            raise self._lost() from None

    def stream(self, method: str, arguments: Sequence[Any]) -> Iterator[Any]:
        """Yields: what a method yields, as it comes.

        Raises:
            NodeLost: the node is gone.
        """
        import ray

        try:
            for item in self._handle.stream.options(num_returns="streaming").remote(method, arguments):
                yield ray.get(item)
        except _gone():
            raise self._lost() from None

    def end(self) -> None:
        """Ends it, and gives the node back. Harmless when it is gone."""
        import ray

        with suppress(*_gone()):
            ray.kill(self._handle, no_restart=True)

    def _lost(self) -> NodeLost:
        return NodeLost(f"the node {self.node.name} was lost")


def settle_in(places: Sequence[Node], target: str, seconds: float) -> tuple[list[Actor], list[Node]]:
    """Has an object live on each of several nodes, with all processors of the node for itself.

    Args:
        places: the nodes.
        target: ``module:class`` of this package.
        seconds: until those that are busy are left alone.

    Returns: the objects, and the nodes where there is none: busy, or gone meanwhile.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        actors: list[Any] = [
            ray.remote(Home)
            .options(
                num_cpus=node.cpus,
                max_restarts=0,
                max_concurrency=_AT_ONCE,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            )
            .remote(target)
            for node in places
        ]
    gone: tuple[type[BaseException], ...] = (TimeoutError, *_gone())
    until = time.monotonic() + seconds
    there: list[Actor] = []
    absent: list[Node] = []
    for node, actor in zip(places, actors, strict=True):
        try:
            ray.get(actor.__ray_ready__.remote(), timeout=max(0.1, until - time.monotonic()))
        except gone:
            ray.kill(actor, no_restart=True)
            absent.append(node)
            continue
        there.append(Actor(node, actor))
    return there, absent


def _gone() -> tuple[type[Exception], ...]:
    """Returns: what Ray raises where a node, the actor there, or the whole cluster is gone."""
    from ray import exceptions

    return (
        exceptions.RayActorError,
        exceptions.ObjectLostError,
        exceptions.NodeDiedError,
        exceptions.RaySystemError,
        ConnectionError,
    )
