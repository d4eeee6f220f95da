"""Finds targets: one folder per target with a ``TARGET`` in its ``__init__``."""

from __future__ import annotations

import importlib
from functools import cache

from sanderling.deploy.names import target_names
from sanderling.deploy.target import Target
from sanderling.errors import UsageError
from sanderling.fields import nearest


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
