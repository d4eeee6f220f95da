"""uvicorn's server, which at its end answers what it has taken, and looks after its connections."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

_GRACE = 0.3  # seconds in which what is on its way still arrives
_LOOK = 5  # ticks of 0.1 s from one look at the connections to the next


class Server(uvicorn.Server):
    """A server.

    Args:
        config: uvicorn's.
        started: called once requests are taken.
        drain: called as soon as it is told to end.

    Attributes:
        complete: everything that was taken has been answered.
    """

    def __init__(
        self, config: uvicorn.Config, started: Callable[[], None], drain: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._started, self._drain = started, drain
        self.complete = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen."""
        await super().startup(sockets)
        self._started()

    async def on_tick(self, counter: int) -> bool:
        """Ends connections whose other side dawdles; called every 0.1 s."""
        if counter % _LOOK == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                connection.look(now)  # type: ignore[union-attr]
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Takes no more connections, and waits for the answers to those that are there."""
        self._drain()
        for server in self.servers:
            server.close()
        await asyncio.sleep(_GRACE)
        await super().shutdown(sockets)
        self.complete = not self.server_state.tasks and not self.force_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins to end; the second time at once."""
        self._drain()
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listens to signals, which uvicorn would raise again at the end: it ends with 0."""
        if threading.current_thread() is not threading.main_thread():
            yield  # which alone may listen
            return
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
