"""Opens a ``.pt2`` archive of ``torch.export`` without running anything that is in it.

``torch.export.load`` unpickles, imports modules that the file names, compiles strings of the file as Python
and looks up any name of the module ``torch`` as an operator. So an archive is looked through first: every
entry is plain bytes or JSON, and the JSON holds nothing but tensors, names and operators (``innocence.py``).
What is handed to ``torch.export.load`` is a new archive of the entries that were checked, and of no others.
"""

from __future__ import annotations

import io
import json
import logging
import re
import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.convert.torch.innocence import Suspect, check_program
from sanderling.errors import ConvertError, FormatError

if TYPE_CHECKING:
    from torch.export import ExportedProgram

EXPORT_HINT = "save it with torch.export.save(torch.export.export(model.eval(), (x,)), 'model.pt2')"
_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError, RuntimeError)
_JSON_LIMIT = 256 * 1024 * 1024  # bytes; the graph of a large language model is some 20 MB
_PAYLOAD = re.compile(r"(?:weight|tensor)_\d+")
_MODEL, _PROGRAM = "model", "models/model.json"
# Folder of a payload → its list.
_LISTS = {
    "data/weights": f"data/weights/{_MODEL}_weights_config.json",
    "data/constants": f"data/constants/{_MODEL}_constants_config.json",
}
_DTYPES = range(1, 14)  # of torch's schema: uint8 … bfloat16


def read_program(path: Path) -> ExportedProgram:
    """Returns: the exported program of a ``.pt2`` file.

    Raises:
        FormatError: it is damaged, or holds something else.
        ConvertError: it needs something that would run code of the file.
    """
    import torch

    plain = _plain_archive(path)
    logger = logging.getLogger("torch.export")
    before, logger.disabled = logger.disabled, True  # it logs what is raised here, traceback and all
    try:
        return torch.export.load(plain)
    except Exception as error:  # noqa: BLE001 - torch raises any kind for a graph that does not fit together
        raise FormatError(
            f"PyTorch {torch.__version__} cannot read the program ({first_line(error)})",
            where=str(path),
            hint="export it again with this version",
        ) from None
    finally:
        logger.disabled = before


def _plain_archive(path: Path) -> io.BytesIO:
    """Returns: an archive of the entries of ``path`` that were found to be harmless."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _entries(archive, path)
            program, lists = _described(archive, entries)
            plain = io.BytesIO()
            with zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as out:
                for name, data in {
                    "archive_format": b"pt2", "archive_version": b"0", ".data/version": b"6\n",
                    "byteorder": b"little", _PROGRAM: json.dumps(program).encode(),
                    f"data/sample_inputs/{_MODEL}.pt": b"",
                }.items():  # fmt: skip
                    out.writestr(f"{_MODEL}/{name}", data)
                for folder, listed in lists.items():
                    out.writestr(f"{_MODEL}/{_LISTS[folder]}", json.dumps({"config": listed}))
                    for payload in sorted({each["path_name"] for each in listed.values()}):
                        name = f"{folder}/{payload}"
                        out.writestr(f"{_MODEL}/{name}", archive.read(entries[name]))
    except Suspect as error:
        raise ConvertError(str(error), where=str(path), hint=error.hint or EXPORT_HINT) from None
    except _BROKEN as error:
        raise FormatError(
            f"is no readable .pt2 archive ({first_line(error)})", where=str(path), hint=EXPORT_HINT
        ) from None
    plain.seek(0)
    return plain


def _entries(archive: zipfile.ZipFile, path: Path) -> Mapping[str, zipfile.ZipInfo]:
    """Returns: the entries by their name below the archive's one folder.

    Raises:
        Suspect: it is an archive of something else.
        ValueError: it would unpack to more than it is.
    """
    infos = archive.infolist()
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise ValueError("its entries are compressed, which PyTorch never does")
    if sum(info.file_size for info in infos) > path.stat().st_size:
        raise ValueError("its entries are larger than the file")
    entries = {info.filename.partition("/")[2]: info for info in infos}
    if "serialized_exported_program.json" in {info.filename for info in infos}:
        raise Suspect("was saved by a PyTorch before 2.8, which pickled the weights")
    if any(name.startswith("data/aotinductor/") for name in entries):
        raise Suspect("holds machine code (an AOTInductor package), which is never loaded")
    if "archive_format" not in entries or archive.read(entries["archive_format"]) != b"pt2":
        raise Suspect("is a zip file, but no archive of torch.export")
    if _PROGRAM not in entries:
        models = sorted(name[7:-5] for name in entries if name.startswith("models/"))
        raise Suspect(
            f"holds {', '.join(map(repr, models[:5])) or 'no program'}, expected one program 'model'"
        )
    return entries


def _described(
    archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Returns: the program, and per folder of payloads their list, all checked.

    Raises:
        Suspect: something in it would run code.
        ValueError: something does not fit together.
    """
    program = check_program(_json(archive, entries, _PROGRAM))
    lists: dict[str, dict[str, Any]] = {}
    for folder, name in _LISTS.items():
        if name not in entries:
            raise ValueError(f"{name} is missing")
        listed = _json(archive, entries, name).get("config")
        if not isinstance(listed, dict):
            raise ValueError(f"{name} lists nothing")
        for key, each in listed.items():
            _check_payload(key, each, entries, folder)
        lists[folder] = listed
    return program, lists


def _json(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], name: str) -> dict[str, Any]:
    if entries[name].file_size > _JSON_LIMIT:
        raise ValueError(f"{name} is larger than {_JSON_LIMIT} bytes")
    try:
        value = json.loads(archive.read(entries[name]))
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"{name} holds no object")
    return value


def _check_payload(key: str, each: Any, entries: Mapping[str, zipfile.ZipInfo], folder: str) -> None:
    """Raises: Suspect or ValueError, if a tensor is not plain bytes that lie in the archive."""
    name = each.get("path_name") if isinstance(each, dict) else None
    if not isinstance(name, str) or each.get("use_pickle") is not False or not _PAYLOAD.fullmatch(name):
        raise Suspect(f"holds {key!r} as a pickle, and these are never opened")
    meta = each.get("tensor_meta")
    if f"{folder}/{name}" not in entries or not isinstance(meta, dict):
        raise ValueError(f"the bytes of {key!r} are missing")
    sizes = [size.get("as_int") if isinstance(size, dict) else None for size in meta.get("sizes", ())]
    known = [size for size in sizes if isinstance(size, int) and size >= 0]
    if meta.get("dtype") not in _DTYPES or len(known) != len(sizes):
        raise ValueError(f"{key!r} has sizes or a type that are not known")
    if prod(known) and not entries[f"{folder}/{name}"].file_size:
        raise ValueError(f"the bytes of {key!r} are missing")


def first_line(error: BaseException) -> str:
    """Returns: the first line of what an error says, cut to a readable length."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
