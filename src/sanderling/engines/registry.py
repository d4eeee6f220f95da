"""Finds engines: the folder is the registry, one folder per engine with an ``ENGINE`` in its ``__init__``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sanderling.engines.engine import Engine
from sanderling.errors import UsageError


@cache
def names() -> tuple[str, ...]:
    """Returns: the names of all engines that have a folder here, sorted; none of them is imported."""
    package = importlib.import_module("sanderling.engines")
    return tuple(
        sorted(
            module.name
            for module in pkgutil.iter_modules(package.__path__)
            if module.ispkg and not module.name.startswith("_")
        )
    )


@cache
def find(name: str) -> Engine:
    """Looks an engine up, importing just its folder.

    Raises:
        UsageError: there is no such engine; the sentence lists those that exist.
    """
    if name not in names():
        raise UsageError(f"there is no engine {name!r}", hint=f"choose one of: {', '.join(names())}")
    engine: Engine = importlib.import_module(f"sanderling.engines.{name}").ENGINE
    return engine
