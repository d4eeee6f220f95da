"""Parts and how they become one table: columns of several kinds, shapes and types that differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.errors import StorageError
from sanderling.predict.columns import Row, table_of
from sanderling.predict.parts import Parts, indices, part_of
from sanderling.predict.table import failures, manifest_of, merge
from sanderling.predict.writing import PartWriter


def merged(folder: Path, *parts: list[Row], fixed: bool = False) -> Any:
    """Returns: the table of parts of these rows."""
    table = Parts(folder / "t.parquet")
    table.hold()
    table.begin({})
    for rows in parts:
        table.add(rows[0].index, rows[-1].index, part_of(rows, fixed=fixed))
    merge(table.paths(), folder / "t.parquet", {"model": "m"})
    table.remove()
    return pq.read_table(folder / "t.parquet")


def test_columns_that_not_every_part_has(tmp_path: Path) -> None:
    boxes = [{"box": [1.0, 2.0], "label": "cat"}]
    found = merged(
        tmp_path,
        [Row(0, "a", error="cannot be read")],
        [Row(1, "b", {"boxes": []}), Row(2, "c", {"boxes": boxes, "count": 1})],
        [Row(3, "d", {"count": 2.5, "name": "x"})],
    )
    assert found.column_names == ["sample", "boxes", "count", "name", "error"]
    assert found.to_pylist() == [
        {"sample": "a", "boxes": None, "count": None, "name": None, "error": "cannot be read"},
        {"sample": "b", "boxes": [], "count": None, "name": None, "error": None},
        {"sample": "c", "boxes": boxes, "count": 1.0, "name": None, "error": None},
        {"sample": "d", "boxes": None, "count": 2.5, "name": "x", "error": None},
    ]


def test_what_no_type_holds_is_json(tmp_path: Path) -> None:
    """In one part, and between parts: the field's metadata tell."""
    found = merged(
        tmp_path,
        [Row(0, "a", {"x": 1, "y": "one"}), Row(1, "b", {"x": [1], "y": "two"})],
        [Row(2, "c", {"x": 2, "y": 3})],
    )
    assert found.column("x").to_pylist() == ["1", "[1]", "2"]
    assert found.column("y").to_pylist() == ['"one"', '"two"', "3"]
    assert {found.schema.field(name).metadata[b"format"] for name in "xy"} == {b"json"}


def test_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = [(2, 3), (4, 1), (2, 3)]
    masks = [rng.integers(0, 9, shape).astype(np.uint8) for shape in shapes]
    rows = [Row(i, str(i), {"mask": mask, "v": np.float32([i, 1])}) for i, mask in enumerate(masks)]
    rows.insert(1, Row(1, "broken", error="no"))
    found = merged(tmp_path, rows[:1], rows[1:2], rows[2:])
    assert found.column("mask_shape").to_pylist() == [[2, 3], None, [4, 1], [2, 3]]
    assert found.column("mask").to_pylist() == [
        masks[0].ravel().tolist(),
        None,
        *(m.ravel().tolist() for m in masks[1:]),
    ]
    assert "v_shape" not in found.column_names


def test_arrays_of_one_shape(tmp_path: Path) -> None:
    rows = [
        Row(0, "a", {"y": np.float32([[1, np.nan]])}),
        Row(1, "b", error="no"),
        Row(2, "c", {"y": np.ones((1, 2), np.float32)}),
    ]
    found = merged(tmp_path, rows[:1], rows[1:2], rows[2:], fixed=True)
    assert pa.types.is_fixed_size_list(found.schema.field("y").type)
    assert json.loads(found.schema.field("y").metadata[b"shape"]) == [1, 2]
    values = found.column("y").to_pylist()
    assert values[0][0] == 1
    assert np.isnan(values[0][1])
    assert values[1:] == [None, [1, 1]]


def test_names_that_are_ours(tmp_path: Path) -> None:
    """A model may call its outputs as it likes."""
    table = table_of([Row(0, "a", {"error": 1, "sample": "s", "\ud800 odd": 2})], fixed=False)
    assert table.to_pylist() == [
        {"sample": "a", "answer_error": 1, "answer_sample": "s", "? odd": 2, "error": None}
    ]


def test_metadata_and_failures(tmp_path: Path) -> None:
    table = Parts(tmp_path / "t.parquet")
    table.hold()
    table.begin({})
    for first in range(0, 40, 4):
        rows = [Row(i, str(i), error="odd" if i % 2 else "") for i in range(first, first + 4)]
        table.add(first, first + 3, part_of(rows, fixed=False))
    assert failures(table.paths()) == (20, ["1: odd", "3: odd", "5: odd"])
    merge(table.paths(), tmp_path / "t.parquet", {"model": "m"})
    assert manifest_of(tmp_path / "t.parquet") == {"model": "m"}
    (tmp_path / "no.parquet").write_bytes(b"PAR1")
    assert manifest_of(tmp_path / "no.parquet") is None


@given(st.sets(st.integers(0, 30)), st.integers(1, 31))
def test_what_is_missing_and_what_is_done_are_all(done: set[int], count: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        parts = Parts(Path(folder) / "t.parquet")
        parts.hold()
        parts.begin({})
        writer = PartWriter(parts, fixed=False)
        for index in sorted(i for i in done if i < count):
            writer.add(Row(index, str(index)))
        writer.close()
        found = list(indices(parts.done()))
        left = list(indices(parts.missing(count)))
        parts.release()
    assert sorted(found + left) == list(range(count))
    assert found == sorted(i for i in done if i < count)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "t.parquet")
    parts.folder.mkdir()
    (parts.folder / "thesis.tex").write_text("mine")
    with pytest.raises(StorageError, match=r"t\.parquet\.parts: holds 'thesis\.tex', which is no part"):
        parts.hold()
    assert (parts.folder / "thesis.tex").read_text() == "mine"
