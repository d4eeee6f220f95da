"""Finds functions by the operators that they are marked with: the folder is the registry."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

Rule = TypeVar("Rule", bound=Callable[..., object])


class Registry(Generic[Rule]):
    """What the modules of a package have marked.

    Args:
        package: its full name.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        self._found: dict[str, Rule] = {}
        self._scanned = False

    def mark(self, *names: str) -> Callable[[Rule], Rule]:
        """Marks a function as the one for these operators."""

        def keep(rule: Rule) -> Rule:
            for name in names:
                if self._found.setdefault(name, rule) is not rule:
                    raise AssertionError(f"{name} is written twice")
            return rule

        return keep

    def rules(self) -> Mapping[str, Rule]:
        """Returns: the function for every operator, by name."""
        if not self._scanned:
            for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            self._scanned = True
        return self._found
