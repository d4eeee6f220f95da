"""The names of all targets, found without importing one."""

from __future__ import annotations

import pkgutil
from functools import cache
from pathlib import Path


@cache
def target_names() -> tuple[str, ...]:
    """Returns: the names, sorted: those of the folders here."""
    found = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.ispkg)
    return tuple(sorted(name.replace("_", "-") for name in found))
