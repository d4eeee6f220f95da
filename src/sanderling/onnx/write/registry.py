"""What writes a TFLite operator as ONNX: every function in ``ops/`` that is marked with ``@tflite_op``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from sanderling.onnx.registry import Registry

if TYPE_CHECKING:
    from sanderling.onnx.write.builder import Value
    from sanderling.onnx.write.call import Call

Rule: TypeAlias = "Callable[[Call], Sequence[Value]]"

_registry: Registry[Rule] = Registry("sanderling.onnx.write.ops")
tflite_op = _registry.mark  # by TFLite's names or custom codes
rules = _registry.rules
