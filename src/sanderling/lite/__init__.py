"""A drop-in for ``tf.lite`` and ``ai_edge_litert.interpreter``: classic scripts run with the import changed.

    from sanderling.lite import Interpreter

Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sanderling.lite import experimental
    from sanderling.lite.conversion_options import OpsSet, Optimize, RepresentativeDataset, TargetSpec
    from sanderling.lite.converter import TFLiteConverter
    from sanderling.lite.delegates import EngineDelegate, GpuDelegate, load_delegate
    from sanderling.lite.interpreter import Delegate, Interpreter, InterpreterWithCustomOps, SignatureRunner
    from sanderling.lite.op_resolver import OpResolverType

__all__ = [
    "Delegate",
    "EngineDelegate",
    "GpuDelegate",
    "Interpreter",
    "InterpreterWithCustomOps",
    "OpResolverType",
    "OpsSet",
    "Optimize",
    "RepresentativeDataset",
    "SignatureRunner",
    "TFLiteConverter",
    "TargetSpec",
    "experimental",
    "load_delegate",
]

_HOMES = {"EngineDelegate": "delegates", "GpuDelegate": "delegates", "load_delegate": "delegates",
          "OpResolverType": "op_resolver", "TFLiteConverter": "converter"} | dict.fromkeys(
    ("OpsSet", "Optimize", "RepresentativeDataset", "TargetSpec"), "conversion_options"
)  # fmt: skip


def __getattr__(name: str) -> Any:
    """Loads a public name at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "experimental":
        return importlib.import_module(f"{__name__}.experimental")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'interpreter')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
