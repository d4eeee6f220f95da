"""Automatic inference: the fastest version of a trained model that still gives the right answers.

The verbs and types below are loaded when they are first used, so that ``import sanderling`` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sanderling import lite
    from sanderling.errors import (
        BudgetError,
        CompileError,
        ConnectionLost,
        ConvertError,
        DeployError,
        DeviceError,
        DeviceLimit,
        DeviceLost,
        FetchError,
        FormatError,
        InputMismatch,
        InvalidGraph,
        KernelError,
        MeterError,
        MissingExtra,
        ModelError,
        NodeLost,
        OutOfMemory,
        RecipeError,
        RunError,
        SampleError,
        SanderlingError,
        StorageError,
        UnreadableSample,
        UnsupportedOperator,
        UsageError,
        WorkerError,
    )
    from sanderling.graph.graph import Graph, Model, Node, Tensor
    from sanderling.ops.registry import register_operator
    from sanderling.runtime.session import Session
    from sanderling.verbs import (
        analyze,
        bench,
        cascade,
        check,
        convert,
        deploy,
        diff,
        distill,
        load,
        optimize,
        predict,
        profile,
        run,
        serve,
        serve_app,
    )

    __version__: str

__all__ = [
    "BudgetError",
    "CompileError",
    "ConnectionLost",
    "ConvertError",
    "DeployError",
    "DeviceError",
    "DeviceLimit",
    "DeviceLost",
    "FetchError",
    "FormatError",
    "Graph",
    "InputMismatch",
    "InvalidGraph",
    "KernelError",
    "MeterError",
    "MissingExtra",
    "Model",
    "ModelError",
    "Node",
    "NodeLost",
    "OutOfMemory",
    "RecipeError",
    "RunError",
    "SampleError",
    "SanderlingError",
    "Session",
    "StorageError",
    "Tensor",
    "UnreadableSample",
    "UnsupportedOperator",
    "UsageError",
    "WorkerError",
    "__version__",
    "analyze",
    "bench",
    "cascade",
    "check",
    "convert",
    "deploy",
    "diff",
    "distill",
    "lite",
    "load",
    "optimize",
    "predict",
    "profile",
    "register_operator",
    "run",
    "serve",
    "serve_app",
]

_VERBS = frozenset(
    {
        "analyze",
        "bench",
        "cascade",
        "check",
        "convert",
        "deploy",
        "diff",
        "distill",
        "load",
        "optimize",
        "predict",
        "profile",
        "run",
        "serve",
        "serve_app",
    }
)
_GRAPH = frozenset({"Graph", "Model", "Node", "Tensor"})


def __getattr__(name: str) -> Any:
    """Loads a public name at its first use (PEP 562)."""
    if name == "__version__":
        value: Any = _version()
    elif name == "lite":
        value = importlib.import_module("sanderling.lite")
    elif name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        value = getattr(importlib.import_module(_home(name)), name)
    globals()[name] = value
    return value


def _home(name: str) -> str:
    if name in _VERBS:
        return "sanderling.verbs"
    if name in _GRAPH:
        return "sanderling.graph.graph"
    if name == "register_operator":
        return "sanderling.ops.registry"
    return "sanderling.runtime.session" if name == "Session" else "sanderling.errors"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("sanderling")
    except PackageNotFoundError:  # run from its source without being installed
        return "0.0.0+source"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package, where the verb ``convert`` keeps its place when the folder ``convert/`` is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        # The import system hangs every folder that is imported into its package under the folder's name.
        if not (name in _VERBS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """By name, as any module: functions that are sent to other machines speak of it."""
        return importlib.import_module, (__name__,)


sys.modules[__name__].__class__ = _Package
