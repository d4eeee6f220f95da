"""Finds engines: the folder is the registry, one folder per engine with an ``ENGINE`` in its ``__init__``."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sanderling.engines.engine import Engine, Variant
from sanderling.errors import UsageError


@cache
def names() -> tuple[str, ...]:
    """Returns: the names of all engines that have a folder here, sorted; none of them is imported."""
    package = importlib.import_module("sanderling.engines")
    return tuple(
        sorted(
            module.name
            for module in pkgutil.iter_modules(package.__path__)
            if module.ispkg and not module.name.startswith("_")
        )
    )


@cache
def find(name: str) -> Engine:
    """Looks an engine up, importing just its folder.

    Raises:
        UsageError: there is no such engine; the sentence lists those that exist.
    """
    if name not in names():
        raise UsageError(f"there is no engine {name!r}", hint=f"choose one of: {', '.join(names())}")
    engine: Engine = importlib.import_module(f"sanderling.engines.{name}").ENGINE
    return engine


def engine_of(text: str) -> Engine:
    """Looks up the engine of what people write for a way to run models: ``litert``, ``openvino:bf16``."""
    return find(text.partition(":")[0])


def find_variant(text: str) -> Variant:
    """Looks up a way to run models by what people write: ``litert``, ``openvino:bf16``.

    Raises:
        UsageError: there is no such engine, or it has no such variant here; the sentence lists what there is.
    """
    name, _, wanted = text.partition(":")
    engine = find(name)
    if not wanted:
        # What is not installed says so when it is asked to load.
        return next(iter(engine.variants()), Variant(name))
    found = {variant.name: variant for variant in engine.variants()}
    if wanted not in found:
        ready = engine.available()
        if not ready:
            raise UsageError(f"engine {name} cannot be used: {ready.reason}")
        listed = ", ".join(str(variant) for variant in found.values())
        raise UsageError(f"engine {name} has no variant {wanted!r} here", hint=f"choose one of: {listed}")
    return found[wanted]


def every_variant() -> tuple[Variant, ...]:
    """Returns: all ways to run models here, engine by engine, its usual one first."""
    return tuple(v for name in names() if find(name).available() for v in find(name).variants())
