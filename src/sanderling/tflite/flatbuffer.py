"""A bounds-checked flatbuffer reader that turns tables into dictionaries, driven by the schema.

A model file is untrusted: every offset is checked before it is followed, vector lengths before they are
looped over, nesting is at most 64 deep, a table that is shared is read once, and there are at most as many
tables as the file has room for (a table takes at least eight bytes) and as memory may be spent on: about
25,000, which is ten times what a large network needs, and more in a file of many megabytes.

Source: the FlatBuffers binary format, https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from functools import cache
from typing import Any

import numpy as np

from sanderling.errors import FormatError
from sanderling.graph.types import Array
from sanderling.tflite.schema import Field, schema

MAX_DEPTH = 64
# A table read takes up to 1.5 kB of memory, so that these together take at most 3 × the file + 40 MB.
FREE_TABLES, BYTES_PER_TABLE = 25_000, 512
# Bytes that may be copied out of the file: what thousands of tables share is copied for each of them.
FREE_COPIES, COPIES_PER_BYTE = 16 * 2**20, 2
BYTES_PER_INTEGER = 36  # of a Python integer and of the reference to it
_SCALARS = {
    "bool": "<?", "int8": "<b", "uint8": "<B", "int16": "<h", "uint16": "<H", "int32": "<i",
    "uint32": "<I", "int64": "<q", "uint64": "<Q", "float32": "<f", "float64": "<d",
}  # fmt: skip
_CODECS = {kind: struct.Struct(code) for kind, code in _SCALARS.items()}
_U16, _U32, _I32 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<i")

Record = dict[str, Any]
# Slots of fields that the schema has given up and that old files may still fill.
_RETIRED = {"SignatureDef": {3}}


@cache
def _known_slots(table: str) -> frozenset[int]:
    return frozenset({field.slot for field in schema().tables[table]} | _RETIRED.get(table, set()))


class Reader:
    """Reads tables from one buffer.

    Args:
        buffer: the whole file; views on it are handed out, so it must outlive them.
        name: for error texts.
    """

    def __init__(self, buffer: memoryview, name: str) -> None:
        self.buffer = buffer
        self.size = len(buffer)
        self.name = name
        self.schema = schema()
        self.budget = min(self.size // 8, FREE_TABLES + self.size // BYTES_PER_TABLE)
        self.copies = FREE_COPIES + COPIES_PER_BYTE * self.size
        self.seen: dict[tuple[str, int], Record] = {}

    def charge(self, nbytes: int) -> None:
        """Counts what is copied out of the file.

        Raises:
            FormatError: it has become many times what the file holds.
        """
        self.copies -= nbytes
        if self.copies < 0:
            raise self.fail("refers to the same bytes so often that they would fill the memory")

    def integers(self, array: Array | None) -> tuple[int, ...]:
        """Returns: a vector as Python integers, () for None."""
        if array is None:
            return ()
        self.charge(array.size * BYTES_PER_INTEGER)
        return tuple(array.tolist())

    def copied(self, array: Array | None, dtype: type[Any]) -> Any:
        """Returns: a vector in a memory of its own; empty for None."""
        if array is None:
            return np.empty(0, dtype)
        self.charge(array.size * np.dtype(dtype).itemsize)
        return array.astype(dtype, copy=True)

    def fail(self, what: str) -> FormatError:
        """Returns: an error that names the file."""
        return FormatError(what, where=self.name, hint="the file is damaged or is not a .tflite model")

    def root(self, table: str) -> Record:
        """Reads the root table."""
        return self.table(table, self._offset(0), 0)

    def table(self, table: str, position: int, depth: int) -> Record:
        """Reads the table at ``position``.

        Returns: field name → value. Scalars at their default where absent; strings, tables and vectors
        None where absent. Numeric vectors are NumPy views. A union is (table name, record).
        """
        key = (table, position)
        if key in self.seen:
            return self.seen[key]
        self.budget -= 1
        if self.budget < 0 or depth > MAX_DEPTH:
            raise self.fail("holds more tables than its size allows, or nests them too deep")
        slots, length = self._vtable(table, position)
        record: Record = {}
        count = len(slots)
        for field in self.schema.tables[table]:
            at = slots[field.slot] if field.slot < count else 0
            record[field.name] = (
                self._field(record, field, position, at, length, depth) if at else field.absent
            )
        self._refuse_unknown(table, slots)
        self.seen[key] = record
        return record

    def _refuse_unknown(self, table: str, slots: tuple[int, ...]) -> None:
        known = _known_slots(table)
        if any(at and slot not in known for slot, at in enumerate(slots)):
            raise FormatError(
                f"{table} has a field that this version does not know, so the file is of a newer schema",
                where=self.name,
                hint="update sanderling",
            )

    def _vtable(self, table: str, position: int) -> tuple[tuple[int, ...], int]:
        self._check(position, 4)
        start = position - _I32.unpack_from(self.buffer, position)[0]
        self._check(start, 4)
        vtable_bytes = _U16.unpack_from(self.buffer, start)[0]
        table_bytes = _U16.unpack_from(self.buffer, start + 2)[0]
        if vtable_bytes < 4 or vtable_bytes % 2 or table_bytes < 4:
            raise self.fail(f"the {table} table at byte {position} has no valid field list")
        self._check(start, vtable_bytes)
        self._check(position, table_bytes)
        return struct.unpack_from(f"<{(vtable_bytes - 4) // 2}H", self.buffer, start + 4), table_bytes

    def _field(self, record: Record, field: Field, table: int, at: int, length: int, depth: int) -> Any:
        codec = _CODECS.get(field.kind)
        width = codec.size if codec else 4
        if at + width > length:
            raise self.fail(f"the field {field.name} at byte {table} lies outside of its table")
        position = table + at
        if codec:
            return self._enum(field, codec.unpack_from(self.buffer, position)[0])
        target = self._offset(position)
        if field.is_vector:
            return self._vector(field, target, depth)
        if field.kind == "string":
            return self._string(target)
        if field.is_union:
            return self._union(record, field, target, depth)
        return self.table(field.element, target, depth + 1)

    def _enum(self, field: Field, value: Any) -> Any:
        if not field.enum:
            return value
        try:
            return self.schema.names[field.enum][value]
        except KeyError:
            raise self.fail(f"{field.name} is {value}, which is no {field.enum}") from None

    def _union(self, record: Record, field: Field, target: int, depth: int) -> tuple[str, Record] | None:
        tag = record[field.name.replace("_2", "2") + "_type"]
        name = self.schema.names[field.element].get(int(tag))
        if name is None:
            raise FormatError(
                f"{field.name} number {tag} is newer than the schema that this version knows",
                where=self.name,
                hint="update sanderling",
            )
        return None if name == "NONE" else (name, self.table(name, target, depth + 1))

    def _vector(self, field: Field, target: int, depth: int) -> Any:
        self._check(target, 4)
        count = _U32.unpack_from(self.buffer, target)[0]
        start = target + 4
        if field.element in _CODECS:
            return self.view(start, count, np.dtype(field.element))
        self._check(start, count * 4)
        self.charge(count * BYTES_PER_INTEGER)
        places = [self._offset(start + 4 * i) for i in range(count)]
        if field.element == "string":
            return [self._string(place) for place in places]
        return [self.table(field.element, place, depth + 1) for place in places]

    def view(self, start: int, count: int, dtype: np.dtype[Any]) -> Array:
        """Returns: ``count`` elements at ``start`` as a read-only view, little-endian."""
        self._check(start, count * dtype.itemsize)
        array = np.frombuffer(self.buffer, dtype.newbyteorder("<"), count, start)
        array.flags.writeable = False
        return array

    def _string(self, target: int) -> str:
        self._check(target, 4)
        count = _U32.unpack_from(self.buffer, target)[0]
        self._check(target + 4, count)
        self.charge(count)
        return bytes(self.buffer[target + 4 : target + 4 + count]).decode("utf-8", "surrogateescape")

    def _offset(self, position: int) -> int:
        self._check(position, 4)
        return int(position + _U32.unpack_from(self.buffer, position)[0])

    def _check(self, start: int, count: int) -> None:
        if start < 0:
            raise self.fail(f"something is said to lie {-start} bytes before the file's beginning")
        if count < 0 or start + count > self.size:
            raise self.fail(f"byte {start + count} is needed, the file has {self.size}")
