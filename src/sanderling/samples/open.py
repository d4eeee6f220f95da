"""Finds out what kind of source a user gave, and opens it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.types import Array
from sanderling.samples import audio, images
from sanderling.samples.arrays import ArrayRows, NpyFolder, RawRows, array_rows, load_array, load_npz
from sanderling.samples.files import AnyFiles
from sanderling.samples.inputs import Input
from sanderling.samples.source import Source, files_identity
from sanderling.samples.table import read_table

LABEL_FILE = "labels.csv"
KNOWN = "a folder of images, WAV or .npy files, or an .npz, .npy or .csv"


@dataclass(frozen=True, slots=True)
class Opened:
    """A source with what was found beside it: a label file, notes."""

    source: Source
    label_file: Path | None = None
    notes: tuple[str, ...] = ()


def open_arrays(given: Mapping[str, Any] | Any, inputs: Sequence[Input], *, preprocessed: bool) -> Opened:
    """Opens arrays in memory: one, or several by input name."""
    arrays: dict[str, Array] = (
        {str(k): np.asarray(v) for k, v in given.items()}
        if isinstance(given, Mapping)
        else {inputs[0].name if len(inputs) == 1 else "x": np.asarray(given)}
    )
    return Opened(array_rows(arrays, inputs, "arrays", preprocessed=preprocessed))


def open_path(path: Path, inputs: Sequence[Input], *, rate: int | None, preprocessed: bool) -> Opened:
    """Opens a folder or a file.

    Args:
        rate: the sample rate that WAVs are brought to, None to leave them.
        preprocessed: a user's function makes the inputs.

    Raises:
        SampleError: nothing there, nothing usable in it, or it does not fit the model.
    """
    if path.is_dir():
        return _open_folder(path, inputs, rate=rate, preprocessed=preprocessed)
    if not path.exists():
        raise SampleError("there is no such file or folder", where=str(path), hint=f"give {KNOWN}")
    suffix = path.suffix.lower()
    if suffix == ".npz":
        arrays, key = load_npz(path), files_identity([path], path.parent)
        return Opened(array_rows(arrays, inputs, path.name, preprocessed=preprocessed, key=key))
    if suffix == ".npy":
        array = load_array(path)
        name = inputs[0].name if len(inputs) == 1 else "x"
        key = files_identity([path], path.parent)
        return Opened(array_rows({name: array}, inputs, path.name, preprocessed=preprocessed, key=key))
    if suffix in (".csv", ".tsv"):
        return Opened(_open_table(path, inputs, preprocessed=preprocessed))
    if suffix in images.SUFFIXES | audio.SUFFIXES:
        return Opened(_open_files([path], path.parent, suffix, inputs, rate, preprocessed))
    if preprocessed:
        return Opened(AnyFiles((path,), path.parent))
    if suffix == ".txt":
        raise SampleError(
            "text cannot be fed as it is",
            where=str(path),
            hint="give an .npz of token arrays under the inputs' names, or --preprocess file.py:fn",
        )
    raise SampleError(
        f"samples of kind {suffix or 'without suffix'!r} are not known", where=str(path), hint=f"give {KNOWN}"
    )


def _open_table(path: Path, inputs: Sequence[Input], *, preprocessed: bool) -> Source:
    arrays, labels, notes = read_table(path, inputs)
    key = files_identity([path], path.parent)
    source: ArrayRows | RawRows = array_rows(arrays, inputs, path.name, preprocessed=preprocessed, key=key)
    if isinstance(source, ArrayRows):
        return replace(source, labels=labels, own_notes=source.own_notes + notes)
    return replace(source, labels=labels, notes=source.notes + notes)


def _walk(root: Path) -> list[Path]:
    """Returns: every file below the folder but hidden ones, sorted by its relative path."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.extend(Path(folder) / name for name in names if not name.startswith("."))
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    return "images" if suffix in images.SUFFIXES else "WAV files" if suffix in audio.SUFFIXES else suffix


def _open_folder(root: Path, inputs: Sequence[Input], *, rate: int | None, preprocessed: bool) -> Opened:
    label_file = root / LABEL_FILE if (root / LABEL_FILE).is_file() else None
    files = [path for path in _walk(root) if path != label_file]
    kinds = Counter(_kind(path) for path in files)
    usable = [kind for kind in ("images", "WAV files", ".npy") if kinds[kind]]
    listed = ", ".join(f"{count} {kind or 'without suffix'}" for kind, count in kinds.most_common(6))
    if not files:
        raise SampleError("the folder is empty", where=str(root), hint=f"give {KNOWN}")
    if len(usable) > 1:
        raise SampleError(f"the folder mixes {listed}", where=str(root), hint="give a folder of one kind")
    if usable:
        chosen = [path for path in files if _kind(path) == usable[0]]
        source = _open_files(chosen, root, chosen[0].suffix.lower(), inputs, rate, preprocessed)
        left = len(files) - len(chosen)
        notes = (f"{left} other files in {root} left out ({listed})",) if left else ()
        return Opened(source, label_file, notes)
    single = [path for path in files if path.suffix.lower() in (".npz", ".csv", ".tsv")]
    if len(single) == 1:
        opened = open_path(single[0], inputs, rate=rate, preprocessed=preprocessed)
        return replace(opened, label_file=label_file)
    if preprocessed:
        return Opened(AnyFiles(tuple(files), root), label_file)
    raise SampleError(
        f"no samples of a known kind in the folder, found {listed}",
        where=str(root),
        hint=f"give {KNOWN}, or --preprocess file.py:fn that reads these files",
    )


def _open_files(
    paths: Sequence[Path],
    root: Path,
    suffix: str,
    inputs: Sequence[Input],
    rate: int | None,
    preprocessed: bool,
) -> Source:
    if suffix in images.SUFFIXES:
        return images.image_files(paths, root, inputs, preprocessed=preprocessed)
    if suffix in audio.SUFFIXES:
        return audio.wav_files(paths, root, inputs, rate=rate, preprocessed=preprocessed)
    if preprocessed:
        return AnyFiles(tuple(paths), root)
    if len(inputs) != 1:
        raise SampleError(
            f".npy files feed a model with one input, this one has {len(inputs)}",
            where=str(root),
            hint="give an .npz with one array per input",
        )
    return NpyFolder(tuple(paths), root, inputs[0])
