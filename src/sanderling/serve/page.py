"""``serve-page``: from a folder to a page that a phone can open."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

from sanderling.errors import MissingExtra, UsageError
from sanderling.serve.certificate import make_certificate
from sanderling.serve.folder import check_folder
from sanderling.serve.server import PageServer, Tell

LOOPBACK = "127.0.0.1"


def page_server(
    folder: Path, *, lan: bool = False, address: str = "", port: int = 0, tell: Tell | None = None
) -> tuple[PageServer, str]:
    """Makes the server of a page; its ``serve_forever`` runs it.

    Args:
        folder: a bundle for the web.
        lan: serve the network that this machine is in; else this machine only.
        address: of this machine in that network, where it has several.
        port: 0 for any that is free.
        tell: see ``PageServer``.

    Returns: the server, and the fingerprint of its certificate.

    Raises:
        UsageError: the folder is no page's, or the address or the port cannot be had.
        MissingExtra: the extra ``serve`` is not installed.
    """
    check_folder(folder)
    if address and not lan:
        raise UsageError("is for the network", where="--address", hint="give --lan as well")
    host = _address(address) if lan else LOOPBACK
    made = make_certificate([host] if lan else ["localhost", LOOPBACK, "::1"])
    return PageServer(folder, host, port, made, tell), made.fingerprint


def _address(given: str) -> str:
    if given:
        try:
            found = ipaddress.ip_address(given)
        except ValueError:
            raise UsageError(
                f"got {given!r}, expected an address as 192.168.1.5", where="--address"
            ) from None
        if found.is_unspecified or found.is_multicast:
            raise UsageError(
                f"{given} is no machine's address", where="--address", hint="give this machine's"
            )
        return given
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses the way out (RFC 5737)
            return str(probe.getsockname()[0])
        except OSError:
            raise UsageError(
                "this machine is in no network", where="--lan", hint="connect it, or name its --address"
            ) from None


def qr_rows(text: str) -> list[list[bool]]:
    """Returns: a QR code with its quiet zone, True where it is dark.

    Raises:
        MissingExtra: ``segno`` is not installed.
    """
    try:
        import segno
    except ImportError:
        raise MissingExtra("serving pages", "serve") from None
    code = segno.make(text, error="l", micro=False)
    return [[bool(module) for module in row] for row in code.matrix_iter(border=2)]
