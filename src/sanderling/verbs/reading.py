"""How samples are read, from keyword arguments."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.errors import UsageError

if TYPE_CHECKING:
    from sanderling.search.request import Reading


def reading_of(**options: Any) -> Reading:
    """Returns: the options as one value.

    Raises:
        TypeError: there is no such option.
        UsageError: ``limit`` is less than 1.
    """
    from sanderling.search.request import Reading

    labels = options.pop("labels", None)
    known = {field.name for field in fields(Reading)}
    for name in options:
        if name not in known:
            raise TypeError(f"unexpected keyword argument {name!r}")
    if options.get("limit") is not None and options["limit"] < 1:
        raise UsageError(f"got {options['limit']}, expected at least 1", where="limit")
    return Reading(labels=Path(labels) if isinstance(labels, str) else labels, **options)
