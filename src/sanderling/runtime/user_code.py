"""Functions from a user's own Python file: ``--preprocess file.py:fn``, ``--metric file.py:fn``."""

from __future__ import annotations

import importlib.util
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sanderling.errors import UsageError


def user_function(spec: str, option: str) -> Callable[..., Any]:
    """Loads a function from a user's own Python file.

    Args:
        spec: ``file.py:fn``.
        option: the option it was given to, for errors.

    Raises:
        UsageError: no such file or function, or the file fails when it is loaded.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file)
    if not file or not name.isidentifier():
        raise UsageError(f"got {spec!r}, expected file.py:function", where=option)
    if not path.is_file():
        raise UsageError(f"there is no file {file}", where=option)
    unique = f"sanderling_user_{path.stem}_{zlib.crc32(str(path.resolve()).encode()):08x}"
    loaded = importlib.util.spec_from_file_location(unique, path)
    if loaded is None or loaded.loader is None:
        raise UsageError(f"{file} is no Python file", where=option)
    module = importlib.util.module_from_spec(loaded)
    sys.modules[unique] = module
    try:
        loaded.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's code may raise anything; it is told, not hidden
        raise UsageError(
            f"{file} fails when it is loaded ({type(error).__name__}: {error})", where=option
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        defined = ", ".join(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
        raise UsageError(
            f"{file} has no function {name!r}", where=option, hint=f"it has: {defined or 'none'}"
        )
    result: Callable[..., Any] = function
    return result
