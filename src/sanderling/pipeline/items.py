"""What a person gives to a model: pictures, folders, patterns, videos, arrays; one thing after another."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import SampleError, UsageError
from sanderling.files import expanded
from sanderling.graph.types import Array
from sanderling.pipeline.item import Item, Source
from sanderling.pipeline.video import camera, video
from sanderling.samples.inputs import Input
from sanderling.samples.open import Manner, open_path
from sanderling.samples.source import Source as Rows
from sanderling.tasks.input_kind import InputKind

VIDEOS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv"})
_PATTERN = "*?["


@dataclass(frozen=True, slots=True)
class Port:
    """An input of the model and the kind that opens files for it."""

    spec: Input
    kind: InputKind


def sources(given: Any, ports: Sequence[Port]) -> list[Source]:
    """Finds all that was given.

    Args:
        given: a path, pattern, ``name=path``, camera number, PIL image, text, array or mapping by input's
            name; or a list of these. Several ``name=path`` make one item.
        ports: the model's inputs.

    Raises:
        UsageError, SampleError: there is no such file, or nothing in it that the model takes.
    """
    parts = list(given) if isinstance(given, list | tuple) else [given]
    pairs = {k: v for each in parts if isinstance(each, str) for k, v in _pair(each, ports)}
    rest = [each for each in parts if not (isinstance(each, str) and _pair(each, ports))]
    found = [_pairs(pairs, ports)] if pairs else []
    if ports[0].kind.name == "text":
        texts = tuple(each for each in rest if isinstance(each, str) and not _exists(each))
        found += [_texts(texts, ports)] if texts else []
        rest = [each for each in rest if each not in texts]
    for each in rest:
        found += _sources(each, ports)
    if not found:
        raise UsageError("nothing was given to run the model on", where="INPUT")
    return found


def _pair(text: str, ports: Sequence[Port]) -> list[tuple[str, str]]:
    name, sign, value = text.partition("=")
    known = [port.spec.name for port in ports]
    free = len(ports) == 1 or ports[0].kind.name == "text"  # a sentence may hold a sign of equality
    if not sign or _exists(text) or (name not in known and free):
        return []
    if name not in known:
        raise UsageError(f"there is no input {name!r}", where=text, hint=f"inputs are: {', '.join(known)}")
    return [(name, value)]


def _exists(text: str) -> bool:
    """Returns: whether this is a path and not a sentence, which may be longer than a path can be."""
    return os.path.exists(os.path.expanduser(text))


def _pairs(pairs: Mapping[str, str], ports: Sequence[Port]) -> Source:
    missing = [port.spec.name for port in ports if port.spec.name not in pairs]
    if missing:
        raise UsageError(
            f"input {missing[0]!r} is missing", where="INPUT", hint=f"give {missing[0]}=FILE as well"
        )
    return _one(" ".join(f"{k}={v}" for k, v in pairs.items()), dict(pairs), ports)


def _texts(texts: tuple[str, ...], ports: Sequence[Port]) -> Source:
    """Sentences are one item: what they have in common is part of the answer."""
    name = texts[0] if len(texts) == 1 else f"{len(texts)} sentences"
    return Source(
        name, lambda: iter([Item(name, lambda: {port.spec.name: texts for port in ports}, "sentences")]), 1
    )


def _one(name: str, values: Mapping[str, Any], ports: Sequence[Port]) -> Source:
    """A single item made of one value per input."""

    def opened() -> Mapping[str, Any]:
        return {port.spec.name: _value(values[port.spec.name], port) for port in ports}

    return Source(name, lambda: iter([Item(name, opened, "answer")]), 1)


def _value(value: Any, port: Port) -> Any:
    if not isinstance(value, str | Path):
        return value
    path = expanded(value)
    if path.suffix.lower() == ".npy":
        from sanderling.samples.arrays import load_array

        return np.asarray(load_array(path))
    if isinstance(value, str) and port.kind.name == "text" and not _exists(value):
        return value
    if not path.is_file():
        numbers = _numbers(value) if isinstance(value, str) else None
        if numbers is not None:
            return numbers.reshape(port.spec.shape) if numbers.size == np.prod(port.spec.shape) else numbers
        raise SampleError("there is no such file", where=str(value))
    return port.kind.open(path)


def _numbers(text: str) -> Any:
    """Returns: an array of numbers typed as ``3`` or ``1,2.5``, None when it is none."""
    try:
        return np.array([float(part) for part in text.split(",")])
    except ValueError:
        return None


def _sources(given: Any, ports: Sequence[Port]) -> list[Source]:
    if isinstance(given, Mapping):
        return [_one("the arrays", given, ports)]
    if not isinstance(given, str | Path):
        return [_in_memory(given, ports)]
    path = expanded(given)
    kind = ports[0].kind
    if path.is_dir():
        return [_folder(path, ports)]
    if path.exists():
        return [_file(path, ports)]
    text = str(given)
    if any(c in text for c in _PATTERN):
        matches = sorted(Path(each) for each in glob.glob(str(path), recursive=True))
        files = [each for each in matches if each.is_file()]
        if not files:
            raise SampleError("no file matches this pattern", where=text)
        return [_file(each, ports) for each in files]
    if text.isdigit() and kind.name == "image":
        return [camera(int(text), ports[0].spec.name)]
    numbers = _numbers(text)
    if numbers is not None and len(ports) == 1 and kind.name == "array":
        return [_one(text, {ports[0].spec.name: text}, ports)]
    raise SampleError("there is no such file or folder", where=text)


def _in_memory(given: Any, ports: Sequence[Port]) -> Source:
    name = "the array" if isinstance(given, np.ndarray) else f"the {type(given).__name__.lower()}"
    if len(ports) != 1:
        names = ", ".join(port.spec.name for port in ports)
        raise SampleError(f"the model has {len(ports)} inputs ({names})", where=name, hint="give a mapping")
    if isinstance(given, np.ndarray) and ports[0].kind.name == "image" and _looks_drawn(given):
        from PIL import Image

        given = Image.fromarray(given)
    return _one(name, {ports[0].spec.name: given}, ports)


def _looks_drawn(array: Any) -> bool:
    return bool(
        array.dtype == np.uint8 and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)))
    )


def _file(path: Path, ports: Sequence[Port]) -> Source:
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        return _arrays(path, ports)
    if suffix in VIDEOS and ports[0].kind.name == "image":
        return video(path, ports[0].spec.name)
    if len(ports) != 1 and ports[0].kind.name != "text":
        names = ", ".join(f"{port.spec.name}=FILE" for port in ports)
        raise SampleError(
            f"one file cannot feed a model with {len(ports)} inputs", where=str(path), hint=f"give {names}"
        )
    if ports[0].kind.name == "array":
        raise SampleError(
            f"the model takes {ports[0].spec}, which this file cannot give", where=str(path),
            hint="give numbers as .npy or .npz",
        )  # fmt: skip
    item = Item(str(path), lambda: opened_file(path, ports), path.name, path)
    return Source(str(path), lambda: iter([item]), 1)


def opened_file(path: Path, ports: Sequence[Port]) -> Mapping[str, Any]:
    """Returns: what a file gives to each input.

    Raises:
        SampleError: it cannot be read.
    """
    raw = ports[0].kind.open(path)
    return {port.spec.name: raw for port in ports}


def _arrays(path: Path, ports: Sequence[Port]) -> Source:
    """Rows of an .npy or .npz, one item each; pictures among them are fed as pictures."""
    source = open_path(path, [port.spec for port in ports], Manner()).source
    many = len(source) > 1

    def item(index: int) -> Item:
        def opened() -> Mapping[str, Any]:
            return opened_row(source, index, ports)

        name, short = (f"{path}[{index}]", f"{path.stem}-{index}") if many else (str(path), path.name)
        return Item(name, opened, short, None if many else path)

    return Source(str(path), lambda: (item(i) for i in range(len(source))), len(source))


def opened_row(source: Rows, index: int, ports: Sequence[Port]) -> Mapping[str, Any]:
    """Returns: one row of a source of arrays, by input's name; a picture as a picture.

    Raises:
        SampleError: it cannot be read.
    """
    pixels = source.pixels(index) if ports[0].kind.name == "image" and source.normalized else None
    return source.feed(index) if pixels is None else {ports[0].spec.name: as_picture(pixels)}


def as_picture(pixels: Array) -> Any:
    """Returns: pixels [H,W,C], 0 to 255, as a PIL image."""
    from PIL import Image

    drawn = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    return Image.fromarray(np.ascontiguousarray(drawn.astype(np.uint8)))


def _folder(root: Path, ports: Sequence[Port]) -> Source:
    kind = ports[0].kind
    files = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(folder) / name for name in sorted(names) if not name.startswith(".")]
    chosen = [path for path in files if path.suffix.lower() in kind.suffixes]
    if len(ports) != 1:
        raise SampleError(f"a folder cannot feed {len(ports)} inputs", where=str(root), hint="give an .npz")
    if not chosen:
        raise SampleError(f"the folder holds no {kind.what}", where=str(root))

    def item(path: Path) -> Item:
        short = path.relative_to(root).as_posix()
        return Item(str(path), lambda: opened_file(path, ports), short, path)

    return Source(str(root), lambda: (item(path) for path in chosen), len(chosen))
