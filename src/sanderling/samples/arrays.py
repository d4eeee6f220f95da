"""Arrays as samples: NumPy files, mappings of arrays, arrays in memory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.types import Array
from sanderling.samples.inputs import Input
from sanderling.samples.normalize import Normalization
from sanderling.samples.pixels import heatmap, png
from sanderling.samples.rows import Rows, rows_for
from sanderling.samples.samples import Feed
from sanderling.samples.source import Unpictured, array_identity, digest, files_identity, relative

# Held-out data first: what a model was trained on flatters every candidate.
_DATA_NAMES = (
    *("x_test", "x_val", "test_images", "x", "images", "image", "inputs", "input", "data", "features"),
    *("samples", "arr_0", "x_train", "train_images"),
)
_LABEL_NAMES = {
    "x_test": "y_test",
    "x_val": "y_val",
    "x_train": "y_train",
    "test_images": "test_labels",
    "train_images": "train_labels",
}
_LABELS = ("y", "labels", "label", "targets", "target", "classes", "arr_1")


@dataclass(frozen=True, slots=True)
class ArrayRows:
    """One sample per row of one or several arrays.

    Attributes:
        rows: per input, the array and how its rows are read.
        origin: what they are, in words.
        key: identity of the content.
    """

    rows: tuple[Rows, ...]
    origin: str
    key: str
    own_notes: tuple[str, ...] = ()
    labels: Sequence[Any] | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        return self.own_notes + tuple(note for rows in self.rows for note in rows.notes)

    @property
    def normalized(self) -> bool:
        return any(rows.normalized for rows in self.rows)

    def __len__(self) -> int:
        return len(self.rows[0].array)

    def name(self, index: int) -> str:
        return f"row {index}"

    def file(self, index: int) -> str:
        return str(index)

    def feed(self, index: int) -> Feed:
        where = f"{self.name(index)} of {self.origin}"
        return {rows.spec.name: rows.feed(index, where) for rows in self.rows}

    def raw(self, index: int) -> tuple[Any, ...]:
        if len(self.rows) == 1:
            return (np.asarray(self.rows[0].array[index]),)
        return ({rows.spec.name: np.asarray(rows.array[index]) for rows in self.rows},)

    def pixels(self, index: int) -> Array | None:
        return next((r.pixels(index) for r in self.rows if r.normalized), None)

    def thumbnail(self, index: int) -> bytes | None:
        for rows in self.rows:
            pixels = rows.pixels(index) if rows.normalized else None
            if pixels is not None:
                return png(pixels)
        return heatmap(np.asarray(self.rows[0].array[index]))

    def normalize(self, normalization: Normalization) -> Self:
        return replace(self, rows=tuple(replace(r, normalization=normalization) for r in self.rows))

    def identity(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True)
class RawRows(Unpictured):
    """Rows for a user's ``preprocess``, which makes the inputs whatever the arrays look like."""

    arrays: Mapping[str, Array]
    origin: str
    key: str
    notes: tuple[str, ...] = ()
    labels: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def name(self, index: int) -> str:
        return f"row {index}"

    def file(self, index: int) -> str:
        return str(index)

    def feed(self, index: int) -> Feed:
        raise SampleError("these rows need a preprocess function", where=self.origin)

    def raw(self, index: int) -> tuple[Any, ...]:
        if len(self.arrays) == 1:
            return (np.asarray(next(iter(self.arrays.values()))[index]),)
        return ({name: np.asarray(array[index]) for name, array in self.arrays.items()},)

    def thumbnail(self, index: int) -> bytes | None:
        return heatmap(np.asarray(next(iter(self.arrays.values()))[index]))

    def identity(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True)
class NpyFolder:
    """A folder of .npy files, one sample each (features that were computed beforehand)."""

    paths: tuple[Path, ...]
    root: Path
    spec: Input
    normalization: Normalization | None = None
    labels: Sequence[Any] | None = None

    @property
    def origin(self) -> str:
        return f"{len(self.paths)} .npy files in {self.root}"

    @property
    def notes(self) -> tuple[str, ...]:
        return self._rows(0).notes

    @property
    def normalized(self) -> bool:
        return self._rows(0).normalized

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return relative(self.paths[index], self.root)

    def file(self, index: int) -> str:
        return self.name(index)

    def _rows(self, index: int) -> Rows:
        path = self.paths[index]
        rows = rows_for(load_array(path)[None], self.spec, str(path))
        if len(rows.array) != 1:
            raise SampleError(f"holds {len(rows.array)} samples, one was expected", where=str(path))
        return rows if self.normalization is None else replace(rows, normalization=self.normalization)

    def feed(self, index: int) -> Feed:
        return {self.spec.name: self._rows(index).feed(0, str(self.paths[index]))}

    def raw(self, index: int) -> tuple[Any, ...]:
        return (load_array(self.paths[index]),)

    def pixels(self, index: int) -> Array | None:
        return self._rows(index).pixels(0)

    def thumbnail(self, index: int) -> bytes | None:
        return heatmap(load_array(self.paths[index]))

    def normalize(self, normalization: Normalization) -> Self:
        return replace(self, normalization=normalization)

    def identity(self) -> str:
        return files_identity(self.paths, self.root)


def load_array(path: Path) -> Array:
    """Maps a .npy file into memory.

    Raises:
        SampleError: it is damaged or holds Python objects.
    """
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise _unreadable(".npy", error, path) from error
    return array


def _unreadable(kind: str, error: Exception, path: Path) -> SampleError:
    """NumPy's words for objects advise to unpickle them, which runs whatever a file says."""
    if isinstance(error, OSError) and error.strerror:
        return SampleError(f"cannot be read ({error.strerror})", where=str(path))
    if "pickle" in str(error) or "object" in str(error).lower():
        return SampleError(
            f"is no {kind} file, or holds Python objects, which are never read",
            where=str(path),
            hint="save an array of numbers with numpy.save or numpy.savez",
        )
    return SampleError(f"cannot read the {kind} file ({error})", where=str(path), hint="save it again")


def load_npz(path: Path) -> dict[str, Array]:
    """Reads every array of an .npz file that holds numbers or text.

    Raises:
        SampleError: it is damaged or holds Python objects.
    """
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise SampleError("holds a single array: rename it to .npy", where=str(path))
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise _unreadable(".npz", error, path) from error


def array_rows(
    arrays: Mapping[str, Array], inputs: Sequence[Input], where: str, *, preprocessed: bool, key: str = ""
) -> ArrayRows | RawRows:
    """Decides which array feeds which input, and which are the labels.

    Args:
        arrays: by name; the first axis is the samples.
        where: the file, for errors and for ``origin``.
        preprocessed: a user's function makes the inputs from the rows.
        key: identity of the content; "" hashes the arrays.

    Raises:
        SampleError: no assignment fits, or the arrays differ in length.
    """
    if not arrays:
        raise SampleError("holds no arrays", where=where)
    key = key or digest(*[part for name in arrays for part in (name, array_identity(arrays[name]))])
    if preprocessed:
        return _raw_rows(arrays, where, key)
    if len(inputs) == 1:
        chosen, labels, notes = _one_input(arrays, inputs[0], where)
    else:
        chosen, labels, notes = _several_inputs(arrays, inputs, where)
    rows = tuple(rows_for(array, spec, where) for array, spec in zip(chosen, inputs, strict=True))
    for row in rows:
        _require_finite(row, where)
    lengths = [len(r.array) for r in rows]
    if len(set(lengths)) != 1:
        raise SampleError(f"the arrays have different numbers of rows: {lengths}", where=where)
    if labels is not None and len(labels) != lengths[0]:
        raise SampleError(f"there are {len(labels)} labels for {lengths[0]} rows", where=where)
    words = f"{lengths[0]} rows of {where}" if lengths[0] != 1 else f"one row of {where}"
    return ArrayRows(rows, words, key, notes, labels)


_ROWS_AT_ONCE = 64


def _require_finite(rows: Rows, where: str) -> None:
    """Makes sure that no row stops a search that has run for long.

    Raises:
        SampleError: a row holds NaN or infinity.
    """
    array = rows.array
    if array.dtype.kind != "f":
        return
    broken: list[int] = []
    for start in range(0, len(array), _ROWS_AT_ONCE):
        part = np.asarray(array[start : start + _ROWS_AT_ONCE])
        finite = np.isfinite(part.reshape(len(part), -1)).all(axis=1)
        broken += (start + np.flatnonzero(~finite)).tolist()
    if broken:
        count = f"{len(broken)} of {len(array)} rows for input {rows.spec.name!r}"
        raise SampleError(
            f"NaN or infinity in {count}, the first is row {broken[0]}",
            where=where,
            hint="leave them out",
        )


def _raw_rows(arrays: Mapping[str, Array], where: str, key: str) -> RawRows:
    data = next((n for n in _DATA_NAMES if n in arrays), None)
    label_name = _label_name(arrays, data) if data else None
    labels = _label_list(arrays[label_name]) if label_name else None
    kept = {data: arrays[data]} if data and label_name else dict(arrays)
    lengths = {len(a) if a.ndim else 0 for a in kept.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise SampleError("the arrays have no or different numbers of rows", where=where)
    return RawRows(kept, f"{lengths.pop()} rows of {where}", key, (), labels)


def _label_name(arrays: Mapping[str, Array], data: str) -> str | None:
    for name in (_LABEL_NAMES.get(data, ""), *_LABELS):
        if name in arrays and name != data and arrays[name].ndim and len(arrays[name]) == len(arrays[data]):
            return name
    return None


def _label_list(array: Array) -> list[Any]:
    plain = array.reshape(-1) if array.size == len(array) else array
    if plain.ndim == 2 and plain.dtype.kind in "biuf" and np.isin(plain, (0, 1)).all():
        plain = plain.argmax(axis=1)  # one-hot
    if plain.dtype.kind == "f" and np.array_equal(plain, np.rint(plain)):
        plain = plain.astype(np.int64)
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in plain.tolist()]


def _one_input(
    arrays: Mapping[str, Array], spec: Input, where: str
) -> tuple[list[Array], list[Any] | None, tuple[str, ...]]:
    names = list(arrays)
    name = _named(arrays, spec.name) or next((n for n in _DATA_NAMES if n in arrays), None)
    if name is None:
        fitting = [n for n in names if _fits(arrays[n], spec)] if len(names) > 1 else names
        if len(fitting) != 1:
            listed = ", ".join(f"{n}{list(arrays[n].shape)}" for n in names)
            raise SampleError(
                f"cannot tell which array feeds input {spec.name!r} ({spec}) among {listed}",
                where=where,
                hint=f"name it {' or '.join(dict.fromkeys((spec.name, 'x')))}, and the labels y",
            )
        name = fitting[0]
    label_name = _label_name(arrays, name)
    notes = []
    if len(names) > 1:
        words = f"array {name!r} feeds the model" + (f", {label_name!r} are the labels" if label_name else "")
        rest = [n for n in names if n not in (name, label_name)]
        notes.append(words + (f", not used: {', '.join(rest)}" if rest else ""))
    return [arrays[name]], _label_list(arrays[label_name]) if label_name else None, tuple(notes)


def _fits(array: Array, spec: Input) -> bool:
    try:
        rows_for(array, spec, "")
    except SampleError:
        return False
    return True


def _named(arrays: Mapping[str, Array], name: str) -> str | None:
    """Returns: the array of that name; ``serving_default_`` before it and ``:0`` after it do not count."""
    wanted = _plain(name)
    return next((n for n in arrays if n == name), None) or next(
        (n for n in arrays if _plain(n) == wanted), None
    )


def _plain(name: str) -> str:
    return re.sub(r":\d+$", "", name.removeprefix("serving_default_")).replace("/", "_")


def _several_inputs(
    arrays: Mapping[str, Array], inputs: Sequence[Input], where: str
) -> tuple[list[Array], list[Any] | None, tuple[str, ...]]:
    found = [_named(arrays, spec.name) for spec in inputs]
    notes: list[str] = []
    if any(name is None for name in found):
        data = [n for n in arrays if n not in _LABELS]
        if any(found) or len(data) != len(inputs):
            raise SampleError(
                f"holds {', '.join(arrays)}; the model takes {', '.join(f'{i.name!r} {i}' for i in inputs)}",
                where=where,
                hint="give one array per input, under the inputs' names",
            )
        found = list(data)
        pairs = ", ".join(f"{n} -> {i.name}" for n, i in zip(data, inputs, strict=True))
        notes.append(f"no array has an input's name: assigned by position ({pairs})")
    names = [name for name in found if name is not None]
    label_name = next((n for n in _LABELS if n in arrays and n not in names), None)
    if label_name:
        notes.append(f"array {label_name!r} taken as the labels")
    labels = _label_list(arrays[label_name]) if label_name else None
    return [arrays[name] for name in names], labels, tuple(notes)
