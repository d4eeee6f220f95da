"""What writes an ONNX operator: every function in ``ops/`` that is marked with ``@onnx_op``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from sanderling.onnx.registry import Registry

if TYPE_CHECKING:
    from sanderling.onnx.read.builder import Value
    from sanderling.onnx.read.call import Call

Rule: TypeAlias = "Callable[[Call], Sequence[Value | None]]"

_registry: Registry[Rule] = Registry("sanderling.onnx.read.ops")
onnx_op = _registry.mark  # by ONNX's names; ``domain:Name`` for those that are not ONNX's own
rules = _registry.rules


def find(op: str, domain: str) -> Rule | None:
    """Returns: what writes an operator, None where nothing does."""
    return rules().get(f"{domain}:{op}" if domain else op)
