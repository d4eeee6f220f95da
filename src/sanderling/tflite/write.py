"""Writes a ``Model`` as a ``.tflite`` file: the skeleton first, then each buffer streamed after it."""

from __future__ import annotations

import mmap
import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np

from sanderling import files
from sanderling.errors import FormatError, StorageError
from sanderling.graph.graph import CUSTOM, Graph, Model, Node, Tensor
from sanderling.graph.types import Array, Quant
from sanderling.tflite.flatbuffer import Record
from sanderling.tflite.read import IDENTIFIER, SCHEMA_VERSION
from sanderling.tflite.schema import Field, schema

ALIGNMENT = 16
LIMIT_BYTES = 2**31 - 1  # flatbuffer offsets are read as signed 32-bit numbers by most readers
_CHUNK = 8 << 20
_LARGEST_ENTRY = 64 << 20  # bytes, unpacked, of a file in the appended archive
_LAST_DEPRECATED_CODE = 127  # OperatorCode.deprecated_builtin_code is a byte; larger codes say 127 there
_PREPEND = {
    "bool": "Bool", "int8": "Int8", "uint8": "Uint8", "int16": "Int16", "uint16": "Uint16",
    "int32": "Int32", "uint32": "Uint32", "int64": "Int64", "uint64": "Uint64", "float32": "Float32",
    "float64": "Float64",
}  # fmt: skip


def write(model: Model, path: str | os.PathLike[str]) -> int:
    """Writes a model. The file appears whole or not at all.

    Args:
        model: what to write.
        path: where; an existing file is replaced.

    Returns: the file's size in bytes.

    Raises:
        FormatError: the model is larger than the format allows.
        StorageError: the place cannot be written to.
    """
    path = Path(path)
    skeleton, data = _skeleton(model)
    try:
        with files.whole(path) as file:
            _stream(file, skeleton, data)
            _append_zip(file, model.appended)
            return file.seek(0, os.SEEK_END)
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot be written ({error.strerror or error})",
        where=str(path),
        hint="free some space or choose another folder",
    )


@dataclass(slots=True)
class _Buffers:
    """The file's buffer table: constants that share memory share a buffer; the first is always empty."""

    arrays: list[Array] = field(default_factory=list)
    known: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, array: Array | None) -> int:
        """Returns: the index of the buffer that holds ``array``; 0 for None."""
        if array is None:
            return 0
        array = np.ascontiguousarray(array)
        key = (array.__array_interface__["data"][0], array.nbytes)
        if array.nbytes == 0 or key not in self.known:
            self.arrays.append(array)
            self.known[key] = len(self.arrays)
        return self.known[key]


def _skeleton(model: Model) -> tuple[bytearray, list[tuple[int, Array]]]:
    """Returns: the flatbuffer without data, and (position of the offset to patch, data) per buffer."""
    buffers = _Buffers()
    codes: dict[tuple[str, str, int], int] = {}
    root: Record = {
        "version": SCHEMA_VERSION,
        "subgraphs": [_graph(graph, buffers, codes) for graph in model.graphs],
        "description": model.description or None,
        "metadata": [{"name": name, "buffer": buffers.add(data)} for name, data in model.metadata] or None,
        "signature_defs": [_signature(s) for s in model.signatures] or None,
        "operator_codes": [_operator_code(*code) for code in codes],
    }
    total = sum(array.nbytes + ALIGNMENT for array in buffers.arrays)
    if total > LIMIT_BYTES:
        raise FormatError(
            f"{total} bytes of constants do not fit, a .tflite holds {LIMIT_BYTES}",
            where=model.name,
            hint="quantize the weights",
        )
    builder = _builder()
    places = _buffer_tables(builder, buffers.arrays)
    end = _table(builder, "Model", root, {"buffers": places.vector})
    builder.Finish(end, IDENTIFIER)
    output = builder.Output()
    return output, [(len(output) - at, a) for at, a in zip(places.slots, buffers.arrays, strict=True)]


@dataclass(slots=True)
class _Places:
    vector: int
    slots: list[int]


def _builder() -> Any:
    """Returns: a builder that remembers its vectors of numbers, so that equal ones are written once: of a
    network that is quantized per channel, the zero points alone take 8 bytes for each weight's and each
    bias's channel."""
    import flatbuffers

    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        __slots__ = ("vectors",)

    builder = Builder(1 << 16)
    builder.vectors = {}
    return builder


def _buffer_tables(builder: Any, arrays: list[Array]) -> _Places:
    """Writes a Buffer table per array, with room for the offset of its data (patched when it is streamed)."""
    offsets: list[int] = []
    slots: list[int] = []
    builder.StartObject(3)
    offsets.append(builder.EndObject())
    for _ in arrays:
        builder.StartObject(3)
        builder.PrependUint32(0)
        builder.Slot(0)
        slots.append(builder.Offset())
        offsets.append(builder.EndObject())
    return _Places(_offset_vector(builder, offsets), slots)


def _stream(file: IO[bytes], skeleton: bytearray, data: list[tuple[int, Array]]) -> None:
    """Writes the skeleton and after it every buffer: its length, then its bytes, 16-aligned."""
    position = len(skeleton)
    starts: list[int] = []
    for place, array in data:
        start = -(-(position + 4) // ALIGNMENT) * ALIGNMENT
        starts.append(start)
        skeleton[place : place + 4] = (start - 4 - place).to_bytes(4, "little")
        position = start + array.nbytes
    file.write(skeleton)
    position = len(skeleton)
    for start, (_, array) in zip(starts, data, strict=True):
        file.write(bytes(start - 4 - position))
        file.write(array.nbytes.to_bytes(4, "little"))
        _write_array(file, array)
        position = start + array.nbytes
    file.write(bytes(-position % ALIGNMENT))


def _write_array(file: IO[bytes], array: Array) -> None:
    """Streams an array; pages of a mapped source file are let go as they are passed."""
    flat = array.reshape(-1).view(np.uint8).data
    if len(flat) <= _CHUNK:
        file.write(flat)
    else:
        for start in range(0, len(flat), _CHUNK):
            file.write(flat[start : start + _CHUNK])
            _release(array)
    _release(array)


def _release(array: Array) -> None:
    """Lets the kernel drop the pages of the mapped file that ``array`` is a view on, if it is one."""
    base: Any = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    mapped = base.obj if isinstance(base, memoryview) else base
    if isinstance(mapped, mmap.mmap) and array.nbytes > 1 << 16 and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _append_zip(file: IO[bytes], appended: Array) -> None:
    """Rebuilds the appended archive: its directory holds offsets from the start of the file."""
    if appended.size == 0:
        return
    with zipfile.ZipFile(BytesIO(appended.tobytes())) as source, zipfile.ZipFile(file, "a") as target:
        target.comment = source.comment
        for entry in source.infolist():
            target.writestr(entry, _unpacked(source, entry))


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    hint = "remove it from the model's zip"
    if entry.file_size > _LARGEST_ENTRY:
        raise FormatError(
            f"the appended file {entry.filename!r} unpacks to {entry.file_size} bytes", hint=hint
        )
    try:
        return archive.read(entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"the appended file {entry.filename!r} is damaged ({error})", hint=hint) from None


def _graph(graph: Graph, buffers: _Buffers, codes: dict[tuple[str, str, int], int]) -> Record:
    return {
        "tensors": [_tensor(tensor, buffers) for tensor in graph.tensors],
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "operators": [_node(node, codes) for node in graph.nodes],
        "name": graph.name or None,
    }


def _tensor(tensor: Tensor, buffers: _Buffers) -> Record:
    return {
        "shape": tensor.shape,
        "type": schema().enums["TensorType"][tensor.dtype.value],
        "buffer": buffers.add(tensor.data),
        "name": tensor.name,
        "quantization": _quant(tensor.quant),
        "is_variable": tensor.is_variable,
        "shape_signature": tensor.shape_signature or None,
        "has_rank": tensor.has_rank,
        "sparsity": _sparsity(tensor),
    }


def _quant(quant: Quant | None) -> Record | None:
    if quant is None:
        return None
    record: Record = {
        "min": quant.min if quant.min.size else None,
        "max": quant.max if quant.max.size else None,
        "scale": quant.scale if quant.scale.size else None,
        "zero_point": quant.zero_point if quant.zero_point.size else None,
        "quantized_dimension": quant.dimension if quant.axis is None else quant.axis,
    }
    if quant.block:
        names = ("scales", "zero_points", "block_size")
        record["details_type"] = schema().enums["QuantizationDetails"]["BlockwiseQuantization"]
        record["details"] = ("BlockwiseQuantization", dict(zip(names, quant.block, strict=True)))
    return record


def _sparsity(tensor: Tensor) -> Record | None:
    sparsity = tensor.sparsity
    if sparsity is None:
        return None
    kinds = schema().enums["DimensionType"]
    dims: list[Record] = []
    for size, segments, indices in sparsity.dims:
        if segments is None or indices is None:
            dims.append({"format": kinds["DENSE"], "dense_size": size})
            continue
        dim: Record = {"format": kinds["SPARSE_CSR"], "dense_size": size}
        for name, array in (("array_segments", segments), ("array_indices", indices)):
            table = f"{array.dtype.name.capitalize().replace('Uint', 'Uint')}Vector"
            dim[f"{name}_type"] = schema().enums["SparseIndexVector"][table]
            dim[name] = (table, {"values": array})
        dims.append(dim)
    return {
        "traversal_order": sparsity.traversal_order,
        "block_map": sparsity.block_map or None,
        "dim_metadata": dims,
    }


def _node(node: Node, codes: dict[tuple[str, str, int], int]) -> Record:
    record: Record = {
        "opcode_index": codes.setdefault((node.op, node.custom_code, node.version), len(codes)),
        "inputs": node.inputs,
        "outputs": node.outputs,
        "intermediates": node.intermediates or None,
        "mutating_variable_inputs": node.mutating or None,
        "custom_options": np.frombuffer(node.custom_options, np.uint8) if node.custom_options else None,
    }
    if node.options:
        second = node.options in schema().enums["BuiltinOptions2"]
        union = "BuiltinOptions2" if second else "BuiltinOptions"
        tag = "builtin_options2_type" if second else "builtin_options_type"
        record[tag] = schema().enums[union][node.options]
        record["builtin_options_2" if second else "builtin_options"] = (node.options, dict(node.attrs))
    return record


def _operator_code(op: str, custom_code: str, version: int) -> Record:
    known = schema().enums["BuiltinOperator"]
    code = known[op] if op in known else int(op.removeprefix("BUILTIN_"))
    return {
        "deprecated_builtin_code": min(code, _LAST_DEPRECATED_CODE),
        "builtin_code": code,
        "custom_code": custom_code if op == CUSTOM else None,
        "version": version,
    }


def _signature(signature: Any) -> Record:
    def maps(pairs: tuple[tuple[str, int], ...]) -> list[Record]:
        return [{"name": name, "tensor_index": index} for name, index in pairs]

    return {
        "inputs": maps(signature.inputs),
        "outputs": maps(signature.outputs),
        "signature_key": signature.key,
        "subgraph_index": signature.graph,
    }


def _table(builder: Any, table: str, record: Record, ready: dict[str, int] | None = None) -> int:
    """Writes a table and all below it. ``ready``: fields that are written already, as offsets."""
    fields = schema().tables[table]
    offsets = dict(ready or {})
    for item in fields:
        value = record.get(item.name)
        if value is not None and item.name not in offsets and item.kind not in _PREPEND:
            offsets[item.name] = _reference(builder, item, value)
    builder.StartObject(max((item.slot for item in fields), default=-1) + 1)
    for item in fields:
        if item.name in offsets:
            builder.PrependUOffsetTRelativeSlot(item.slot, offsets[item.name], 0)
        elif item.kind in _PREPEND and record.get(item.name) is not None:
            value = record[item.name]
            if item.enum and isinstance(value, str):
                value = schema().enums[item.enum][value]
            getattr(builder, f"Prepend{_PREPEND[item.kind]}Slot")(item.slot, value, item.default)
    return int(builder.EndObject())


def _reference(builder: Any, item: Field, value: Any) -> int:
    """Writes what a field points at. Returns: its offset."""
    if item.is_union:
        return _table(builder, *value)
    if not item.is_vector:
        if item.kind == "string":
            return int(builder.CreateString(value.encode("utf-8", "surrogateescape")))
        return _table(builder, item.element, value)
    if item.element in _PREPEND:
        return _scalar_vector(builder, item.element, value)
    if item.element == "string":
        return _offset_vector(builder, list(_strings(builder, value)))
    return _offset_vector(builder, [_table(builder, item.element, record) for record in value])


def _strings(builder: Any, values: list[str]) -> Iterator[int]:
    for value in values:
        yield int(builder.CreateString(value.encode("utf-8", "surrogateescape")))


def _scalar_vector(builder: Any, kind: str, values: Any) -> int:
    array = np.ascontiguousarray(values, dtype=np.dtype(kind).newbyteorder("<")).reshape(-1)
    key = (kind, array.tobytes())
    if key not in builder.vectors:
        builder.vectors[key] = _new_vector(builder, array)
    return int(builder.vectors[key])


def _new_vector(builder: Any, array: Array) -> int:
    if array.size == 0:
        builder.StartVector(array.itemsize, 0, array.itemsize)
        return int(builder.EndVector())
    return int(builder.CreateNumpyVector(array))


def _offset_vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
