"""Finds techniques: the folder is the registry, a technique is a file that defines ``TECHNIQUE``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import MappingProxyType

from sanderling.compress.technique import Technique
from sanderling.errors import RecipeError

_PACKAGE = "sanderling.compress"


@cache
def techniques() -> MappingProxyType[str, Technique]:
    """Returns: all techniques by name. Importing them loads no heavy library."""
    package = importlib.import_module(_PACKAGE)
    found: dict[str, Technique] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.ispkg or module.name.startswith("_"):
            continue
        technique = getattr(importlib.import_module(f"{_PACKAGE}.{module.name}"), "TECHNIQUE", None)
        if isinstance(technique, Technique):
            found[technique.name] = technique
    return MappingProxyType(found)


def find(name: str) -> Technique:
    """Looks a technique up.

    Raises:
        RecipeError: there is none of that name.
    """
    try:
        return techniques()[name]
    except KeyError:
        known = ", ".join(sorted(techniques()))
        raise RecipeError(f"there is no technique '{name}'", hint=f"the techniques are {known}") from None
