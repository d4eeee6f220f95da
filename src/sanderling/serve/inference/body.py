"""The body of a request, within limits of size, time and memory."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sanderling.serve.inference.refusal import Refusal, shown

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
SLOWEST = 64 << 10  # bytes a second: who sends faster is given the time
_APART = 256 << 10  # bytes: inflating more than these is another thread's work
_STEP = 1 << 20


class Gone(Exception):
    """The caller has hung up."""


class Room:
    """How many bytes of requests may be held at a time.

    Args:
        size: bytes.
    """

    def __init__(self, size: int) -> None:
        self._size, self.taken = size, 0
        self._lock = threading.Lock()  # inflating is another thread's work

    def take(self, count: int) -> None:
        """Takes some.

        Raises:
            Refusal: there is not so much left.
        """
        with self._lock:
            if self.taken + count > self._size:
                raise Refusal(503, "too many bytes of requests are being held", {"Retry-After": "1"})
            self.taken += count

    def give(self, count: int) -> None:
        """Gives them back."""
        with self._lock:
            self.taken -= count


class Held:
    """The bytes that one request holds.

    Args:
        room: for all requests.
        most: for this one.
    """

    def __init__(self, room: Room, most: int) -> None:
        self._room, self.most, self._count = room, most, 0

    def limit(self, count: int) -> None:
        """Makes sure that one request may have so many.

        Raises:
            Refusal: it may not.
        """
        if count > self.most:
            raise Refusal(413, f"the request is larger than {self.most} bytes")

    def grow(self, count: int, beside: int = 0) -> None:
        """Makes sure that so many may be held.

        Args:
            count: bytes of the request.
            beside: bytes that it came from, and that are still held.

        Raises:
            Refusal: they are too many for one request, or for all.
        """
        self.limit(count)
        if count + beside > self._count:
            self._room.take(count + beside - self._count)
            self._count = count + beside

    def release(self) -> None:
        """Gives all back."""
        self._room.give(self._count)
        self._count = 0


async def read_body(receive: Receive, length: str | None, held: Held, seconds: float) -> bytes:
    """Reads a body.

    Args:
        receive: ASGI's.
        length: what the header ``Content-Length`` says.
        held: grows as the body comes.
        seconds: for all of it; who sends fast enough is given more.

    Raises:
        Refusal: it is too large, or comes too slowly.
        Gone: the caller has hung up.
    """
    if length is not None and length.isdigit():
        held.limit(int(length[:20]))  # room is taken as it comes: who sends little holds little
    loop = asyncio.get_running_loop()
    begin = loop.time()
    pieces: list[bytes] = []
    count = 0
    while True:
        until = begin + seconds + count / SLOWEST
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise Refusal(408, "the request did not come in time") from None
        if message["type"] == "http.disconnect":
            raise Gone
        piece = message.get("body", b"")
        count += len(piece)
        held.grow(count)
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def inflated(body: bytes, encoding: str, held: Held) -> bytes:
    """Undoes a body's compression.

    Args:
        body: as it came.
        encoding: what the header ``Content-Encoding`` says.
        held: grows by what it becomes.

    Raises:
        Refusal: it is damaged, becomes too large, or is compressed in another way.
    """
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Refusal(415, f"Content-Encoding is {shown(encoding)}, expected gzip or deflate")
    raw = encoding == "deflate" and not _is_zlib(body)
    window = -zlib.MAX_WBITS if raw else zlib.MAX_WBITS if encoding == "deflate" else 16 + zlib.MAX_WBITS
    if len(body) > _APART:
        return await asyncio.to_thread(_inflate, body, window, held)
    return _inflate(body, window, held)


def _is_zlib(body: bytes) -> bool:
    """Returns: whether it begins as RFC 1950 says; some send RFC 1951's bare stream."""
    return len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0


def _inflate(body: bytes, window: int, held: Held) -> bytes:
    found = bytearray()
    rest = body
    try:
        while rest:  # gzip may have several members
            one = zlib.decompressobj(window)
            while not one.eof:
                piece = one.decompress(rest, _STEP)
                rest = one.unconsumed_tail
                found += piece
                held.grow(len(found), len(body))
                if not piece and not rest and not one.eof:
                    raise Refusal(400, "the compressed request ends too soon")
            rest = one.unused_data
            if rest and window < 16:
                raise Refusal(400, f"{len(rest)} bytes follow the compressed request")
    except zlib.error:
        raise Refusal(400, "the compressed request is damaged") from None
    return bytes(found)
