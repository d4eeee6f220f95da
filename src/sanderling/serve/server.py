"""An HTTPS server for one folder: GET and HEAD, behind a token, with limits on what a request may take.

A page that is to use WebGPU or a camera must come from a secure context: over HTTPS, or this machine.
"""

from __future__ import annotations

import errno
import secrets
import shutil
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import IOBase
from pathlib import Path
from socketserver import TCPServer
from typing import BinaryIO

from sanderling.errors import UsageError
from sanderling.serve.certificate import Certificate
from sanderling.serve.folder import opened

LARGEST_REQUEST = 16 << 10  # bytes of a request's line and headers
MOST_REQUESTS = 32  # at the same time
ASKING_SECONDS, SENDING_SECONDS = 10.0, 30.0  # for a whole request; for the next piece of an answer to leave
_ALLOWED = ("GET", "HEAD")
_POLICY = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; object-src 'none'"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
    "Referrer-Policy": "no-referrer",  # the token stands in the address
    "X-Content-Type-Options": "nosniff",
}
Tell = Callable[[str, str, int], None]  # (who asks, for what without the token, the status)


class _TooLarge(OSError):
    pass


class _Limited:
    """A stream of lines that ends with an error after so many bytes."""

    def __init__(self, stream: IOBase, size: int) -> None:
        self._stream, self._left = stream, size

    def readline(self, size: int = -1) -> bytes:
        line: bytes = self._stream.readline(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise _TooLarge
        return line

    def close(self) -> None:
        self._stream.close()


class PageServer(ThreadingHTTPServer):
    """Serves a folder at ``https://ADDRESS:PORT/TOKEN/``.

    Args:
        folder: a bundle for the web.
        address: of this machine; it listens there only.
        port: 0 for one that is free.
        certificate: for the address.
        tell: is called after every request.

    Raises:
        UsageError: the port is taken, or the address is not this machine's.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, folder: Path, address: str, port: int, certificate: Certificate, tell: Tell | None = None
    ) -> None:
        self.folder, self.token = folder, secrets.token_urlsafe(16)
        self.tell = tell or (lambda who, what, status: None)
        self._context = certificate.context
        self._free = threading.BoundedSemaphore(MOST_REQUESTS)
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            super().__init__((address, port), _Handler)
        except OSError as error:
            raise _deaf(error, address, port) from None

    @property
    def url(self) -> str:
        """Where the page is, token included."""
        host, port = self.server_address[:2]
        name = f"[{host!s}]" if ":" in str(host) else str(host)
        return f"https://{name}:{port}/{self.token}/"

    def server_bind(self) -> None:
        """Binds the socket as HTTPServer does, without asking the name service for this machine's name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def get_request(self) -> tuple[ssl.SSLSocket, object]:
        """Takes a connection; the handshake is its own thread's, so that nobody can hold up the others."""
        plain, who = self.socket.accept()
        plain.settimeout(ASKING_SECONDS)
        try:
            return self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), who
        except OSError:  # it has gone already
            plain.close()
            raise

    def process_request(self, request: object, client_address: object) -> None:
        """Answers in a thread, or hangs up where too many are being answered."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)  # type: ignore[arg-type]
            return
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def process_request_thread(self, request: object, client_address: object) -> None:
        """Answers, and makes room for another."""
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of connections that broke off, which phones do; anything else is a fault of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _deaf(error: OSError, address: str, port: int) -> UsageError:
    """Returns: why a server cannot listen."""
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"{address} is no address of this machine", where="--address")
    what = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror or error}"
    hint = "give another with --port, 0 for any that is free"
    return UsageError(f"port {port} {what}", where="--port", hint=hint)


class _Handler(BaseHTTPRequestHandler):
    """One request; the connection ends with it."""

    server: PageServer
    connection: ssl.SSLSocket

    def setup(self) -> None:
        # A socket's timeout starts again with every byte: this one does not.
        self._deadline = threading.Timer(ASKING_SECONDS, self._hang_up)
        self._deadline.daemon = True
        self._deadline.start()
        try:
            self.request.do_handshake()
        except (OSError, ValueError) as error:  # ValueError: it was hung up on meanwhile
            self._deadline.cancel()
            raise ConnectionAbortedError from error
        super().setup()
        self.rfile = _Limited(self.rfile, LARGEST_REQUEST)  # type: ignore[assignment]

    def _hang_up(self) -> None:
        try:
            socket.socket.shutdown(self.request, socket.SHUT_RDWR)  # not TLS's: its thread is busy
        except OSError:
            return  # it is gone already

    def handle(self) -> None:
        try:
            super().handle()
        except _TooLarge:
            self.requestline, self.command, self.request_version = "", "GET", "HTTP/1.0"
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except OSError:
            return  # the other side has gone
        finally:
            self._deadline.cancel()

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        self._deadline.cancel()
        self.connection.settimeout(SENDING_SECONDS)
        if self.command in _ALLOWED:
            return True
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": ", ".join(_ALLOWED)})
        return False

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.split("?", 1)[0].split("#", 1)[0]
        token, slash, rest = path.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN)
        elif not slash:
            self._refuse(HTTPStatus.PERMANENT_REDIRECT, {"Location": f"/{self.server.token}/"}, rest)
        elif (found := opened(self.server.folder, rest)) is None:
            self._refuse(HTTPStatus.NOT_FOUND, shown=rest)
        else:
            self._send(*found, rest)

    def _send(self, file: BinaryIO, size: int, kind: str, shown: str) -> None:
        with file:
            self._begin(HTTPStatus.OK, {"Content-Type": kind, "Content-Length": str(size)})
            if self.command == "GET":
                shutil.copyfileobj(file, self.wfile, 1 << 16)
        self._told(shown, HTTPStatus.OK)

    def _refuse(self, status: HTTPStatus, headers: dict[str, str] | None = None, shown: str = "") -> None:
        body = f"{status.value} {status.phrase}\n".encode()
        told = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
        self._begin(status, told | (headers or {}))
        if self.command != "HEAD":
            self.wfile.write(body)
        self._told(shown, status)

    def _begin(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.close_connection = True
        self.send_response_only(status)
        for name, value in (_HEADERS | headers).items():
            self.send_header(name, value)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers a request that is none, without repeating anything of it."""
        self.command = getattr(self, "command", None) or "GET"
        self._refuse(HTTPStatus(code))

    def _told(self, shown: str, status: HTTPStatus) -> None:
        self.server.tell(str(self.client_address[0]), shown, int(status))

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: ``tell`` is called instead, without the token."""
