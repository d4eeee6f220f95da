"""Reads a ``.tflite`` file into a ``Model``: memory-mapped, weights stay views on the file."""

from __future__ import annotations

import mmap
import os
import struct
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.errors import FormatError
from sanderling.graph.graph import CUSTOM, Graph, Model, Node, Signature, Sparsity, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.tflite.flatbuffer import Reader, Record
from sanderling.tflite.schema import schema

# What ``zipfile`` raises for a directory that it cannot read; names that are no UTF-8 are a ValueError.
_NO_ZIP = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, struct.error)
IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
_PLAIN = {d for d in DType if d.bits >= 8 and d not in {DType.BFLOAT16} and "float8" not in d.value}


def read(path: str | os.PathLike[str]) -> Model:
    """Reads a model.

    Args:
        path: a ``.tflite`` file. It must stay as it is while the model is in use: weights are views on it.

    Returns: the model; ``Model.source`` is the path.

    Raises:
        FormatError: the file is missing, empty, damaged, not a ``.tflite``, or of a newer schema.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise FormatError("the file is empty", where=str(path), hint="download or export it again")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        raise FormatError("there is no such file", where=str(path), hint="check the path") from None
    except IsADirectoryError:
        raise FormatError("is a folder, not a .tflite file", where=str(path)) from None
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror or error})", where=str(path)) from None
    return parse(memoryview(mapped), name=str(path), source=path)


def parse(buffer: memoryview, *, name: str = "model", source: Path | None = None) -> Model:
    """Reads a model from bytes that are already in memory.

    Raises:
        FormatError: as ``read``.
    """
    if len(buffer) < 8 or bytes(buffer[4:8]) != IDENTIFIER:
        raise FormatError(
            f"is not a .tflite model (bytes 4 to 8 are {bytes(buffer[4:8])!r}, expected {IDENTIFIER!r})",
            where=name,
            hint="give a .tflite file",
        )
    reader = Reader(buffer, name)
    root = reader.root("Model")
    if root["version"] != SCHEMA_VERSION:
        raise FormatError(
            f"has schema version {root['version']}, this version reads {SCHEMA_VERSION}",
            where=name,
            hint="update sanderling, or export the model again",
        )
    if root["external_buffers"]:
        raise FormatError("keeps weights in other files", where=name, hint="export it with inline weights")
    return _Builder(reader, root).model(source)


class _Builder:
    """Turns the root record into a ``Model``."""

    def __init__(self, reader: Reader, root: Record) -> None:
        self.reader = reader
        self.root = root
        self.codes = [_operator_code(code) for code in root["operator_codes"] or []]
        self.buffers: dict[int, Array | None] = {}
        self.records: list[Record] = root["buffers"] or []

    def model(self, source: Path | None) -> Model:
        graphs = tuple(self.graph(record) for record in self.root["subgraphs"] or [])
        if not graphs:
            raise self.reader.fail("has no subgraph")
        return Model(
            graphs,
            tuple(self.signature(record) for record in self.root["signature_defs"] or []),
            tuple(self.metadata(record) for record in self.root["metadata"] or []),
            self.root["description"] or "",
            appended_zip(self.reader.buffer),
            source,
        )

    def graph(self, record: Record) -> Graph:
        return Graph(
            tuple(self.tensor(tensor) for tensor in record["tensors"] or []),
            tuple(self.node(operator) for operator in record["operators"] or []),
            self.reader.integers(record["inputs"]),
            self.reader.integers(record["outputs"]),
            record["name"] or "",
        )

    def tensor(self, record: Record) -> Tensor:
        name = schema().names["TensorType"].get(record["type"])
        if name is None:
            raise self.reader.fail(
                f"tensor {record['name']!r} has element type {record['type']}, which is unknown"
            )
        if record["variant_tensors"] or record["external_buffer"]:
            raise FormatError(
                f"tensor {record['name']!r} is a list of tensors or lies in another file",
                where=self.reader.name,
                hint="export the model without tensor lists and external weights",
            )
        type_ = TensorType(
            self.reader.integers(record["shape"]), DType(name), self.quant(record["quantization"])
        )
        if any(size < 0 for size in type_.shape):
            raise self.reader.fail(f"tensor {record['name']!r} has the shape {type_.shape}")
        sparsity = self.sparsity(record["sparsity"])
        return Tensor(
            record["name"] or "",
            type_,
            self.constant(record["buffer"], type_, sparsity),
            record["is_variable"],
            self.reader.integers(record["shape_signature"]),
            sparsity,
            record["has_rank"],
        )

    def constant(self, index: int, type_: TensorType, sparsity: Sparsity | None) -> Array | None:
        raw = self.buffer(index)
        if raw is None or (raw.size == 0 and (type_.size or index == 0)):
            return None
        if sparsity is None and type_.dtype in _PLAIN and raw.nbytes == type_.nbytes:
            return raw.view(type_.dtype.numpy.newbyteorder("<")).reshape(type_.shape)
        return raw

    def buffer(self, index: int) -> npt.NDArray[np.uint8] | None:
        """Returns: the bytes of a buffer, None when it has none."""
        if index not in self.buffers:
            if index >= len(self.records):
                raise self.reader.fail(f"buffer {index} is used, the file has {len(self.records)}")
            record = self.records[index]
            # Offsets 0 and 1 are placeholders of writers that keep the data inside of the flatbuffer.
            if record["offset"] > 1:
                data: Any = self.reader.view(record["offset"], record["size"], np.dtype(np.uint8))
            else:
                data = record["data"]
            self.buffers[index] = data
        return self.buffers[index]

    def quant(self, record: Record | None) -> Quant | None:
        if record is None:
            return None
        block: tuple[int, int, int] | None = None
        if record["details"] is not None and record["details"][0] == "BlockwiseQuantization":
            details = record["details"][1]
            block = (details["scales"], details["zero_points"], details["block_size"])
        scale, zero_point = (
            self.reader.copied(record["scale"], np.float32),
            self.reader.copied(record["zero_point"], np.int64),
        )
        low, high = (
            self.reader.copied(record["min"], np.float32),
            self.reader.copied(record["max"], np.float32),
        )
        if scale.size == low.size == high.size == 0 and block is None:
            return None
        if zero_point.size != scale.size:
            # Writers may leave out zero points that are all zero, or give one for all channels.
            if zero_point.size > 1:
                raise self.reader.fail(f"{scale.size} scales but {zero_point.size} zero points")
            zero_point = np.full(scale.size, zero_point[0] if zero_point.size else 0, np.int64)
        dimension = int(record["quantized_dimension"])
        axis = dimension if scale.size > 1 else None
        return Quant(scale, zero_point, axis, low, high, block, dimension)

    def sparsity(self, record: Record | None) -> Sparsity | None:
        if record is None:
            return None
        dims: list[tuple[int, Array | None, Array | None]] = []
        for dim in record["dim_metadata"] or []:
            segments, indices = dim["array_segments"], dim["array_indices"]
            dense = dim["format"] == schema().enums["DimensionType"]["DENSE"]
            if not dense and (segments is None or indices is None):
                raise self.reader.fail("a sparse dimension has no segments or indices")
            pair = (None, None) if dense else (segments[1]["values"], indices[1]["values"])
            dims.append((dim["dense_size"], *pair))
        return Sparsity(
            self.reader.integers(record["traversal_order"]),
            self.reader.integers(record["block_map"]),
            tuple(dims),
        )

    def node(self, record: Record) -> Node:
        index = record["opcode_index"]
        if index >= len(self.codes):
            raise self.reader.fail(f"operator code {index} is used, the file has {len(self.codes)}")
        op, custom_code, version = self.codes[index]
        options, attrs = self.attributes(record)
        return Node(
            op,
            self.reader.integers(record["inputs"]),
            self.reader.integers(record["outputs"]),
            attrs,
            options,
            custom_code,
            self.custom_options(record),
            version,
            self.reader.integers(record["intermediates"]),
            tuple(bool(v) for v in self.reader.copied(record["mutating_variable_inputs"], np.bool_)),
        )

    def custom_options(self, record: Record) -> bytes:
        if record["large_custom_options_offset"] > 1:
            offset, size = record["large_custom_options_offset"], record["large_custom_options_size"]
            options: Array = self.reader.view(offset, size, np.dtype(np.uint8))
        elif record["custom_options"] is None:
            return b""
        else:
            options = record["custom_options"]
        self.reader.charge(options.nbytes)
        return options.tobytes()

    def attributes(self, record: Record) -> tuple[str, Mapping[str, Any]]:
        """Returns: the name of the options' table, and its fields; vectors as tuples."""
        union = record["builtin_options"] or record["builtin_options_2"]
        if union is None:
            return "", MappingProxyType({})
        name, values = union
        plain = {
            key: self.reader.integers(value) if isinstance(value, np.ndarray) else value
            for key, value in values.items()
        }
        return name, MappingProxyType(plain)

    def signature(self, record: Record) -> Signature:
        def pairs(maps: list[Record] | None) -> tuple[tuple[str, int], ...]:
            return tuple((entry["name"] or "", entry["tensor_index"]) for entry in maps or [])

        return Signature(
            record["signature_key"] or "",
            pairs(record["inputs"]),
            pairs(record["outputs"]),
            record["subgraph_index"],
        )

    def metadata(self, record: Record) -> tuple[str, npt.NDArray[np.uint8]]:
        data = self.buffer(record["buffer"])
        return record["name"] or "", np.empty(0, np.uint8) if data is None else data


def _operator_code(record: Record) -> tuple[str, str, int]:
    """Source: schema.fbs, OperatorCode: the code is the larger of the deprecated byte and the new field."""
    number = max(record["builtin_code"], record["deprecated_builtin_code"])
    name = schema().names["BuiltinOperator"].get(number, f"BUILTIN_{number}")
    return name, (record["custom_code"] or "") if name == CUSTOM else "", record["version"]


def appended_zip(buffer: memoryview) -> npt.NDArray[np.uint8]:
    """Returns: the zip archive at the end of a file (labels and the like), empty when there is none.

    Source: APPNOTE.TXT 4.3.16 (end of central directory record).
    """
    nothing = np.empty(0, np.uint8)
    tail = bytes(buffer[max(0, len(buffer) - 65_557) :])
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < 22:
        return nothing
    end += max(0, len(buffer) - 65_557)
    directory_size = int.from_bytes(buffer[end + 12 : end + 16], "little")
    directory_offset = int.from_bytes(buffer[end + 16 : end + 20], "little")
    directory = end - directory_size  # where it really is; the offset may count from the archive's start
    if directory < 0 or bytes(buffer[directory : directory + 4]) not in (b"PK\x01\x02", b"PK\x05\x06"):
        return nothing
    first = _first_entry(buffer, directory, end)
    start = directory if first is None else first + directory - directory_offset
    if not 0 < start <= directory:
        return nothing
    archive = np.frombuffer(buffer, np.uint8, len(buffer) - start, start)
    try:
        with zipfile.ZipFile(BytesIO(archive.tobytes())):
            return archive
    except _NO_ZIP:
        return nothing


def _first_entry(buffer: memoryview, position: int, end: int) -> int | None:
    """Returns: the smallest local header offset that the central directory names; None when it is empty."""
    smallest: int | None = None
    while position + 46 <= end and bytes(buffer[position : position + 4]) == b"PK\x01\x02":
        name, extra, comment = (
            int.from_bytes(buffer[position + at : position + at + 2], "little") for at in (28, 30, 32)
        )
        offset = int.from_bytes(buffer[position + 42 : position + 46], "little")
        smallest = offset if smallest is None else min(smallest, offset)
        position += 46 + name + extra + comment
    return smallest
