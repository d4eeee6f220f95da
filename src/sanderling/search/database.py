"""Where a study is kept: a file, or a database that several machines share, told by its URL."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from sanderling.errors import MissingExtra, UsageError

# Texts come as texts also from a database that was made without an encoding.
CONNECTING = {"connect_timeout": 10, "client_encoding": "utf8"}
_EXAMPLE = "write it like postgresql://user@host/database; the password may stand in PGPASSWORD or ~/.pgpass"


@dataclass(frozen=True, slots=True)
class Database:
    """A database in PostgreSQL.

    Attributes:
        url: as SQLAlchemy takes it. May hold a password: it is never shown, nor part of ``repr``.
        shown: as people may read it.
    """

    url: str = field(repr=False)
    shown: str

    @classmethod
    def parse(cls, text: str) -> Database:
        """Reads ``postgresql://user:password@host:port/database?sslmode=require``.

        Raises:
            UsageError: it is no URL of a database.
            MissingExtra: the library that reaches it is not installed.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise _wrong("it cannot be read as a URL") from None
        if parts.scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
            # The text is not repeated: whatever stands in it may be a password.
            raise _wrong(f"{parts.scheme or 'something without a scheme'!r} is not postgresql")
        database = unquote(parts.path.strip("/"))
        if not database or "/" in parts.path.strip("/"):
            raise _wrong("it names no database")
        try:
            import psycopg  # noqa: F401
        except ImportError:
            raise MissingExtra("a study in PostgreSQL", "postgresql") from None
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(parts._replace(scheme="postgresql+psycopg").geturl())
        except (ArgumentError, ValueError):
            raise _wrong("it cannot be read as a URL") from None
        user = f"{parts.username}@" if parts.username else ""
        place = parts.hostname or ""
        place = f"[{place}]" if ":" in place else place
        shown = f"postgresql://{user}{place}{f':{port}' if port else ''}/{database}"
        return cls(url.render_as_string(hide_password=False), shown)

    def without_secrets(self, text: str) -> str:
        """Returns: a text with the password, should it stand there, replaced."""
        from sqlalchemy.engine import make_url

        secret = make_url(self.url).password
        return text.replace(str(secret), "***") if secret else text


def study_name(key: str) -> str:
    """Returns: the name of a study in a database that holds many: the same for the same search anywhere."""
    return f"sanderling {hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _wrong(why: str) -> UsageError:
    return UsageError(f"that is no database for a study: {why}", where="--study", hint=_EXAMPLE)
