"""A ``.pt2`` file, read and converted in a process of its own, where it may crash or fill the memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sanderling.convert.conversion import Conversion, Wishes
from sanderling.convert.lowered import keep, lowered_apart
from sanderling.convert.torch.archive import read_program
from sanderling.convert.torch.lower import conversion_of, lower
from sanderling.convert.torch.program import describe

_HERE = "sanderling.convert.torch.isolated"


def convert_file(path: Path, wishes: Wishes) -> Conversion:
    """Converts a ``.pt2`` file.

    Raises:
        ConvertError, FormatError: see ``read_program`` and ``lower``.
    """
    return conversion_of(lowered_apart("PyTorch", f"{_HERE}:load", path, wishes, layout=wishes.layout))


def load(path: str, shapes: Mapping[str, Sequence[int]], layout: str) -> dict[str, Any]:
    """Reads and lowers a file; called in the worker.

    Returns: see ``keep``.

    Raises:
        ConvertError, FormatError: it cannot be read or converted.
    """
    import warnings

    warnings.simplefilter("ignore")  # what PyTorch says of itself; this process does nothing else
    wishes = Wishes({name: tuple(sizes) for name, sizes in shapes.items()}, layout)
    return keep(lower(describe(read_program(Path(path)), wishes, path), layout))
