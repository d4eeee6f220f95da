"""Runs an application until it is told to end, and then answers what it has taken."""

from __future__ import annotations

import errno
import gc
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sanderling.errors import MissingExtra, UsageError
from sanderling.serve.inference.application import Application

if TYPE_CHECKING:
    from sanderling.serve.certificate import Certificate

_IDLE = 75  # seconds that a connection is kept without a request
_SWITCH = 5e-4  # seconds after which Python's threads take turns: a replica waits for no longer


def open_socket(host: str, port: int) -> socket.socket:
    """Binds a socket.

    Args:
        host: an address of this machine.
        port: 0 for any that is free.

    Raises:
        UsageError: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        raise _deaf(error, host, port) from None
    return bound


def _deaf(error: OSError | OverflowError, host: str, port: int) -> UsageError:
    number = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror) or number == errno.EADDRNOTAVAIL:
        return UsageError(f"{host!r} is no address of this machine", where="--host")
    what = "is taken" if number == errno.EADDRINUSE else f"cannot be had: {error}"
    return UsageError(f"port {port} {what}", where="--port", hint="give another, 0 for any that is free")


def serve(
    app: Application,
    bound: socket.socket,
    *,
    reading: float,
    drain: float,
    certificate: Certificate | None = None,
    started: Callable[[], None] = lambda: None,
) -> bool:
    """Serves until SIGTERM or SIGINT; a second one ends it at once.

    Args:
        app: is closed at the end.
        bound: a bound socket.
        reading: seconds for the head of a request.
        drain: seconds in which, at the end, what was taken is answered.
        certificate: for HTTPS.
        started: called once requests are taken.

    Returns: whether everything that was taken was answered.

    Raises:
        MissingExtra: uvicorn or httptools is not installed.
    """
    try:
        import uvicorn

        from sanderling.serve.inference.connection import connection_class
        from sanderling.serve.inference.loop import Server
    except ImportError:
        raise MissingExtra("serving models", "serve") from None

    options: dict[str, Any] = {
        "http": connection_class(reading), "ws": "none", "log_config": None, "log_level": "critical",
        "access_log": False, "proxy_headers": False, "server_header": False, "timeout_keep_alive": _IDLE,
        "timeout_graceful_shutdown": drain, "lifespan": "off",
    }  # fmt: skip
    config = uvicorn.Config(app, **options)
    config.load()
    if certificate is not None:
        config.ssl = certificate.context
    switching = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    gc.collect()
    gc.freeze()  # what is loaded stays: no look at it holds up an answer
    server = Server(config, started, app.drain)
    try:
        server.run([bound])
    finally:
        app.close()
        gc.unfreeze()
        sys.setswitchinterval(switching)
    return server.complete
