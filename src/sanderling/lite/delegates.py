"""Delegates: other processors, named by one of our engines or brought by a shared library."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sanderling.engines import registry
from sanderling.errors import SanderlingError
from sanderling.runtime.backend import BadValue

# What people call an engine in ``load_delegate``; the engines' own names go as well.
_ALIASES = {"gpu": "webgpu"}


class EngineDelegate:
    """Says that an engine of Sanderling runs the model.

    Args:
        engine: the engine's name.
        options: the engine's options, among them ``precision``.
    """

    def __init__(self, engine: str, options: Mapping[str, object] | None = None) -> None:
        self.engine = engine
        self.options: Mapping[str, object] = MappingProxyType(dict(options or {}))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.engine!r})"


class GpuDelegate(EngineDelegate):
    """Runs the model on the GPU through WebGPU.

    Args:
        options: options of the engine ``webgpu``, among them ``precision``.
    """

    def __init__(self, options: Mapping[str, object] | None = None) -> None:
        super().__init__("webgpu", options)


def load_delegate(library: Any, options: Mapping[str, Any] | None = None) -> Any:
    """Loads a delegate for ``Interpreter(experimental_delegates=[…])``.

    Args:
        library: ``"gpu"``, the name of an engine, or a shared library that exports
            ``tflite_plugin_create_delegate``, which LiteRT loads.
        options: the delegate's options. A shared library gets keys and values as text.

    Returns: an ``EngineDelegate``, or LiteRT's ``Delegate`` for a shared library.

    Raises:
        ValueError: the engine cannot be used here, or the library's own creation of the delegate failed.
        OSError: there is no such shared library.
    """
    if isinstance(library, str):
        name = _ALIASES.get(library, library)
        if library in _ALIASES or name in registry.names():
            try:
                check_available(name)
            except BadValue as error:
                raise BadValue(f"Failed to load delegate from {library}: {error}") from None
            return EngineDelegate(name, options)
    from ai_edge_litert.interpreter import load_delegate as load_library

    path = os.fspath(library) if isinstance(library, os.PathLike) else library
    return load_library(path, dict(options) if options else None)


def check_available(engine: str) -> None:
    """Checks that an engine can be used in this process.

    Raises:
        BadValue: there is no such engine, or why it cannot be used and what to do.
    """
    try:
        verdict = registry.find(engine).available()
    except SanderlingError as error:
        raise BadValue(error.what, hint=error.hint) from None
    if not verdict:
        raise BadValue(f"engine {engine} cannot be used: {verdict.reason}")


def split(delegates: Sequence[Any] | None) -> tuple[EngineDelegate | None, list[Any]]:
    """Sorts what an interpreter was given.

    Returns: the one engine to run on, if any, and the delegates for LiteRT.

    Raises:
        BadValue: several engines, or an engine together with shared libraries.
    """
    given = list(delegates or [])
    engines = [delegate for delegate in given if isinstance(delegate, EngineDelegate)]
    if not engines:
        return None, given
    if len(given) > 1:
        raise BadValue(
            f"got {len(given)} delegates, of which {engines[0]!r} runs the whole model",
            hint="give that one alone",
        )
    return engines[0], []
