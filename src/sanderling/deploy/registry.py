"""Finds targets: one folder per target with a ``TARGET`` in its ``__init__``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sanderling.deploy.target import Target
from sanderling.errors import UsageError
from sanderling.fields import nearest


@cache
def target_names() -> tuple[str, ...]:
    """Returns: the names of all targets, sorted; none of them is imported."""
    package = importlib.import_module("sanderling.deploy")
    found = (module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg)
    return tuple(sorted(name.replace("_", "-") for name in found))


@cache
def find_target(name: str) -> Target:
    """Looks a target up, importing just its folder.

    Raises:
        UsageError: there is no such target.
    """
    if name not in target_names():
        raise UsageError(f"there is no target {name!r}", where="--to", hint=nearest(name, target_names()))
    target: Target = importlib.import_module(f"sanderling.deploy.{name.replace('-', '_')}").TARGET
    return target
