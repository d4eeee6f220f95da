"""TFLite's schema as data: tables, fields and enumerations, loaded from ``schema.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a table.

    Attributes:
        name: snake_case.
        slot: position in the table's vtable.
        kind: ``int32``, ``string``, ``[int32]``, ``[string]``, ``Table``, ``[Table]`` or ``union:Name``.
        default: value of an absent scalar; None for everything else.
        enum: enumeration whose name stands for the stored number, "" for none.
        absent: what reading gives where the field is absent: the default, by name where there is an ``enum``.
        element: the kind without brackets or the ``union:`` prefix.
        is_vector, is_union: what the kind is.
    """

    name: str
    slot: int
    kind: str
    default: Any
    enum: str = ""
    absent: Any = None
    element: str = field(init=False)
    is_vector: bool = field(init=False)
    is_union: bool = field(init=False)

    def __post_init__(self) -> None:
        # Worked out once: a file may have a hundred thousand fields.
        object.__setattr__(self, "element", self.kind.strip("[]").removeprefix("union:"))
        object.__setattr__(self, "is_vector", self.kind.startswith("["))
        object.__setattr__(self, "is_union", self.kind.startswith("union:"))


# The accessors that the schema was read from give enumerations as plain numbers; these names say which.
_ENUM_OF_FIELD = {
    "padding": "Padding",
    "fused_activation_function": "ActivationFunctionType",
    "mode": "MirrorPadMode",
    "weights_format": "FullyConnectedOptionsWeightsFormat",
    "combiner": "CombinerType",
    "kernel_type": "LSTMKernelType",
} | dict.fromkeys(
    ("in_data_type", "out_data_type", "output_type", "out_type", "idx_out_type", "quantized_bias_type",
     "key_dtype", "value_dtype"),
    "TensorType",
)  # fmt: skip
_ENUM_OF_TABLE_FIELD = {("LSHProjectionOptions", "type"): "LSHProjectionType"}


@dataclass(frozen=True, slots=True)
class Schema:
    """All tables and enumerations."""

    tables: dict[str, tuple[Field, ...]]
    enums: dict[str, dict[str, int]]
    names: dict[str, dict[int, str]]


@cache
def schema() -> Schema:
    """Returns: TFLite's schema."""
    raw = json.loads(files("sanderling.tflite").joinpath("schema.json").read_text(encoding="utf-8"))
    enums: dict[str, dict[str, int]] = raw["enums"]
    # Attributes speak of element types as DType does: in lower case.
    enums["TensorType"] = {name.lower(): value for name, value in enums["TensorType"].items()}
    names = {enum: {v: k for k, v in values.items()} for enum, values in enums.items()}
    tables = {
        table: tuple(_field(names, table, *item) for item in fields)
        for table, fields in raw["tables"].items()
    }
    return Schema(tables, enums, names)


def _field(
    names: dict[str, dict[int, str]], table: str, name: str, slot: int, kind: str, default: Any
) -> Field:
    enum = ""
    if kind == "int8" and table not in {"Tensor", "VariantSubType", "Operator", "OperatorCode"}:
        enum = _ENUM_OF_TABLE_FIELD.get((table, name), "") or _ENUM_OF_FIELD.get(name, "")
    if kind == "bool":
        default = bool(default)
    return Field(name, slot, kind, default, enum, names[enum][default] if enum else default)
