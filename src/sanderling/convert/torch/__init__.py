"""PyTorch: archives of ``torch.export`` and live modules with example inputs, through ``litert-torch``."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from pathlib import Path

from sanderling.convert.conversion import Conversion, Converter, Wishes
from sanderling.errors import ConvertError, FormatError, MissingExtra

EXPORT = "save it with torch.export.save(torch.export.export(model.eval(), (x,)), 'model.pt2')"
# Endings of pickles, of which nothing is ever read.
_PICKLES = {".pt", ".pth", ".ckpt"}


def reads(path: Path) -> bool:
    """Returns: whether a file is PyTorch's, also of a kind that is refused with a reason."""
    return path.suffix.lower() in {".pt2", *_PICKLES} and path.is_file()


def takes(source: object) -> bool:
    """Returns: whether an object is a module or an exported program, without importing torch."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    return isinstance(source, torch.nn.Module | torch.export.ExportedProgram)


def convert(source: object, wishes: Wishes) -> Conversion:
    """Converts a ``.pt2`` file, a module with ``wishes.example``, or an exported program.

    Raises:
        ConvertError: it cannot be converted.
        FormatError: the file is damaged or of another kind.
        MissingExtra: litert-torch is not installed.
        UsageError: a wish does not fit the source.
    """
    path = Path(source) if isinstance(source, str | Path) else None
    if path is not None:
        refuse_pickles(path)
    if any(importlib.util.find_spec(name) is None for name in ("torch", "litert_torch")):
        raise MissingExtra("converting PyTorch models", "torch")
    if path is not None:
        from sanderling.convert.torch.isolated import convert_file

        return convert_file(path, wishes)
    from sanderling.convert.quiet import quiet
    from sanderling.convert.torch.lower import conversion_of, lower
    from sanderling.convert.torch.program import open_source

    with quiet():
        return conversion_of(lower(open_source(source, wishes), wishes.layout))


def refuse_pickles(path: Path) -> None:
    """Says what a file is that would have to be unpickled: that runs whatever its author wrote into it.

    Raises:
        ConvertError: it is one.
        FormatError: it is empty or missing.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = {name.partition("/")[2] for name in archive.namelist()}
        else:
            names = set()
    except FileNotFoundError:
        raise FormatError("there is no such file", where=where, hint="check the path") from None
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise FormatError(f"is no readable .pt2 archive ({error})", where=where, hint=EXPORT) from None
    if not start:
        raise FormatError("the file is empty", where=where, hint="download or export it again")
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise ConvertError("is TorchScript, whose code runs when it is loaded", where=where, hint=EXPORT)
    if "data.pkl" in names or start[:1] == b"\x80":
        raise ConvertError(
            "is a pickle (of weights or a module), which is never opened: that would run code of the file",
            where=where,
            hint=f"load the weights into your own module, then {EXPORT}",
        )
    if not names:
        raise FormatError("is no .pt2 archive, or a damaged one", where=where, hint=EXPORT)


PACKAGES = ("torch", "litert-torch", "litert-converter")
CONVERTER = Converter(
    "torch", "a PyTorch program (.pt2)", "torch", reads, takes, convert, PACKAGES, (".pt2",)
)  # fmt: skip
