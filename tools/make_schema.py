"""Writes ``src/sanderling/tflite/schema.json``: TFLite's schema as data.

Names, slots, types and defaults are read off the accessors that ship with ai-edge-litert, so that the
reader and the writer can be generic. Run it again when ai-edge-litert is updated:

    python tools/make_schema.py
"""

from __future__ import annotations

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path

TARGET = Path(__file__).parents[1] / "src" / "sanderling" / "tflite" / "schema.json"
ENUMS = {
    "TensorType", "BuiltinOperator", "BuiltinOptions", "BuiltinOptions2", "QuantizationDetails",
    "SparseIndexVector", "DimensionType", "Padding", "ActivationFunctionType", "MirrorPadMode",
    "FullyConnectedOptionsWeightsFormat", "CombinerType", "LSTMKernelType", "LSHProjectionType",
    "StablehloPrecisionConfig", "StablehloComparisonDirection", "StablehloComparisonType",
    "RngAlgorithm", "ReduceWindowFunction", "CustomOptionsFormat",
}  # fmt: skip
# Which union a union field belongs to: the accessors do not say.
UNIONS = {
    "builtin_options": "BuiltinOptions",
    "builtin_options_2": "BuiltinOptions2",
    "details": "QuantizationDetails",
    "array_segments": "SparseIndexVector",
    "array_indices": "SparseIndexVector",
}
SCALAR = re.compile(r"Prepend(\w+)Slot\((\d+), \w+, ([^)]+)\)")


def snake(name: str) -> str:
    """Returns: ``DilationWFactor`` as ``dilation_w_factor``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"(?<=[a-z])(?=\d$)", "_", spaced).lower()


def fields_of(table: str, body: str, source: str) -> list[list[object]]:
    """Returns: [name, slot, type, default] for every field of a table."""
    found: list[list[object]] = []
    pattern = rf"^def {table}Add(\w+)\(builder, \w+\):\n    builder\.(Prepend.*)$"
    for match in re.finditer(pattern, source, re.M):
        accessor, call = match.group(1), match.group(2)
        offset = re.match(r"PrependUOffsetTRelativeSlot\((\d+)", call)
        if offset:
            kind = offset_type(accessor, body)
            found.append([snake(accessor), int(offset.group(1)), kind, None])
            continue
        scalar = SCALAR.match(call)
        if scalar is None:
            raise SystemExit(f"{table}.{accessor}: cannot read {call!r}")
        kind, slot, default = scalar.groups()
        value = json.loads(default.lower()) if kind == "Bool" else json.loads(default)
        found.append([snake(accessor), int(slot), kind.lower(), value])
    return sorted(found, key=lambda f: int(str(f[1])))


def offset_type(accessor: str, body: str) -> str:
    """Returns: ``string``, ``[int32]``, ``[string]``, ``Table``, ``[Table]`` or ``union:Name``."""
    match = re.search(rf"    def {accessor}\(self(, j)?\):\n(.*?)(?=\n    # |\Z)", body, re.S)
    if match is None:
        raise SystemExit(f"no accessor {accessor}")
    is_vector, text = bool(match.group(1)), match.group(2)
    if "_tab.Union(" in text:
        return f"union:{UNIONS[snake(accessor)]}"
    element = "string"
    if made := re.search(r"obj = (\w+)\(\)", text):
        element = made.group(1)
    elif scalar := re.search(r"number_types\.(\w+)Flags, a", text):
        element = scalar.group(1).lower()
    return f"[{element}]" if is_vector else element


def main() -> None:
    """Reads the accessors, writes the schema."""
    spec = find_spec("ai_edge_litert.schema_py_generated")
    if spec is None or spec.origin is None:
        sys.exit("ai-edge-litert is not installed")
    source = Path(spec.origin).read_text(encoding="utf-8")
    enums: dict[str, dict[str, int]] = {}
    tables: dict[str, list[list[object]]] = {}
    for match in re.finditer(r"^class (\w+)\(object\):\n(.*?)(?=^class |\Z)", source, re.M | re.S):
        name, body = match.groups()
        if name in ENUMS:
            values = re.findall(r"^    (\w+) = (-?\d+)$", body, re.M)
            enums[name] = {key: int(value) for key, value in values}
        elif f"def {name}Start(" in source:
            tables[name] = fields_of(name, body, source)
    missing = ENUMS - set(enums)
    if missing:
        sys.exit(f"enumerations not found: {sorted(missing)}")
    lines = ['{"enums": {']
    lines.append(",\n".join(f'"{k}": {json.dumps(v)}' for k, v in sorted(enums.items())))
    lines.append('},\n"tables": {')
    lines.append(",\n".join(f'"{k}": {json.dumps(v)}' for k, v in sorted(tables.items())))
    lines.append("}}")
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(tables)} tables, {len(enums)} enumerations")


if __name__ == "__main__":
    main()
