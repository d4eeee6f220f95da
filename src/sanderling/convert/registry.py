"""Finds converters: the folder is the registry, every file or folder here with a ``CONVERTER`` is one."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from pathlib import Path

from sanderling.convert.conversion import Converter
from sanderling.errors import FormatError, UsageError
from sanderling.files import expanded


@cache
def converters() -> tuple[Converter, ...]:
    """Returns: all converters, sorted by name; none of their frameworks is imported."""
    package = importlib.import_module("sanderling.convert")
    found = []
    for module in pkgutil.iter_modules(package.__path__):
        converter = getattr(importlib.import_module(f"sanderling.convert.{module.name}"), "CONVERTER", None)
        if converter is not None:
            found.append(converter)
    return tuple(sorted(found, key=lambda each: each.name))


def reader_of(path: Path) -> Converter | None:
    """Returns: the converter that reads what lies at this path, None for a ``.tflite``."""
    return next((each for each in converters() if each.reads(path)), None)


def converter_for(source: object) -> Converter:
    """Returns: the converter for a path or a live object.

    Raises:
        FormatError: there is nothing at the path, or no converter reads it.
        UsageError: the object is no model of a framework that is known.
    """
    known = "; ".join(each.what for each in converters())
    if isinstance(source, str | Path):
        path = expanded(source)
        if not path.exists():
            raise FormatError("there is no such file", where=str(path), hint="check the path")
        found = reader_of(path)
        if found is None:
            raise FormatError("is nothing that can be converted", where=str(path), hint=f"what can: {known}")
        return found
    live = next((each for each in converters() if each.takes(source)), None)
    if live is None:
        raise UsageError(
            f"a {type(source).__module__}.{type(source).__qualname__} is no model that can be converted",
            where="source",
            hint=f"what can: {known}",
        )
    return live
