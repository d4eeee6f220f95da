"""Labels: from a file beside the samples, or a sequence; matched to samples by file name, number or order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from sanderling.errors import SampleError
from sanderling.graph.graph import Model
from sanderling.samples.source import Source
from sanderling.samples.table import read_csv

_HEADER_LABELS = ("label", "class", "target", "y")
_HEADER_FILES = ("file", "filename", "path", "image", "name")
_HEADER_INDICES = ("index", "row", "id", "sample")


def labels_for(
    source: Source, given: Path | Sequence[Any], model: Model
) -> tuple[list[Any], tuple[str, ...]]:
    """Finds one label per sample.

    Args:
        given: a CSV of ``file,label`` or ``index,label``, a text file with one label per line, or one
            label per sample in order.
        model: names of classes are looked up in the labels that it carries.

    Returns: the labels (class numbers where possible) and notes.

    Raises:
        SampleError: a sample has no label, or the numbers of both differ.
    """
    if isinstance(given, Path):
        values, where = _from_file(source, given), str(given)
    else:
        values, where = _in_order(source, list(given), "labels"), "labels"
    return class_numbers(values, model, where)


def class_numbers(values: Sequence[Any], model: Model, where: str) -> tuple[list[Any], tuple[str, ...]]:
    """Turns labels into class numbers where they are numbers, or names that the model lists."""
    from sanderling.tflite.metadata import label_names

    if all(_is_integer(v) for v in values):
        return [int(v) for v in values], ()
    if not all(isinstance(v, str) for v in values):
        return list(values), ()
    names = label_names(model) or ()
    lookup = {name.lower(): number for number, name in reversed(list(enumerate(names)))}
    unknown = [v for v in values if v.lower() not in lookup]
    if not unknown:
        return [lookup[v.lower()] for v in values], (
            f"labels looked up among the {len(names)} that the model names",
        )
    words = "the model lists no names" if not names else f"{unknown[0]!r} is none of the model's {len(names)}"
    return list(values), (
        f"the labels of {where} are names, and {words}: accuracy cannot be computed from them",
    )


def _is_integer(value: Any) -> bool:
    if isinstance(value, str):
        try:
            int(value)
        except ValueError:
            return False
        return True
    return not isinstance(value, bool) and hasattr(value, "__index__")


def _from_file(source: Source, path: Path) -> list[Any]:
    rows = read_csv(path)
    if not rows:
        raise SampleError("the label file is empty", where=str(path))
    if all(len(row) == 1 for row in rows):
        lines = [row[0] for row in rows]
        if len(lines) == len(source) + 1 and lines[0].lower() in _HEADER_LABELS:
            lines = lines[1:]
        return _in_order(source, lines, str(path))
    key, label, rows, by_index = _columns(rows, path)
    short = next((i for i, row in enumerate(rows, 1) if len(row) <= max(key, label)), None)
    if short is not None:
        raise SampleError(f"row {short} has no label", where=str(path))
    pairs = {row[key].replace("\\", "/").removeprefix("./"): row[label] for row in rows}
    return _by_index(source, pairs, path) if by_index else _by_file(source, pairs, path)


def _columns(rows: list[list[str]], path: Path) -> tuple[int, int, list[list[str]], bool]:
    """Returns: the key's column, the label's column, the rows without header, whether keys are numbers."""
    header = [cell.lower() for cell in rows[0]]
    if any(name in header for name in _HEADER_LABELS):
        label = next(header.index(name) for name in _HEADER_LABELS if name in header)
        files = [
            header.index(name) for name in _HEADER_FILES if name in header and header.index(name) != label
        ]
        indices = [header.index(name) for name in _HEADER_INDICES if name in header]
        rest = [i for i in range(len(header)) if i != label]
        key = next(iter(files if files and header[files[0]] != "name" else indices or files or rest))
        by_index = key in indices or (key not in files and all(row[key].isdigit() for row in rows[1:] if row))
        return key, label, rows[1:], by_index
    body = rows[1:] if rows[0][0].lower() in (*_HEADER_FILES, *_HEADER_INDICES) else rows
    return 0, 1, body, all(row[0].isdigit() for row in body)


def _in_order(source: Source, values: list[Any], where: str) -> list[Any]:
    if len(values) == len(source):
        return values
    files = list(dict.fromkeys(source.file(i) for i in range(len(source))))
    if len(values) == len(files):  # several windows of one recording share its label
        numbered = dict(zip(files, values, strict=True))
        return [numbered[source.file(i)] for i in range(len(source))]
    raise SampleError(
        f"got {len(values)} labels for {len(files)} samples", where=where, hint="give one per sample"
    )


def _by_index(source: Source, pairs: dict[str, Any], path: Path) -> list[Any]:
    numbered = {int(key): value for key, value in pairs.items()}
    files = {name: number for number, name in enumerate(dict.fromkeys(map(source.file, range(len(source)))))}
    numbers = [files[source.file(i)] for i in range(len(source))]
    missing = sorted({n for n in numbers if n not in numbered})
    if missing:
        raise SampleError(
            f"{len(missing)} samples have no label, the first is number {missing[0]}", where=str(path)
        )
    return [numbered[n] for n in numbers]


def _by_file(source: Source, pairs: dict[str, Any], path: Path) -> list[Any]:
    """Matches by relative path, else by the file's name where that is unambiguous."""
    by_name: dict[str, set[str]] = {}
    for key, value in pairs.items():
        by_name.setdefault(PurePosixPath(key).name, set()).add(str(value))
    labels, missing = [], []
    for index in range(len(source)):
        file = source.file(index)
        name = PurePosixPath(file).name
        if file in pairs:
            labels.append(pairs[file])
        elif len(by_name.get(name, ())) == 1:
            labels.append(next(iter(by_name[name])))
        else:
            missing.append(file)
    if missing:
        raise SampleError(
            f"{len(missing)} of {len(source)} samples have no label, the first is {missing[0]}",
            where=str(path),
            hint="add them to the label file, or remove them from the samples",
        )
    return labels
