"""A ``.onnx`` file as plain records: protobuf ends here.

A file is untrusted: protobuf bounds what a message may hold by the file's size, every tensor's declared size
is compared with the bytes that are there, and weights in other files are taken only from the model's folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import FormatError, MissingExtra, UnsupportedOperator
from sanderling.graph.types import Array

LIMIT_BYTES = 2**31 - 1
_PICKLE = "it starts like a pickle, which is never opened"


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: name, sizes (a number, or the name of an open one), ONNX's element type."""

    name: str
    sizes: tuple[int | str, ...] | None
    dtype: int


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One operator call; absent operands are "". Graphs among ``attrs`` are ``OnnxGraph``."""

    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]

    @property
    def called(self) -> str:
        """What a person calls it."""
        return f"{self.op} node {self.name or self.outputs[0]!r}" if self.outputs else f"{self.op} node"


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """A graph: nodes in order, constants by name, and what goes in and out."""

    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, Array]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    declared: Mapping[str, Port] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A whole file.

    Attributes:
        graph: the main graph.
        opsets: domain → version; "" is ONNX's own.
        functions: operators that the file itself defines, by (domain, name).
        producer: what wrote it, in words.
    """

    graph: OnnxGraph
    opsets: Mapping[str, int]
    functions: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    producer: str = ""

    @property
    def opset(self) -> int:
        return self.opsets.get("", 1)


def parse(path: Path) -> OnnxModel:
    """Reads a file.

    Raises:
        FormatError: it is damaged, of another kind, or its weights are not where they may be.
        MissingExtra: the package ``onnx`` is not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise MissingExtra("reading ONNX models", "onnx") from None
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise FormatError("is larger than 2 GB, which protobuf cannot read", where=str(path))
    data = path.read_bytes()
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        what = _PICKLE if data[:1] == b"\x80" else "protobuf cannot read it"
        raise FormatError(f"is no ONNX model: {what}", where=str(path), hint="export it again") from None
    if not model.opset_import or not model.HasField("graph") or not model.graph.output:
        what = _PICKLE if data[:1] == b"\x80" else "it holds no graph"
        raise FormatError(f"is no ONNX model: {what}", where=str(path), hint="export it again")
    reader = _Reader(path)
    return OnnxModel(
        reader.graph(model.graph),
        {("" if each.domain == "ai.onnx" else each.domain): each.version for each in model.opset_import},
        {(each.domain, each.name): reader.function(each) for each in model.functions},
        " ".join(part for part in (model.producer_name, model.producer_version) if part),
    )


class _Reader:
    """Turns messages into records; ``path`` says where external weights may lie."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._depth = 0

    def graph(self, proto: Any) -> OnnxGraph:
        self._depth += 1
        if self._depth > 32:
            raise self._error("nests graphs more than 32 deep")
        constants = {each.name: self.tensor(each) for each in proto.initializer}
        for each in proto.sparse_initializer:
            raise self._error(f"has the sparse constant {each.values.name!r}, which is not read")
        inputs = tuple(_port(each) for each in proto.input if each.name not in constants)
        ports = (*proto.value_info, *proto.output, *proto.input)
        found = OnnxGraph(
            tuple(self.node(each) for each in proto.node),
            constants,
            inputs,
            tuple(_port(each) for each in proto.output),
            {each.name: _port(each) for each in ports},
        )
        self._depth -= 1
        return found

    def function(self, proto: Any) -> tuple[tuple[str, ...], tuple[str, ...], tuple[OnnxNode, ...]]:
        """Returns: a function's inputs, outputs and nodes."""
        nodes = tuple(self.node(each) for each in proto.node)
        return tuple(proto.input), tuple(proto.output), nodes

    def node(self, proto: Any) -> OnnxNode:
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        attrs = {each.name: self.attribute(each) for each in proto.attribute}
        return OnnxNode(proto.op_type, domain, proto.name, tuple(proto.input), tuple(proto.output), attrs)

    def attribute(self, proto: Any) -> Any:
        kinds = type(proto)
        match proto.type:
            case kinds.FLOAT:
                return float(proto.f)
            case kinds.INT:
                return int(proto.i)
            case kinds.STRING:
                return proto.s.decode("utf-8", "replace")
            case kinds.TENSOR:
                return self.tensor(proto.t)
            case kinds.GRAPH:
                return self.graph(proto.g)
            case kinds.FLOATS:
                return tuple(map(float, proto.floats))
            case kinds.INTS:
                return tuple(map(int, proto.ints))
            case kinds.STRINGS:
                return tuple(each.decode("utf-8", "replace") for each in proto.strings)
            case _:
                raise self._error(f"has the attribute {proto.name!r} of a kind that is not read")

    def tensor(self, proto: Any) -> Array:
        """Returns: a constant; bfloat16 and float16 become float32, float64 too, packed integers unpack."""
        import onnx
        from onnx import numpy_helper

        shape = tuple(proto.dims)
        bits = _BITS.get(proto.data_type)
        if bits is None or any(size < 0 for size in shape):
            raise self._error(f"has the constant {proto.name!r} of a type or shape that is not read")
        wanted = (prod(shape) * bits + 7) // 8
        if proto.data_location == onnx.TensorProto.EXTERNAL:
            proto = self._filled(proto, wanted)
        elif proto.HasField("raw_data"):
            if len(proto.raw_data) != wanted:
                words = f"declares {wanted} bytes and holds {len(proto.raw_data)}"
                raise self._error(f"is damaged: constant {proto.name!r} {words}")
        elif bits and prod(shape) > proto.ByteSize() * 2:
            raise self._error(f"is damaged: constant {proto.name!r} declares more than it holds")
        try:
            return widened(np.array(numpy_helper.to_array(proto)))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise self._error(f"is damaged: constant {proto.name!r} cannot be read ({error})") from None

    def _filled(self, proto: Any, wanted: int) -> Any:
        """Returns: a tensor with its bytes, which lie in another file of the model's folder."""
        import onnx

        stated = {each.key: each.value for each in proto.external_data}
        file = self._beside(stated.get("location", ""), proto.name)
        offset, length = (
            _number(stated.get(key), default) for key, default in (("offset", 0), ("length", wanted))
        )
        if offset < 0 or length != wanted or offset + length > file.stat().st_size:
            raise self._error(
                f"constant {proto.name!r} asks for {wanted} bytes that {file.name} does not hold"
            )
        with file.open("rb") as opened:
            opened.seek(offset)
            data = opened.read(length)
        return onnx.TensorProto(name=proto.name, dims=proto.dims, data_type=proto.data_type, raw_data=data)

    def _beside(self, location: str, name: str) -> Path:
        folder = self._path.resolve().parent
        path = Path(os.path.normpath(folder / location))
        if not location or "\0" in location or Path(location).is_absolute() or not _inside(path, folder):
            raise self._error(f"keeps constant {name!r} in {location!r}, which lies outside of its folder")
        if not path.is_file():
            raise FormatError(
                f"keeps its weights in {location!r}, which is not there",
                where=str(self._path),
                hint="put that file beside the model",
            )
        return path

    def _error(self, what: str) -> FormatError:
        return FormatError(what, where=str(self._path), hint="export the model again")


def _inside(path: Path, folder: Path) -> bool:
    """Returns: whether a path stays in a folder, links followed."""
    return path.is_relative_to(folder) and path.resolve().is_relative_to(folder)


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


def _port(proto: Any) -> Port:
    if not proto.type.HasField("tensor_type"):
        kind = proto.type.WhichOneof("value") or "no type"
        if kind == "no type":
            return Port(proto.name, None, 0)
        raise UnsupportedOperator(f"{proto.name!r} is a {kind.removesuffix('_type')}, and no tensor")
    kind = proto.type.tensor_type
    if not kind.HasField("shape"):
        return Port(proto.name, None, kind.elem_type)
    sizes = tuple(each.dim_value if each.HasField("dim_value") else each.dim_param for each in kind.shape.dim)
    return Port(proto.name, sizes, kind.elem_type)


def widened(array: Array) -> Array:
    """Returns: floats of any width as float32, sub-byte integers as bytes, text as objects."""
    name = array.dtype.name
    if name in ("float16", "bfloat16", "float64") or name.startswith("float8"):
        return array.astype(np.float32)
    if name in ("int4", "int2"):
        return array.astype(np.int8)
    return array.astype(np.uint8) if name in ("uint4", "uint2") else array


# ONNX's element type → bits. 8 is text, which has no fixed size.
_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 8: 0, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 16: 16,
    21: 4, 22: 4,
}  # fmt: skip
# ONNX's integers of 4 bits: read as bytes, and never computed with.
NIBBLES = (21, 22)
# ONNX's element type → what a graph holds it as.
DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
    10: "float32", 11: "float32", 12: "uint32", 13: "uint64", 16: "float32", 21: "uint8", 22: "int8",
}  # fmt: skip
