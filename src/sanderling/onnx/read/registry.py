"""Finds what writes an ONNX operator: every function in ``ops/`` that is marked with ``@onnx_op``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sanderling.onnx.read.builder import Value
    from sanderling.onnx.read.call import Call

    Rule = Callable[[Call], Sequence[Value | None]]

_MARK = "onnx_operators"


def onnx_op(*names: str) -> Callable[[Rule], Rule]:
    """Marks the function that writes these operators; ``domain:Name`` for those that are not ONNX's own."""

    def mark(rule: Rule) -> Rule:
        rule.__dict__[_MARK] = names
        return rule

    return mark


@cache
def rules() -> dict[str, Rule]:
    """Returns: the function for every operator, by name."""
    package = importlib.import_module("sanderling.onnx.read.ops")
    found: dict[str, Rule] = {}
    for module in pkgutil.iter_modules(package.__path__):
        content = vars(importlib.import_module(f"{package.__name__}.{module.name}"))
        for rule in content.values():
            for name in getattr(rule, _MARK, ()):
                if name in found and found[name] is not rule:
                    raise AssertionError(f"{name} is written twice")
                found[name] = rule
    return found


def find(op: str, domain: str) -> Rule | None:
    """Returns: what writes an operator, None where nothing does."""
    return rules().get(f"{domain}:{op}" if domain else op)
