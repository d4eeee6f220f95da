"""Finds what writes a TFLite operator as ONNX: every function in ``ops/`` that is marked ``@tflite_op``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from sanderling.onnx.write.builder import Value
    from sanderling.onnx.write.call import Call

Rule: TypeAlias = "Callable[[Call], Sequence[Value]]"

_MARK = "tflite_operators"


def tflite_op(*names: str) -> Callable[[Rule], Rule]:
    """Marks the function that writes these operators, by TFLite's names or custom codes."""

    def mark(rule: Rule) -> Rule:
        rule.__dict__[_MARK] = names
        return rule

    return mark


@cache
def rules() -> dict[str, Rule]:
    """Returns: the function for every operator, by name."""
    package = importlib.import_module("sanderling.onnx.write.ops")
    found: dict[str, Rule] = {}
    for module in pkgutil.iter_modules(package.__path__):
        content = vars(importlib.import_module(f"{package.__name__}.{module.name}"))
        for rule in content.values():
            for name in getattr(rule, _MARK, ()):
                if name in found and found[name] is not rule:
                    raise AssertionError(f"{name} is written twice")
                found[name] = rule
    return found
