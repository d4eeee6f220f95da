"""A certificate for an hour's work: made at start for what is served, and kept in memory only."""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sanderling.errors import MissingExtra

_DAYS = 7
_SKEW = timedelta(hours=1)  # a phone's clock may be late


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate.

    Attributes:
        context: for a server's sockets.
        fingerprint: SHA-256 of it, as browsers show it.
    """

    context: ssl.SSLContext
    fingerprint: str


def make_certificate(hosts: Sequence[str]) -> Certificate:
    """Makes a certificate.

    Args:
        hosts: names and addresses that it is for.

    Raises:
        MissingExtra: ``cryptography`` is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError:
        raise MissingExtra("serving pages", "serve") from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sanderling serve-page")])
    now = datetime.now(UTC)
    addresses = [ipaddress.ip_address(host) if _is_address(host) else None for host in hosts]
    alternatives = [
        x509.DNSName(host) if address is None else x509.IPAddress(address)
        for host, address in zip(hosts, addresses, strict=True)
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(_context(pem), made.fingerprint(hashes.SHA256()).hex(":").upper())


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _context(pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    descriptor, name = tempfile.mkstemp(suffix=".pem")  # Python reads it from a file only; nobody else may
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
    return context
