"""A connection that ends where the other side dawdles: the head of a request, and what is sent to it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sanderling.serve.inference.app import GONE
from sanderling.serve.inference.body import SLOWEST

MOST = 1024  # connections
LARGEST_HEAD = 64 << 10  # bytes
_SENDING = 30.0  # seconds for an answer to leave, and more for a large one


def _answer(status: str, sentence: str) -> bytes:
    body = json.dumps({"error": sentence}).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


class Connection(HttpToolsProtocol):
    """uvicorn's, with a time limit for what it waits for without one.

    Attributes:
        reading: seconds for the head of a request; set on the class that a server uses.
    """

    reading = 10.0

    def connection_made(self, transport: Any) -> None:
        """Takes a connection, unless there are too many."""
        super().connection_made(transport)
        self._begun = self.loop.time()
        self._head, self._in_head, self._answered = 0, True, False
        self._unsent_since: float | None = None
        self._unsent = 0
        self._body_done = False
        if len(self.connections) > MOST:
            self._hang_up("503 Service Unavailable", "there are too many connections")

    def _hang_up(self, status: str, sentence: str) -> None:
        self.transport.write(_answer(status, sentence))
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Reads, and counts what comes before a request is known."""
        if self.transport.is_closing():
            return
        if self._in_head:
            if not self._head:
                self._begun = self.loop.time()
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > LARGEST_HEAD and not self.transport.is_closing():
            self._hang_up("431 Request Header Fields Too Large", f"a head may have {LARGEST_HEAD} bytes")

    def on_headers_complete(self) -> None:
        """Begins to answer."""
        self._in_head, self._head, self._body_done = False, 0, False
        super().on_headers_complete()
        cycle = self.cycle
        self.scope[GONE] = lambda: cycle.disconnected  # type: ignore[literal-required]

    def on_message_complete(self) -> None:
        """Waits for the next request."""
        super().on_message_complete()
        self._in_head, self._head, self._body_done, self._answered = True, 0, True, True

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Still answers who has said all and only listens now; over TLS there is no such thing."""
        waits = self.cycle is not None and not self.cycle.response_complete and self._body_done
        if not waits or self.scheme == "https":
            return None
        self.cycle.keep_alive = False
        return True

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP."""
        self._hang_up("400 Bad Request", "the request is no HTTP")

    def look(self, now: float) -> None:
        """Ends the connection where the other side lets it wait.

        Args:
            now: the loop's time.
        """
        if self.transport is None:
            return
        waits = self._in_head and (self._head or not self._answered)
        if waits and now - self._begun > self.reading and not self.transport.is_closing():
            if self._head:
                self._hang_up("408 Request Timeout", "the request did not come in time")
            else:
                self.transport.close()
        size = self.transport.get_write_buffer_size()
        if not size:
            self._unsent_since = None
        elif self._unsent_since is None:
            self._unsent_since, self._unsent = now, size
        elif now - self._unsent_since > _SENDING + self._unsent / SLOWEST:
            self.transport.abort()


def connection_class(reading: float) -> type[asyncio.Protocol]:
    """Returns: the class for connections whose requests must come within so many seconds."""
    return type("Connection", (Connection,), {"reading": reading})
