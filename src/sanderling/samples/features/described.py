"""Front ends as JSON, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sanderling import fields
from sanderling.errors import UsageError
from sanderling.samples.features.micro import Micro
from sanderling.samples.features.spectral import Spectral

FrontEnd = Spectral | Micro
KINDS: Mapping[str, type[Spectral] | type[Micro]] = {kind.KIND: kind for kind in (Spectral, Micro)}
_MOST_BYTES = 1 << 20


def to_json(front_end: FrontEnd) -> dict[str, Any]:
    """Returns: the front end as plain data; what has its default value is left out."""
    return {"kind": front_end.KIND, **fields.to_json(front_end)}


def from_json(data: object, where: str) -> FrontEnd:
    """Builds a front end from plain data.

    Args:
        data: what ``to_json`` gave, or a user's own.
        where: the file, for errors.

    Raises:
        UsageError: a field is unknown, missing, of the wrong type, or not possible.
    """
    given = dict(data) if isinstance(data, Mapping) else {}
    kind = given.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise UsageError(
            "a front end is a JSON object with a kind", where=where, hint=f"kinds: {', '.join(KINDS)}"
        )
    return fields.build(KINDS[kind], given, where)


def read_front_end(path: Path) -> FrontEnd:
    """Reads a JSON file.

    Raises:
        UsageError: it cannot be read, or describes no front end.
    """
    return from_json(fields.read_json(path, _MOST_BYTES), str(path))
