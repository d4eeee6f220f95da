"""Finds passes: the folder is the registry, one file per pass, named after it."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache

from sanderling.errors import UsageError
from sanderling.passes.rewrite import Pass

_SHARED = frozenset({"lower_for", "pipeline", "registry", "rewrite"})


@cache
def names() -> tuple[str, ...]:
    """Returns: the names of all passes, sorted."""
    package = importlib.import_module("sanderling.passes")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in found if not name.startswith("_") and name not in _SHARED))


def find(name: str) -> Pass:
    """Returns: the pass in ``passes/<name>.py``.

    Raises:
        UsageError: there is no such pass.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {close[0]}?" if close else "docs/guide/passes.md lists them"
        raise UsageError(f"there is no pass {name!r}", hint=hint)
    found: Pass = importlib.import_module(f"sanderling.passes.{name}").PASS
    return found
