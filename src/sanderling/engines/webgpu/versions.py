"""Versions of installed packages, found without ``importlib.metadata``, whose import takes 10 ms."""

from __future__ import annotations

import os
import sys
from functools import cache


@cache
def version_of(package: str) -> str:
    """Returns: the version of an installed package, by the name of its ``.dist-info`` folder (the packaging
    standard's ``NAME-VERSION.dist-info``), else as ``importlib.metadata`` tells it; "?" where it is none."""
    start = package.replace("-", "_").lower() + "-"
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        for name in names:
            if name.endswith(".dist-info") and name.lower().startswith(start):
                return name[len(start) : -len(".dist-info")]
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "?"
