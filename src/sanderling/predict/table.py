"""Parts into one table, a part at a time; the file's suffix says what kind of table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from sanderling import files
from sanderling.errors import MissingExtra, StorageError, UsageError
from sanderling.predict.columns import JSON, as_json, json_text, order_of
from sanderling.tasks.words import strict_json

KEY = b"sanderling"  # of the table's metadata: the manifest
_ROWS, _BYTES = 16_384, 64 << 20  # of a row group


def need_parquet() -> None:
    """Makes sure that Parquet can be written.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401 - only whether it is there
    except ImportError:
        raise MissingExtra("predict", "parquet") from None


def check_suffix(output: Path) -> None:
    """Makes sure that a table of this suffix can be written.

    Raises:
        UsageError: it is not known.
    """
    if output.suffix.lower() not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise UsageError(
            f"tables ending in {output.suffix or 'nothing'!r} are not known", where="--output",
            hint=f"give one of {known}",
        )  # fmt: skip


def manifest_of(table: Path) -> dict[str, Any] | None:
    """Returns: the manifest in a finished table's metadata, None where it is not ours."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if table.suffix.lower() != ".parquet":
        return None
    try:
        metadata = pq.read_metadata(table).metadata or {}
        found = json.loads(metadata.get(KEY, b"null"))
    except (OSError, ValueError, pa.ArrowException):
        return None
    return found if isinstance(found, dict) else None


def merge(parts: Sequence[Path], output: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the table.

    Args:
        parts: files of rows, in order.
        output: is replaced when the new one is complete.
        manifest: what the table's metadata say of it.

    Raises:
        StorageError: it cannot be written.
    """
    schema = _schema(parts)
    try:
        with files.whole(output) as file:
            _WRITERS[output.suffix.lower()](_tables(parts, schema), schema, file, manifest)
    except OSError as error:
        raise StorageError(f"cannot be written ({error.strerror or error})", where=str(output)) from None


def failures(parts: Sequence[Path], shown: int = 3) -> tuple[int, list[str]]:
    """Returns: how many samples have no answer, and why the first ones have none."""
    import pyarrow.parquet as pq

    count, words = 0, []
    for path in parts:
        table = pq.read_table(path, columns=["sample", "error"])
        failed = table.filter(table.column("error").is_valid())
        count += len(failed)
        words += [f"{row['sample']}: {row['error']}" for row in failed.slice(0, shown).to_pylist()]
    return count, words[:shown]


def _schema(parts: Sequence[Path]) -> Any:
    """Returns: columns that hold those of all parts; what no type holds becomes JSON text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    found: dict[str, Any] = {}
    for path in parts:
        for each in pq.read_schema(path):
            before = found.get(each.name)
            found[each.name] = each if before is None else _common(before, each)
    return pa.schema([found[name] for name in order_of(list(found))])


def _common(a: Any, b: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_null(a.type) or pa.types.is_null(b.type):
        return b if pa.types.is_null(a.type) else a
    metadata = {**(a.metadata or {}), **(b.metadata or {})}
    if a.type == b.type:
        return a.with_metadata(metadata or None)
    as_text = pa.field(a.name, pa.string(), metadata=JSON)
    if b"format" in metadata:
        return as_text
    try:
        schemas = [pa.schema([pa.field(each.name, each.type)]) for each in (a, b)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return as_text


def _tables(parts: Sequence[Path], schema: Any) -> Iterator[Any]:
    import pyarrow.parquet as pq

    for path in parts:
        table = pq.read_table(path)
        yield _fitted(table, schema)


def _fitted(table: Any, schema: Any) -> Any:
    import pyarrow as pa

    columns = []
    for each in schema:
        if each.name not in table.column_names:
            columns.append(pa.nulls(len(table), each.type))
            continue
        column, own = table.column(each.name), table.schema.field(each.name)
        text = (each.metadata or {}).get(b"format") == b"json" and (own.metadata or {}).get(b"format") is None
        columns.append(as_json(column.to_pylist()) if text else column.cast(each.type))
    return pa.Table.from_arrays(columns, schema=schema)


Tables = Iterator[Any]


def _parquet(tables: Tables, schema: Any, file: IO[bytes], manifest: Mapping[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    described = schema.with_metadata({KEY: json.dumps(manifest, ensure_ascii=False).encode()})
    waiting: list[Any] = []
    with pq.ParquetWriter(file, described, compression="zstd") as writer:
        for table in tables:
            waiting.append(table)
            if sum(map(len, waiting)) >= _ROWS or sum(each.nbytes for each in waiting) >= _BYTES:
                writer.write_table(pa.concat_tables(waiting).replace_schema_metadata(described.metadata))
                waiting.clear()
        if waiting:
            writer.write_table(pa.concat_tables(waiting).replace_schema_metadata(described.metadata))


def _jsonl(tables: Tables, schema: Any, file: IO[bytes], manifest: Mapping[str, Any]) -> None:
    for table in tables:
        for row in table.to_pylist():
            file.write(json.dumps(strict_json(row), ensure_ascii=False).encode() + b"\n")


def _csv(tables: Tables, schema: Any, file: IO[bytes], manifest: Mapping[str, Any]) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(schema.names)
    for table in tables:
        for row in table.to_pylist():
            writer.writerow([_cell(value) for value in row.values()])
    text.detach()  # the file is not this function's to close


def _cell(value: Any) -> Any:
    return json_text(value) if isinstance(value, list | dict) else value


_WRITERS: dict[str, Callable[[Tables, Any, IO[bytes], Mapping[str, Any]], None]] = {
    ".parquet": _parquet, ".csv": _csv, ".jsonl": _jsonl,
}  # fmt: skip
