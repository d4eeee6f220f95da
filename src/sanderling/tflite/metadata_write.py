"""Writes what a model says about itself: the ``TFLITE_METADATA`` flatbuffer and the label files beside it.

Source: the field numbers follow TensorFlow Lite's ``metadata_schema.fbs`` (file identifier ``M001``).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sanderling.graph.graph import Model
from sanderling.tflite.metadata import METADATA, ModelMetadata, TensorMetadata

_IDENTIFIER = b"M001"
_PARSER = "1.0.0"  # the oldest reader that knows all that is written here
_CONTENT = {"feature": 1, "image": 2, "bounding_box": 3, "audio": 4}
_NORMALIZATION_OPTIONS = 1
_RGB, _GREY = 1, 2
_AXIS_LABELS, _VALUE_LABELS = 2, 3
_BOUNDARIES, _LEFT_TOP_RIGHT_BOTTOM = 1, (1, 0, 3, 2)  # of boxes that are given as top, left, bottom, right
_SINCE = (1980, 1, 1, 0, 0, 0)  # the same archive every time


def with_metadata(
    model: Model, metadata: ModelMetadata, files: Mapping[str, bytes], values: Sequence[str] = ()
) -> Model:
    """Gives a model a description, which ``read_metadata`` reads back equal.

    Args:
        metadata: inputs and outputs in the graph's order.
        files: what it names (labels), by name, to be packed behind the model.
        values: those of them that name values rather than places along the last axis.

    Returns: the model with what it carried before, but for another description and other packed files.
    """
    blob = np.frombuffer(_blob(metadata, _channels(model), values), np.uint8)
    kept = tuple((name, data) for name, data in model.metadata if name != METADATA)
    return replace(model, metadata=(*kept, (METADATA, blob)), appended=_packed(files))


def _channels(model: Model) -> list[int]:
    return [next(iter(model.main.tensors[index].shape[-1:]), 0) for index in model.main.inputs]


def _packed(files: Mapping[str, bytes]) -> Any:
    if not files:
        return np.empty(0, np.uint8)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(zipfile.ZipInfo(name, _SINCE), content, zipfile.ZIP_DEFLATED)
    return np.frombuffer(archive.getvalue(), np.uint8)


def _blob(metadata: ModelMetadata, channels: Sequence[int], values: Sequence[str]) -> bytes:
    from flatbuffers import Builder

    builder = Builder(1024)
    described = [(t, channels[i] if i < len(channels) else 0) for i, t in enumerate(metadata.inputs)]
    inputs = _tables(builder, [_tensor(builder, each, count, values) for each, count in described])
    outputs = _tables(builder, [_tensor(builder, each, 0, values) for each in metadata.outputs])
    subgraph = _table(builder, 10, {2: _offset(inputs), 3: _offset(outputs)})
    graphs = _tables(builder, [subgraph])
    texts = {0: metadata.name, 1: metadata.description, 7: _PARSER}
    offsets = {slot: _offset(builder.CreateString(text)) for slot, text in texts.items() if text}
    root = _table(builder, 8, {**offsets, 3: _offset(graphs)})
    builder.Finish(root, _IDENTIFIER)
    return bytes(builder.Output())


Add = Callable[[Any, int], None]


def _offset(value: int) -> Add:
    return lambda builder, slot: builder.PrependUOffsetTRelativeSlot(slot, value, 0)


def _byte(value: int) -> Add:
    return lambda builder, slot: builder.PrependUint8Slot(slot, value, 0)


def _word(value: int) -> Add:
    return lambda builder, slot: builder.PrependUint32Slot(slot, value, 0)


def _table(builder: Any, slots: int, fields: Mapping[int, Add]) -> int:
    builder.StartObject(slots)
    for slot, add in fields.items():
        add(builder, slot)
    return int(builder.EndObject())


def _tables(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: Any, values: Sequence[float]) -> Add:
    return _offset(builder.CreateNumpyVector(np.asarray(values, np.float32)))


def _tensor(builder: Any, tensor: TensorMetadata, channels: int, values: Sequence[str]) -> int:
    fields: dict[int, Add] = {}
    for slot, text in ((0, tensor.name), (1, tensor.description)):
        if text:
            fields[slot] = _offset(builder.CreateString(text))
    if tensor.content:
        fields[3] = _offset(_content(builder, tensor, channels))
    if tensor.mean:
        numbers = {0: _floats(builder, tensor.mean), 1: _floats(builder, tensor.std)}
        options = _table(builder, 2, numbers)
        unit = _table(builder, 2, {0: _byte(_NORMALIZATION_OPTIONS), 1: _offset(options)})
        fields[4] = _offset(_tables(builder, [unit]))
    if tensor.min or tensor.max:
        ends = {0: _floats(builder, tensor.max), 1: _floats(builder, tensor.min)}
        fields[5] = _offset(_table(builder, 2, ends))
    if tensor.label_files:
        listed = [_file(builder, name, name in values) for name in tensor.label_files]
        fields[6] = _offset(_tables(builder, listed))
    return _table(builder, 7, fields)


def _content(builder: Any, tensor: TensorMetadata, channels: int) -> int:
    properties: dict[int, Add] = {}
    if tensor.content == "image":
        properties = {0: _byte(_GREY if channels == 1 else _RGB)}
    elif tensor.content == "audio":
        properties = {0: _word(tensor.sample_rate), 1: _word(tensor.channels)}
    elif tensor.content == "bounding_box":
        order = builder.CreateNumpyVector(np.asarray(_LEFT_TOP_RIGHT_BOTTOM, np.uint32))
        properties = {0: _offset(order), 1: _byte(_BOUNDARIES)}
    inner = _table(builder, 3, properties)
    return _table(builder, 3, {0: _byte(_CONTENT[tensor.content]), 1: _offset(inner)})


def _file(builder: Any, name: str, of_values: bool) -> int:
    text = builder.CreateString(name)
    kind = _VALUE_LABELS if of_values else _AXIS_LABELS
    return _table(builder, 5, {0: _offset(text), 2: _byte(kind)})
