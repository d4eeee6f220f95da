"""Who may ask: whoever has the token; without one, this machine's own programs, and no page of a browser."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sanderling.serve.inference.refusal import Refusal

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
OPEN = frozenset({"/v2/health/live", "/v2/health/ready"})  # probes of orchestrators have no token
_HOME = frozenset({"localhost", "127.0.0.1", "[::1]"})
_LINGER, _LINGER_SECONDS = 4 << 20, 1.0  # bytes of an unread body that are taken after its refusal


def header(scope: Scope, name: bytes) -> str | None:
    """Returns: a header's value, None where it is not there."""
    for key, value in scope["headers"]:
        if key == name:
            found: str = value.decode("latin-1")
            return found
    return None


class Guard:
    """An ASGI application before another one.

    Args:
        app: what is guarded.
        token: that every request must show as ``Authorization: Bearer``; "" for none.
        home: take only requests to this machine by its own name: a page in a browser may make its own name
            this machine's address, and then read the answers.
    """

    def __init__(self, app: App, token: str = "", *, home: bool = False) -> None:
        self._app, self._token, self._home = app, token.encode(), home

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(scope)
            except Refusal as refusal:
                await refuse(refusal, Incoming(receive), send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        if self._token and scope["path"] not in OPEN:
            given = header(scope, b"authorization") or ""
            scheme, _, value = given.partition(" ")
            shown = value.strip().encode("latin-1", "replace")
            if scheme.lower() != "bearer" or not hmac.compare_digest(shown, self._token):
                raise Refusal(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})
        elif self._home and not self._token:
            host = (header(scope, b"host") or "localhost").lower()
            name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
            if name not in _HOME:
                raise Refusal(403, "the request names another host; a server with a token takes any")


class Incoming:
    """What comes of a request.

    Attributes:
        complete: all of it has come.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive, self.complete = receive, False

    async def __call__(self) -> Message:
        message = await self._receive()
        self.complete = not message.get("more_body", False)
        return message


async def refuse(refusal: Refusal, incoming: Incoming, send: Send) -> None:
    """Answers with a sentence, and ends the connection unless all of the request has come.

    A connection that is closed while data still comes is reset, and then the other side may not be able to
    read the answer: some of what comes is taken first.
    """
    body = json.dumps({"error": refusal.sentence}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in refusal.headers.items()),
    ]
    if not incoming.complete:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await _linger(incoming)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _linger(incoming: Incoming) -> None:
    taken = 0
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while not incoming.complete and taken < _LINGER:
                taken += len((await incoming()).get("body", b""))
    except TimeoutError:
        return
