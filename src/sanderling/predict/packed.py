"""Samples as bytes, to be answered where their folder is not: files as they are, arrays, sentences."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import SampleError
from sanderling.pipeline.items import Port, as_picture, opened_file
from sanderling.predict.listing import Listing, Opened, regular

MOST = 256 << 20  # bytes of a file that is sent


def pack(listing: Listing, first: int, last: int) -> bytes:
    """Returns: samples ``first`` to ``last``, with their names, as an Arrow stream."""
    import pyarrow as pa

    rows = [_packed(listing, index) for index in range(first, last + 1)]
    table = pa.Table.from_pylist(rows, schema=_schema())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _schema() -> Any:
    import pyarrow as pa

    texts = [pa.field(name, pa.string()) for name in ("name", "text", "kind", "error")]
    return pa.schema([pa.field("index", pa.int64()), *texts, pa.field("content", pa.large_binary())])


def _packed(listing: Listing, index: int) -> dict[str, Any]:
    row: dict[str, Any] = {"index": index, "name": listing.name(index), "text": listing.text(index)}
    try:
        path = listing.file(index)
        if path is not None:
            return {**row, "kind": path.suffix.lower(), "content": _file(path)}
        opened = listing.open(index)
        if row["text"] is not None:
            return {**row, "kind": "text"}
        picture = any(hasattr(value, "getbands") for value in opened.values())
        return {**row, "kind": "picture" if picture else "arrays", "content": _arrays(opened)}
    except SampleError as error:
        return {**row, "error": error.what}


def _file(path: Path) -> bytes:
    regular(path)
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except OSError as error:
        raise SampleError(f"cannot be read ({error.strerror or error})", where=str(path)) from None
    if len(content) > MOST:
        raise SampleError(f"is larger than {MOST >> 20} MB, which is not sent", where=str(path))
    return content


def _arrays(opened: Mapping[str, Any]) -> bytes:
    found = io.BytesIO()
    arrays: dict[str, Any] = {f"_{name}": np.asarray(value) for name, value in opened.items()}
    np.savez(found, **arrays)
    return found.getvalue()


class Unpacked:
    """Packed samples as a listing.

    Args:
        content: what ``pack`` gave.
        ports: the inputs that are asked for.
    """

    def __init__(self, content: bytes, ports: Sequence[Port]) -> None:
        import pyarrow as pa

        with pa.ipc.open_stream(content) as stream:
            self._rows: list[dict[str, Any]] = stream.read_all().to_pylist()
        self._ports = ports
        self._first = int(self._rows[0]["index"])

    origin = "samples that were sent"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def indices(self) -> range:
        """The samples' places."""
        return range(self._first, self._first + len(self._rows))

    def _row(self, index: int) -> dict[str, Any]:
        return self._rows[index - self._first]

    def name(self, index: int) -> str:
        return str(self._row(index)["name"])

    def text(self, index: int) -> str | None:
        text: str | None = self._row(index)["text"]
        return text

    def file(self, index: int) -> Path | None:
        return None

    def identity(self) -> str:
        return ""

    def open(self, index: int) -> Opened:
        row = self._row(index)
        if row["error"] is not None:
            raise SampleError(row["error"], where=row["name"])
        if row["kind"] == "text":
            return {port.spec.name: row["text"] for port in self._ports}
        if row["kind"] in ("arrays", "picture"):
            archive = np.load(io.BytesIO(row["content"]), allow_pickle=False)
            arrays = {name.removeprefix("_"): archive[name] for name in archive.files}
            return arrays if row["kind"] == "arrays" else {n: _drawn(a) for n, a in arrays.items()}
        with tempfile.TemporaryDirectory(prefix="sanderling-") as folder:
            path = Path(folder) / f"sample{row['kind']}"
            path.write_bytes(row["content"])
            try:
                return opened_file(path, self._ports)
            except SampleError as error:  # the same words as where the file lies
                what = error.what.replace(str(path), row["name"])
                raise SampleError(what, where=row["name"], hint=error.hint) from error


def _drawn(pixels: Any) -> Any:
    return as_picture(pixels if pixels.ndim == 3 else pixels[:, :, None])
