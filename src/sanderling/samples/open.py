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
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.samples import audio, images
from sanderling.samples.arrays import ArrayRows, NpyFolder, RawRows, array_rows, load_array, load_npz
from sanderling.samples.ear import constant_of, ear_of
from sanderling.samples.features.choose import Wanted
from sanderling.samples.files import AnyFiles
from sanderling.samples.inputs import Input
from sanderling.samples.sentences import read_lines, sentences
from sanderling.samples.source import Source, files_identity
from sanderling.samples.table import read_table
from sanderling.samples.wav import wav_format

LABEL_FILE = "labels.csv"
KNOWN = "a folder of images, WAV or .npy files, or an .npz, .npy, .csv or .txt"


@dataclass(frozen=True, slots=True)
class Manner:
    """How sources are read.

    Attributes:
        model: what they are for; None where only arrays are read.
        preprocessed: a user's function makes the inputs.
        rate: Hz that WAVs are brought to, None to leave them.
        hop: seconds between windows of sound, None for the usual.
        front_end: what makes features of sound, see ``features.choose``.
        tokenizer: for sentences; None for the one beside the model.
    """

    model: Model | None = None
    preprocessed: bool = False
    rate: int | None = None
    hop: float | None = None
    front_end: Wanted = None
    tokenizer: str | Path | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A source with what was found beside it: a label file, notes."""

    source: Source
    label_file: Path | None = None
    notes: tuple[str, ...] = ()


def open_arrays(given: Mapping[str, Any] | Any, inputs: Sequence[Input], manner: Manner) -> Opened:
    """Opens what is in memory: an array, several by input name, or a list of sentences."""
    preprocessed = manner.preprocessed
    if isinstance(given, (list, tuple)) and given and all(isinstance(each, str) for each in given):
        words = f"{len(given)} sentences" if len(given) != 1 else "a sentence"
        return Opened(sentences(given, words, manner.model, inputs, manner.tokenizer))
    arrays: dict[str, Array] = (
        {str(k): np.asarray(v) for k, v in given.items()}
        if isinstance(given, Mapping)
        else {inputs[0].name if len(inputs) == 1 else "x": np.asarray(given)}
    )
    return Opened(array_rows(arrays, inputs, "arrays", preprocessed=preprocessed))


def open_path(path: Path, inputs: Sequence[Input], manner: Manner) -> Opened:
    """Opens a folder or a file.

    Raises:
        SampleError: nothing there, nothing usable in it, or it does not fit the model.
    """
    preprocessed = manner.preprocessed
    if path.is_dir():
        return _open_folder(path, inputs, manner)
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
        return Opened(_open_files([path], path.parent, suffix, inputs, manner))
    if preprocessed:
        return Opened(AnyFiles((path,), path.parent))
    if suffix == ".txt":
        lines = read_lines(path)
        origin = f"{len(lines)} sentences of {path.name}"
        return Opened(sentences(lines, origin, manner.model, inputs, manner.tokenizer))
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


def walk(root: Path) -> list[Path]:
    """Returns: every file below the folder but hidden ones, sorted by its relative path."""
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found.extend(Path(folder) / name for name in names if not name.startswith("."))
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _kind(path: Path) -> str:
    suffix = path.suffix.lower()
    return "images" if suffix in images.SUFFIXES else "WAV files" if suffix in audio.SUFFIXES else suffix


def _open_folder(root: Path, inputs: Sequence[Input], manner: Manner) -> Opened:
    label_file = root / LABEL_FILE if (root / LABEL_FILE).is_file() else None
    files = [path for path in walk(root) if path != label_file]
    kinds = Counter(_kind(path) for path in files)
    usable = [kind for kind in ("images", "WAV files", ".npy") if kinds[kind]]
    listed = ", ".join(f"{count} {kind or 'without suffix'}" for kind, count in kinds.most_common(6))
    if not files:
        raise SampleError("the folder is empty", where=str(root), hint=f"give {KNOWN}")
    if len(usable) > 1:
        raise SampleError(f"the folder mixes {listed}", where=str(root), hint="give a folder of one kind")
    if usable:
        chosen = [path for path in files if _kind(path) == usable[0]]
        source = _open_files(chosen, root, chosen[0].suffix.lower(), inputs, manner)
        left = len(files) - len(chosen)
        notes = (f"{left} other files in {root} left out ({listed})",) if left else ()
        return Opened(source, label_file, notes)
    single = [path for path in files if path.suffix.lower() in (".npz", ".csv", ".tsv", ".txt")]
    if len(single) == 1 and not (manner.preprocessed and single[0].suffix.lower() == ".txt"):
        opened = open_path(single[0], inputs, manner)
        return replace(opened, label_file=label_file)
    if manner.preprocessed:
        return Opened(AnyFiles(tuple(files), root), label_file)
    raise SampleError(
        f"no samples of a known kind in the folder, found {listed}",
        where=str(root),
        hint=f"give {KNOWN}, or --preprocess file.py:fn that reads these files",
    )


def _open_files(
    paths: Sequence[Path], root: Path, suffix: str, inputs: Sequence[Input], manner: Manner
) -> Source:
    if suffix in images.SUFFIXES:
        return images.image_files(paths, root, inputs, preprocessed=manner.preprocessed)
    if suffix in audio.SUFFIXES:
        return _open_sound(paths, root, inputs, manner)
    if manner.preprocessed:
        return AnyFiles(tuple(paths), root)
    if len(inputs) != 1:
        raise SampleError(
            f".npy files feed a model with one input, this one has {len(inputs)}",
            where=str(root),
            hint="give an .npz with one array per input",
        )
    return NpyFolder(tuple(paths), root, inputs[0])


def _open_sound(paths: Sequence[Path], root: Path, inputs: Sequence[Input], manner: Manner) -> Source:
    if manner.preprocessed:
        return audio.whole_files(paths, root, manner.rate)
    own = wav_format(paths[0]).rate
    for spec in inputs:
        wanted = manner.front_end if len(inputs) == 1 else None
        ear = ear_of(
            manner.model, spec, front_end=wanted, rate=manner.rate, hop=manner.hop, own_rate=own
        )  # fmt: skip
        beside = [other for other in inputs if other is not spec]
        if ear is None or not all(constant_of(other, 0) is not None for other in beside):
            continue
        found = audio.wav_files(paths, root, ear)
        constants = {
            other.name: value for other in beside if (value := constant_of(other, ear.rate)) is not None
        }
        told = tuple(f"input {name!r} fed with {value.item():g}" for name, value in constants.items())
        return replace(found, notes=found.notes + told, constants=constants)
    raise SampleError(
        "WAV files feed a model that takes raw audio [1,N] or known features, this one takes "
        + ", ".join(f"{i.name!r} {i}" for i in inputs),
        where=str(root),
        hint="give --front-end NAME or FILE.json, or --preprocess file.py:fn that makes its features",
    )
