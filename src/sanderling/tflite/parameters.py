"""Reads Silicon Labs' model parameters: a flatbuffer dictionary among the model's metadata.

Source: the field numbers follow ``dictionary.fbs`` of Silicon Labs' Machine Learning Toolkit.
"""

from __future__ import annotations

from sanderling.graph.graph import Model
from sanderling.tflite.blob import BlobTable, root_table

PARAMETERS = "SL_PARAMSv1"
Parameter = bool | int | float | str | tuple[str, ...]
_SCALARS = {
    1: "<?", 2: "<b", 3: "<B", 4: "<h", 5: "<H", 6: "<i", 7: "<I", 8: "<q", 9: "<Q", 10: "<f", 11: "<d",
}  # fmt: skip
_TEXT, _TEXTS = 12, 13


def read_parameters(model: Model) -> dict[str, Parameter]:
    """Reads numbers and texts by name: ``classes``, ``fe.window_size_ms`` …

    Returns: the parameters, {} when the model carries none. Lists of numbers and binary values are left out.

    Raises:
        FormatError: they are damaged.
    """
    blob = next((data for name, data in model.metadata if name == PARAMETERS), None)
    if blob is None or blob.size == 0:
        return {}
    found: dict[str, Parameter] = {}
    for entry in root_table(blob.tobytes(), PARAMETERS).tables(1):
        value = _value(entry)
        if value is not None:
            found[entry.text(0)] = value
    return found


def _value(entry: BlobTable) -> Parameter | None:
    kind, table = entry.integer(1, "<B"), entry.table(2)
    if table is None:
        return None
    if kind in _SCALARS:
        number: bool | int | float = table.number(0, _SCALARS[kind])
        return bool(number) if kind == 1 else number
    if kind == _TEXT:
        return table.text(0)
    return table.texts(0) if kind == _TEXTS else None
