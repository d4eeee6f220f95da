"""Answers as columns of a table.

Arrays of several dimensions are stored flat, in C order. Where the model fixes their shape it stands in
the field's metadata (``shape``); where it does not (a mask of each picture's own size), in a column
``NAME_shape``.
What Arrow has no single type for is JSON text, and the field's metadata says so (``format``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sanderling.tasks.words import strict_json

_FIRST, _LAST = ("sample", "text"), "error"
JSON = {b"format": b"json"}


@dataclass(frozen=True, slots=True)
class Row:
    """A sample's row.

    Attributes:
        index: the sample's place.
        sample: its name.
        columns: its answer: JSON values and arrays by column; empty where there is an ``error``.
        error: why there is no answer; "" where there is one.
        text: the sentence, of samples that are sentences.
    """

    index: int
    sample: str
    columns: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    text: str | None = None

    @property
    def nbytes(self) -> int:
        """About how much memory the answer takes."""
        return 200 + sum(_nbytes(value) for value in self.columns.values())


def _nbytes(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(_nbytes(each) for each in value.values())
    return sum(_nbytes(each) for each in value) if isinstance(value, list | tuple) else 50


def table_of(rows: Sequence[Row], *, fixed: bool) -> Any:
    """Makes an Arrow table.

    Args:
        rows: in order.
        fixed: the model fixes its outputs' shapes, so that every row's arrays are alike.
    """
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name in row.columns)
    fields, arrays = [], []

    def add(name: str, array: Any, metadata: Mapping[bytes, bytes] | None = None) -> None:
        fields.append(pa.field(name, array.type, metadata=metadata))
        arrays.append(array)

    add("sample", pa.array([row.sample for row in rows], pa.string()))
    if any(row.text is not None for row in rows):
        add("text", pa.array([row.text for row in rows], pa.string()))
    for name in names:
        values = [row.columns.get(name) for row in rows]
        for each in _columns(_free(name, names), values, fixed=fixed):
            add(*each)
    add(_LAST, pa.array([row.error or None for row in rows], pa.string()))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _free(name: str, names: Mapping[str, Any]) -> str:
    """Returns: a column's name that none of ours has: an output may be called as it likes."""
    name = name.encode("utf-8", "replace").decode()
    while name in (*_FIRST, _LAST):
        name = f"answer_{name}"
    return name


def _columns(name: str, values: list[Any], *, fixed: bool) -> list[tuple[Any, ...]]:
    """Returns: a column or two: name, Arrow array, metadata."""
    import pyarrow as pa

    arrays = [value for value in values if isinstance(value, np.ndarray)]
    numeric = arrays and all(each.dtype.kind in "biuf" for each in arrays)
    if not numeric or len({each.dtype for each in arrays}) > 1:
        return [_plain(name, values)]
    shapes = {each.shape for each in arrays}
    if fixed and len(shapes) == 1:
        shape = arrays[0].shape
        return [(name, _fixed(values, arrays[0]), {b"shape": json.dumps(list(shape)).encode()})]
    found: list[tuple[Any, ...]] = [(name, _flat(values, arrays[0].dtype))]
    if any(each.ndim > 1 for each in arrays):
        dims = [None if value is None else list(value.shape) for value in values]
        found.append((f"{name}_shape", pa.array(dims, pa.list_(pa.int32()))))
    return found


def _fixed(values: Sequence[Any], example: Any) -> Any:
    import pyarrow as pa

    if not example.size:
        return pa.array([None if value is None else [] for value in values], pa.list_(pa.null()))
    nothing = np.zeros(example.size, example.dtype)
    flat = np.concatenate([nothing if value is None else value.reshape(-1) for value in values])
    missing = pa.array([value is None for value in values])
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), example.size, mask=missing)


def _flat(values: Sequence[Any], dtype: Any) -> Any:
    import pyarrow as pa

    parts = [np.empty(0, dtype) if value is None else value.reshape(-1) for value in values]
    # 64 bits: the masks of one part may hold more than 2³¹ pixels.
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    missing = pa.array([value is None for value in values])
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(parts)), mask=missing)


def _plain(name: str, values: Sequence[Any]) -> tuple[Any, ...]:
    import pyarrow as pa

    plain = [_as_values(value) for value in values]
    try:
        return name, pa.array(plain)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return name, as_json(plain), JSON


def _as_values(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _as_values(value.tolist())
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        # A struct of no fields cannot be stored in Parquet.
        return {_as_values(str(name)): _as_values(each) for name, each in value.items()} or None
    return [_as_values(each) for each in value] if isinstance(value, list | tuple) else value


def as_json(values: Sequence[Any]) -> Any:
    """Returns: values of any kind as an Arrow array of JSON texts."""
    import pyarrow as pa

    texts = [None if value is None else json_text(value) for value in values]
    return pa.array(texts, pa.string())


def json_text(value: Any) -> str:
    """Returns: strict JSON."""
    return json.dumps(strict_json(value), ensure_ascii=False)


def order_of(names: Sequence[str]) -> list[str]:
    """Returns: columns in the order of the table: the sample first, the error last."""
    rest = [name for name in names if name not in (*_FIRST, _LAST)]
    return [*(name for name in _FIRST if name in names), *rest, _LAST]
