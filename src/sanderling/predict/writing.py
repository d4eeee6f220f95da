"""Rows, in order, into parts: one is closed when it is large, or when much work would be lost with it."""

from __future__ import annotations

import time

from sanderling.predict.columns import Row
from sanderling.predict.parts import Parts, part_of

_ROWS, _BYTES, _SECONDS = 2048, 32 << 20, 10.0


class PartWriter:
    """Collects rows.

    Args:
        parts: where to put them.
        fixed: see ``columns.table_of``.
    """

    def __init__(self, parts: Parts, *, fixed: bool) -> None:
        self._parts, self._fixed = parts, fixed
        self._rows: list[Row] = []
        self._bytes, self._began = 0, time.monotonic()

    def add(self, row: Row) -> None:
        """Takes a row, whose index is larger than those before."""
        if self._rows and row.index != self._rows[-1].index + 1:
            self.close()  # what lies between is in a part already
        self._rows.append(row)
        self._bytes += row.nbytes
        late = time.monotonic() > self._began + _SECONDS
        if late or len(self._rows) >= _ROWS or self._bytes >= _BYTES:
            self.close()

    def close(self) -> None:
        """Writes what there is."""
        rows, self._rows, self._bytes, self._began = self._rows, [], 0, time.monotonic()
        if rows:
            self._parts.add(rows[0].index, rows[-1].index, part_of(rows, fixed=self._fixed))
