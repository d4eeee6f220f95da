"""Makes a ``.tflite`` of what a package carries as bare weights. The folder is the registry.

A builder is a file here with a function ``build(weights: Path) -> Model``; a card names it in ``build``. It
runs nothing that is in the file, needs no framework, and gives the same model on every machine.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sanderling.graph.graph import Model

Builder = Callable[[Path], Model]


def names() -> list[str]:
    """Returns: the builders there are."""
    return sorted(file.stem for file in Path(__file__).parent.glob("[a-z]*.py"))


def find(name: str) -> Builder:
    """Returns: the builder that a card names."""
    module: Any = importlib.import_module(f"{__name__}.{name}")
    build: Builder = module.build
    return build


def identity() -> str:
    """Returns: a text that changes whenever a builder does: what was built before is then built again."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
