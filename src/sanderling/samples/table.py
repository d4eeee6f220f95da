"""CSV tables as samples: one row, one sample."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.types import Array
from sanderling.samples.inputs import Input

_LABEL_COLUMNS = {"label", "labels", "class", "target", "y"}
_FILE_COLUMNS = {"file", "filename", "path", "image"}


def read_csv(path: Path) -> list[list[str]]:
    """Reads the rows of a CSV (comma, semicolon or tab), without empty lines.

    Raises:
        SampleError: it is no text or malformed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SampleError(f"cannot be read ({error.strerror or error})", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise SampleError(
            f"is no text in UTF-8 (byte {error.start})", where=str(path), hint="save it as CSV in UTF-8"
        ) from error
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines(), delimiter=delimiter)]
    except csv.Error as error:
        raise SampleError(f"cannot read the CSV ({error})", where=str(path)) from error
    return [row for row in rows if any(row)]


def read_table(
    path: Path, inputs: Sequence[Input]
) -> tuple[dict[str, Array], list[str] | None, tuple[str, ...]]:
    """Reads numbers from a CSV: columns go to the inputs in order, but a ``label`` column.

    Returns: arrays by input name, labels (as text) or None, and notes.

    Raises:
        SampleError: no rows, text where a number is wanted, or the wrong number of columns.
    """
    rows = read_csv(path)
    header = rows[0] if rows and not all(_number(cell) for cell in rows[0] if cell) else None
    body = rows[1:] if header else rows
    if not body:
        raise SampleError("the CSV has no rows", where=str(path))
    names = [name.lower() for name in header] if header else []
    if any(name in _FILE_COLUMNS for name in names) and not all(_number(cell) for cell in body[0]):
        raise SampleError(
            "the CSV lists files, it holds no samples",
            where=str(path),
            hint="give the folder of the files as --samples and this CSV as --labels",
        )
    label = next((i for i, name in enumerate(names) if name in _LABEL_COLUMNS), None)
    table = _numbers(body, label, path, first_line=2 if header else 1)
    arrays = _assign(table, inputs, path)
    labels = [row[label] for row in body] if label is not None else None
    notes = () if label is None else (f"column {names[label]!r} of {path.name} taken as the labels",)
    return arrays, labels, notes


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(body: list[list[str]], label: int | None, path: Path, first_line: int) -> Array:
    values: list[list[float]] = []
    for line, row in enumerate(body, first_line):
        cells = [cell for i, cell in enumerate(row) if i != label]
        bad = next((cell for cell in cells if not _number(cell)), None)
        if bad is not None:
            raise SampleError(f"row {line} holds {bad!r}, a number was expected", where=str(path))
        values.append([float(cell) for cell in cells])
        if len(cells) != len(values[0]):
            raise SampleError(
                f"row {line} has {len(row)} columns, {len(body[0])} were expected", where=str(path)
            )
    return np.array(values, np.float64)


def _assign(table: Array, inputs: Sequence[Input], path: Path) -> dict[str, Array]:
    free = [i for i in inputs if -1 in i.dims]
    if len(inputs) == 1 and free:
        return {inputs[0].name: table}
    sizes = [int(np.prod(i.dims)) for i in inputs]
    if free or sum(sizes) != table.shape[1]:
        wanted = " + ".join(f"{size} for {i.name!r}" for size, i in zip(sizes, inputs, strict=True))
        raise SampleError(
            f"the CSV has {table.shape[1]} columns of numbers, the model takes {wanted}", where=str(path)
        )
    parts: dict[str, Any] = {}
    start = 0
    for spec, size in zip(inputs, sizes, strict=True):
        parts[spec.name] = table[:, start : start + size].reshape(-1, *spec.dims)
        start += size
    return parts
