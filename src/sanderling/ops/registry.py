"""Finds operators: the folder is the registry, one file per operator, named after it in lower case."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sanderling.ops.op import Op


@cache
def find(name: str) -> Op | None:
    """Looks an operator up by TFLite's name, importing just its file.

    Returns: the operator, or None when there is no file for it.
    """
    if name not in names():
        return None
    op: Op = importlib.import_module(f"sanderling.ops.{name.lower()}").OP
    return op


@cache
def names() -> frozenset[str]:
    """Returns: the names of all operators that have a file in this folder."""
    package = importlib.import_module("sanderling.ops")
    shared = {"op", "registry"}
    return frozenset(
        module.name.upper()
        for module in pkgutil.iter_modules(package.__path__)
        if not module.name.startswith("_") and module.name not in shared
    )
