"""Looks at a Keras file before Keras does: nothing in it may run code, or lead out of it.

A ``.keras`` file is a zip of ``config.json`` and ``model.weights.h5``; a ``.h5`` file is HDF5 with the config
as an attribute. Keras makes objects of whatever module and class the config names, and evaluates the bytecode
of Lambda layers: neither is let through.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from sanderling.errors import ConvertError, FormatError

HDF5 = b"\x89HDF\r\n\x1a\n"
_MOST_PACKED = (
    64  # times its size on disk: Keras compresses nothing, and what is packed again seldom shrinks much
)
_SPARE = 1 << 20  # bytes that anything may have beyond that
_LARGEST_CONFIG = 64 << 20
_PICKLED = "a pickle, which is never opened: loading one runs whatever its author wrote into it"


def check(path: Path) -> None:
    """Refuses what Keras must not be given.

    Raises:
        ConvertError: a layer holds code or is a class of another package.
        FormatError: the file is damaged, of another kind, or holds no whole model.
    """
    with path.open("rb") as file:
        start = file.read(8)
    try:
        if start.startswith(b"PK"):
            _check_zip(path)
        elif start == HDF5:
            with path.open("rb") as file:
                _check_config(_check_hdf5(file, path, whole=True), path)
        else:
            raise FormatError(_wrong_start(start), where=str(path), hint="save it with model.save(...)")
    except (zipfile.BadZipFile, OSError, KeyError, RuntimeError, NotImplementedError) as error:
        raise FormatError(f"is damaged ({_line(error)})", where=str(path), hint="save it again") from None


def _wrong_start(start: bytes) -> str:
    if start[:1] == b"\x80" and len(start) > 1 and start[1] <= 5:
        return f"is no Keras file but {_PICKLED}"
    return f"is neither a .keras archive nor HDF5 (it begins with {start!r})" if start else "is empty"


def _check_zip(path: Path) -> None:
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > _MOST_PACKED * size + _SPARE:
            raise FormatError(f"has {size} bytes and would unpack to {unpacked}", where=str(path))
        names = archive.namelist()
        if "config.json" not in names:
            raise FormatError("holds no config.json: it is no .keras archive", where=str(path))
        if archive.getinfo("config.json").file_size > _LARGEST_CONFIG:
            raise FormatError("has a config.json of more than 64 MB", where=str(path))
        _check_config(archive.read("config.json"), path)
        for name in names:
            if name.endswith((".h5", ".hdf5")):
                data = archive.read(name)
                _check_hdf5(io.BytesIO(data), path, whole=False)
            elif not name.endswith((".json", "/")) and not name.startswith("assets/"):
                raise FormatError(f"holds {name!r}, which no .keras archive does", where=str(path))


def _check_hdf5(file: IO[bytes], path: Path, *, whole: bool) -> bytes:
    """Refuses links and storage out of the file, and arrays that are larger than what is stored.

    Returns: the model's config, b"" where it is not asked for.
    """
    import h5py

    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    with h5py.File(file, "r") as opened:
        declared = 0
        for name, found in _members(opened):
            wrong = _wrong_member(found)
            if wrong:
                raise FormatError(f"{name!r} {wrong}", where=str(path), hint="save it again")
            declared += found.nbytes if isinstance(found, h5py.Dataset) else 0
        if declared > _MOST_PACKED * size + _SPARE:
            raise FormatError(f"has {size} bytes and declares arrays of {declared}", where=str(path))
        if not whole:
            return b""
        config = opened.attrs.get("model_config")
    if config is None:
        raise FormatError(
            "holds weights but no architecture",
            where=str(path),
            hint="build the model in Python, load_weights(...), and save it whole or convert it live",
        )
    return config.encode() if isinstance(config, str) else bytes(config)


def _wrong_member(found: Any) -> str:
    import h5py

    if isinstance(found, h5py.ExternalLink):
        return "is a link to another file"
    if isinstance(found, h5py.SoftLink):
        return "is a link, which Keras never writes"
    if not isinstance(found, h5py.Dataset):
        return ""
    if found.external or found.is_virtual:
        return "keeps its data in another file"
    if found.dtype.kind == "O" and h5py.check_string_dtype(found.dtype) is None:
        return "holds neither numbers nor text"
    return ""


def _members(group: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yields: every link and object below a group, links that lead elsewhere unopened."""
    import h5py

    if depth > 64:
        raise FormatError(f"{prefix!r} is nested more than 64 deep")
    for name in group:
        link = group.get(name, getlink=True)
        path = f"{prefix}/{name}"
        if not isinstance(link, h5py.HardLink):
            yield path, link
            continue
        found = group.get(name)
        yield path, found
        if isinstance(found, h5py.Group):
            yield from _members(found, path, depth + 1)


def _check_config(text: bytes, path: Path) -> None:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"its config is not JSON ({_line(error)})", where=str(path)) from None
    for found in _objects(config):
        kind = str(found.get("class_name", ""))
        settings = found.get("config")
        name = str(settings.get("name", "")) if isinstance(settings, Mapping) else ""
        called = f"layer {name!r}" if name else f"a {kind}"
        if kind in _CODE:
            raise ConvertError(
                f"{called} is a {kind.strip('_')}, which {_CODE[kind]}",
                where=str(path),
                hint="write it as a layer, or build the model in Python and convert it live",
            )
        if isinstance(settings, Mapping) and isinstance(settings.get("vocabulary"), str):
            raise ConvertError(
                f"{called} takes its vocabulary from {settings['vocabulary']!r}, a file outside of the model",
                where=str(path),
                hint="look words up before the model, and give it integers",
            )
        own, package, _ = str(found.get("registered_name") or "").rpartition(">")
        if _root(found.get("module")) not in _KNOWN or (package and own not in _KNOWN):
            raise ConvertError(
                f"{called} is a {kind} of {own or found.get('module')}, a class that is not in the file",
                where=str(path),
                hint="load the model in Python, where that class is known, and convert it live",
            )


# Layers that are more than settings and weights, and what is wrong with them.
_CODE = {
    "Lambda": "holds Python code: code from a file is never run",
    "__lambda__": "holds Python code: code from a file is never run",
    "TorchModuleWrapper": "holds a pickle, which is never opened",
    "TFSMLayer": "reads another folder",
    "TFOpLambda": "calls TensorFlow, and Keras 3 cannot read it",
    "SlicingOpLambda": "calls TensorFlow, and Keras 3 cannot read it",
}
# Where Keras's own classes come from; old files do not tell.
_KNOWN = {"", "keras", "builtins"}


def _root(module: object) -> str:
    return "" if module is None else str(module).partition(".")[0]


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yields: every object in the config that says of which class it is."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Mapping):
            if "class_name" in found or "function_type" in found:
                yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
