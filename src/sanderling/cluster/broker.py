"""The process that is a cluster's client for us: Ray ends its clients when their cluster goes away.

Started by ``cluster/joining.py``, with which it talks over one connection. A request is (number, what,
arguments); to each come answers (number, kind, value), the last of which is no ``ITEM``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Any

from sanderling.cluster.connect import connected
from sanderling.cluster.nodes import Actor, Node, nodes, settle_in
from sanderling.errors import NodeLost, SanderlingError

ITEM, VALUE, LOST, FAILED = "item", "value", "lost", "failed"
LEAVE = "leave"  # what is asked last
JOINING = 0  # the number that is answered when the cluster is joined, or cannot be


def main(descriptor: int, address: str, feature: str) -> None:
    """Joins a cluster and serves requests until the connection is closed: by us, or by our end.

    Args:
        descriptor: the connection's, as this process has it.
        address, feature: see ``connected``.
    """
    connection = Connection(descriptor)
    broker = _Broker(connection)
    try:
        with connected(address, feature):
            broker.tell(JOINING, VALUE, nodes())
            while (request := connection.recv())[1] != LEAVE:
                number, what, arguments = request
                threading.Thread(target=broker.serve, args=(number, what, arguments), daemon=True).start()
    except (EOFError, OSError):
        pass  # nobody asks any more
    except SanderlingError as error:
        broker.tell(JOINING, FAILED, (type(error).__name__, error.what, error.where, error.hint))
    os._exit(0)  # threads may wait for nodes that are gone


class _Broker:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._actors: dict[str, Actor] = {}

    def tell(self, number: int, kind: str, value: Any) -> None:
        """Sends an answer."""
        with self._sending:
            self._connection.send((number, kind, value))

    def serve(self, number: int, what: str, arguments: tuple[Any, ...]) -> None:
        """Does what is asked, and tells what comes of it."""
        try:
            if what == "settle in":
                self.tell(number, VALUE, self._settle_in(*arguments))
                return
            actor = self._actors[arguments[0]]
            if what == "call":
                self.tell(number, VALUE, actor.call(*arguments[1:]))
            elif what == "stream":
                for item in actor.stream(*arguments[1:]):
                    self.tell(number, ITEM, item)
                self.tell(number, VALUE, None)
            elif what == "end":
                actor.end()
                self.tell(number, VALUE, None)
        except NodeLost as error:
            self.tell(number, LOST, error.what)
        except Exception as error:  # noqa: BLE001 - whatever it was, the other side is told
            self.tell(number, FAILED, f"{type(error).__name__}: {error}")

    def _settle_in(self, places: Iterable[Node], target: str, seconds: float) -> list[Node]:
        """Returns: the nodes where there is now an object."""
        actors, _ = settle_in(list(places), target, seconds)
        self._actors.update({actor.node.id: actor for actor in actors})
        return [actor.node for actor in actors]
