"""Reads flatbuffers that models carry as metadata, with every offset checked before it is followed."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from sanderling.errors import FormatError

_MAX_TABLES = 10_000


class BlobReader:
    """Bounds-checked access to the tables of one flatbuffer; ``where`` names it in errors."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data = data
        self.where = where
        self.tables = 0

    def number(self, code: str, position: int) -> Any:
        size = struct.calcsize(code)
        if not 0 <= position <= len(self.data) - size:
            raise FormatError("an offset points outside of the metadata", where=self.where)
        return struct.unpack_from(code, self.data, position)[0]

    def table(self, position: int) -> BlobTable:
        self.tables += 1
        if self.tables > _MAX_TABLES:
            raise FormatError(f"more than {_MAX_TABLES} tables in the metadata", where=self.where)
        vtable = position - int(self.number("<i", position))
        return BlobTable(self, position, vtable, self.number("<H", vtable))

    def vector(self, position: int, item: int) -> tuple[int, int]:
        """Returns: where the items start and how many there are."""
        count = int(self.number("<I", position))
        if count * item > len(self.data) - position - 4:
            raise FormatError(f"a list of {count} items does not fit into the metadata", where=self.where)
        return position + 4, count


@dataclass(frozen=True, slots=True)
class BlobTable:
    """One table; its fields are asked for by their number, and 0, "" or () stand for those left out."""

    reader: BlobReader
    position: int
    vtable: int
    vtable_size: int

    def _slot(self, field: int) -> int | None:
        entry = 4 + 2 * field
        if entry + 2 > self.vtable_size:
            return None
        offset = self.reader.number("<H", self.vtable + entry)
        return self.position + offset if offset else None

    def _target(self, field: int) -> int | None:
        slot = self._slot(field)
        return None if slot is None else slot + int(self.reader.number("<I", slot))

    def number(self, field: int, code: str) -> Any:
        """Returns: a scalar, 0 where the table leaves it out."""
        slot = self._slot(field)
        return 0 if slot is None else self.reader.number(code, slot)

    def integer(self, field: int, code: str) -> int:
        return int(self.number(field, code))

    def text(self, field: int) -> str:
        target = self._target(field)
        if target is None:
            return ""
        start, count = self.reader.vector(target, 1)
        return self.reader.data[start : start + count].decode("utf-8", "replace")

    def floats(self, field: int) -> tuple[float, ...]:
        target = self._target(field)
        if target is None:
            return ()
        start, count = self.reader.vector(target, 4)
        return tuple(float(v) for v in np.frombuffer(self.reader.data, "<f4", count, start))

    def table(self, field: int) -> BlobTable | None:
        target = self._target(field)
        return None if target is None else self.reader.table(target)

    def tables(self, field: int) -> list[BlobTable]:
        target = self._target(field)
        if target is None:
            return []
        start, count = self.reader.vector(target, 4)
        slots = (start + 4 * i for i in range(count))
        return [self.reader.table(slot + self.reader.number("<I", slot)) for slot in slots]

    def texts(self, field: int) -> tuple[str, ...]:
        target = self._target(field)
        if target is None:
            return ()
        start, count = self.reader.vector(target, 4)
        found = []
        for slot in (start + 4 * i for i in range(count)):
            first, length = self.reader.vector(slot + int(self.reader.number("<I", slot)), 1)
            found.append(self.reader.data[first : first + length].decode("utf-8", "replace"))
        return tuple(found)


def root_table(data: bytes, where: str) -> BlobTable:
    """Opens a flatbuffer from an untrusted file.

    Raises:
        FormatError: its first offset points outside.
    """
    reader = BlobReader(data, where)
    return reader.table(reader.number("<I", 0))
