"""Where a command's words go: results to stdout, progress and notes to stderr, JSON alone on stdout."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

# Without a terminal nothing limits the width: a table must not lose its ends to a width that nobody has.
_PIPED_WIDTH = 200


def stdout() -> Console:
    """Returns: a console on stdout that prints text as it is, without markup."""
    return _console(stderr=False)


def stderr() -> Console:
    """Returns: the same on stderr."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    free = not stream.isatty() and not os.environ.get("COLUMNS", "").isdigit()
    return Console(
        stderr=stderr, markup=False, highlight=False, emoji=False, width=_PIPED_WIDTH if free else None
    )


def print_json(document: Any) -> None:
    """Prints one JSON document on stdout: strict JSON, NaN as null, infinity as text."""
    text = json.dumps(strict(document), indent=1, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text.encode("utf-8", "replace").decode("utf-8") + "\n")


def strict(value: Any) -> Any:
    """Returns: the same as plain JSON values; arrays' numbers become Python's, paths text, tuples lists."""
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [strict(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return strict(value.item())
    raise TypeError(f"a {type(value).__name__} is no JSON value")


def print_notes(notes: tuple[str, ...] | list[str], *, loud: bool = False) -> None:
    """Prints what a user must be told, one line each, on stderr."""
    from rich.text import Text

    from sanderling.report.format import plain

    for note in notes:
        label = ("warning: ", "bold yellow") if loud else ("note: ", "bold")
        stderr().print(Text.assemble(label, plain(note)), soft_wrap=True)
