"""ONNX files, by our own importer; ONNX Runtime says what they should answer."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from importlib.metadata import version
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np

from sanderling import passes
from sanderling.convert.conversion import Conversion, Converter, Reference, Wishes
from sanderling.convert.finish import finish, finish_carefully
from sanderling.convert.lowered import RUN_SECONDS
from sanderling.errors import ConvertError, MissingExtra, SanderlingError
from sanderling.graph.types import Array

PACKAGES = ("onnx", "onnxruntime")
_SOURCE = "sanderling.convert.onnx.source"


def reads(path: Path) -> bool:
    """Returns: whether a file ends like ONNX's."""
    return path.suffix.lower() == ".onnx" and path.is_file()


def parts(path: Path) -> list[Path]:
    """Returns: the files in the model's folder that hold its weights, as far as they are there.

    Found by the bytes of the entries that name them: a StringStringEntryProto of the key "location".
    Source: onnx.proto, TensorProto.external_data.
    """
    folder, named = path.parent.resolve(), set()
    if not path.stat().st_size:
        return []
    with path.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as content:
        for entry in re.finditer(rb"\x0a\x08location\x12([\x01-\x7f])", content):
            named.add(content[entry.end() : entry.end() + entry[1][0]])
    names = [each.decode(errors="replace") for each in named if b"\0" not in each]
    found = [(folder / name).resolve() for name in names]
    return [each for each in found if each.is_relative_to(folder) and each.is_file()]


def takes(source: object) -> bool:
    """Returns: False: what is in memory is converted from its framework."""
    return False


def convert(source: object, wishes: Wishes) -> Conversion:
    """Converts a file.

    Raises:
        FormatError: it is damaged or of another kind.
        UnsupportedOperator: a node has no counterpart.
        MissingExtra: onnx or onnxruntime is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in PACKAGES):
        raise MissingExtra("converting ONNX models", "onnx")
    from sanderling.convert.onnx.integers import on_integers
    from sanderling.onnx.read import import_model, parse

    path = Path(str(source))
    try:
        read = parse(path)
        made = import_model(read, wishes.shapes, last=wishes.layout == "nhwc")
    except SanderlingError as error:
        error.where = error.where or str(path)
        raise
    inputs = [(edge.name, edge.order) for edge in made.inputs]
    outputs = [(edge.name, edge.order) for edge in made.outputs]
    moved = [name for name, order in (*inputs, *outputs) if order != tuple(range(len(order)))]
    notes = (f"channels come last in {', '.join(map(repr, moved))}: [N,H,W,C]",) if moved else ()
    route = f"ONNX opset {read.opset}{f' by {read.producer}' if read.producer else ''} → sanderling"
    fused = passes.run(made.model, ("fuse_activations", "drop_dead_code"))[0]
    whole = on_integers(fused, made.integers)
    return Conversion(
        finish(whole), reference_of(path, inputs, outputs), route, (*made.notes, *notes),
        finish_carefully(whole), made.rounds,
    )  # fmt: skip


def reference_of(
    path: Path, inputs: Sequence[tuple[str, tuple[int, ...]]], outputs: Sequence[tuple[str, tuple[int, ...]]]
) -> Reference:
    """Returns: what runs a file by ONNX Runtime, in a process of its own from the first call on."""
    from sanderling.isolation.client import Worker

    worker = Worker(name=f"ONNX Runtime {version('onnxruntime')}")
    loaded: list[bool] = []

    def run(arrays: Sequence[Array]) -> list[Array]:
        if not loaded:
            worker.call(
                f"{_SOURCE}:load", path=str(path.resolve()), timeout=300.0, doing=f"loading {path.name}"
            )
            loaded.append(True)
        feeds = {
            name: np.transpose(array, np.argsort(order))
            for array, (name, order) in zip(arrays, inputs, strict=True)
        }
        answers = worker.call(
            f"{_SOURCE}:run", feeds=feeds, names=[name for name, _ in outputs], timeout=RUN_SECONDS,
            doing="running the source",
        )  # fmt: skip
        if len(answers) != len(outputs):
            raise ConvertError(f"the source gave {len(answers)} outputs, expected {len(outputs)}")
        return [np.transpose(each, order) for each, (_, order) in zip(answers, outputs, strict=True)]

    return run


CONVERTER = Converter(
    "onnx", "an ONNX model (.onnx)", "onnx", reads, takes, convert, PACKAGES, (".onnx",), parts=parts
)
