"""Makes a ``.tflite`` of what a package carries as bare weights. The folder is the registry.

A builder is a file here with a function ``build(weights: Path) -> Model``; a card names it in ``build``. It
runs nothing that is in the file, needs no framework, and gives the same model on every machine.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

from sanderling.errors import FormatError
from sanderling.graph.graph import Model


def names() -> list[str]:
    """Returns: the builders there are."""
    return sorted(file.stem for file in Path(__file__).parent.glob("[a-z]*.py"))


def build(name: str, weights: Path) -> Model:
    """Makes a model.

    Args:
        name: the builder that a card names.
        weights: the file that the package carries.

    Raises:
        FormatError: it is damaged, or holds weights of another net.
    """
    module: Any = importlib.import_module(f"{__name__}.{name}")
    try:
        made: Model = module.build(weights)
    except KeyError as error:
        raise FormatError(f"has no weights {error.args[0]!r}", where=str(weights)) from None
    except ValueError as error:
        raise FormatError(f"holds weights of another net ({error})", where=str(weights)) from None
    return made


def identity() -> str:
    """Returns: a text that changes whenever a builder does: what was built before is then built again."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
