"""Reads what a model says about itself: the ``TFLITE_METADATA`` flatbuffer and the label files beside it.

The blob comes from an untrusted file. Every offset is checked against its bounds before it is followed,
every vector's length before it is looped over, and the number of tables read is limited.

Source: the field numbers follow TensorFlow Lite's ``metadata_schema.fbs`` (file identifier ``M001``).
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass

from sanderling.errors import FormatError
from sanderling.graph.graph import Model
from sanderling.tflite.blob import BlobTable, root_table
from sanderling.tflite.parameters import read_parameters

METADATA = "TFLITE_METADATA"
_CONTENT = {1: "feature", 2: "image", 3: "bounding_box", 4: "audio"}
_NORMALIZATION_OPTIONS = 1
_AXIS_LABELS, _VALUE_LABELS = 2, 3
_MAX_LABEL_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """What the author wrote about one input or output.

    Attributes:
        name, description: free text.
        content: ``image``, ``audio``, ``feature``, ``bounding_box``, or "" when not stated.
        mean, std: normalization, real = (value − mean) / std; empty when not stated.
        min, max: range of valid values; empty when not stated.
        sample_rate: Hz, 0 when not stated.
        channels: audio channels, 0 when not stated.
        label_files: names of files that list the labels of its last axis (or of its values).
    """

    name: str = ""
    description: str = ""
    content: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    min: tuple[float, ...] = ()
    max: tuple[float, ...] = ()
    sample_rate: int = 0
    channels: int = 0
    label_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What the author wrote about the model: inputs and outputs in the graph's order."""

    name: str
    description: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


def read_metadata(model: Model) -> ModelMetadata | None:
    """Reads the model's metadata.

    Returns: inputs and outputs as described by the author, or None when the model carries no metadata.

    Raises:
        FormatError: the metadata is damaged.
    """
    blob = next((data for name, data in model.metadata if name == METADATA), None)
    if blob is None or blob.size == 0:
        return None
    root = root_table(blob.tobytes(), METADATA)
    subgraphs = root.tables(3)
    inputs = tuple(_tensor(t) for t in subgraphs[0].tables(2)) if subgraphs else ()
    outputs = tuple(_tensor(t) for t in subgraphs[0].tables(3)) if subgraphs else ()
    return ModelMetadata(root.text(0), root.text(1), inputs, outputs)


def _tensor(table: BlobTable) -> TensorMetadata:
    content, sample_rate, channels = "", 0, 0
    described = table.table(3)
    if described is not None:
        content = _CONTENT.get(described.integer(0, "<B"), "")
        audio = described.table(1) if content == "audio" else None
        if audio is not None:
            sample_rate, channels = audio.integer(0, "<I"), audio.integer(1, "<I")
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    for unit in table.tables(4):
        options = unit.table(1) if unit.integer(0, "<B") == _NORMALIZATION_OPTIONS else None
        if options is not None:
            mean, std = options.floats(0), options.floats(1)
    stats = table.table(5)
    files = [(f.text(0), f.integer(2, "<b")) for f in table.tables(6)]
    return TensorMetadata(
        name=table.text(0),
        description=table.text(1),
        content=content,
        mean=mean,
        std=std,
        min=stats.floats(1) if stats else (),
        max=stats.floats(0) if stats else (),
        sample_rate=sample_rate,
        channels=channels,
        label_files=tuple(name for name, kind in files if kind in (_AXIS_LABELS, _VALUE_LABELS)),
    )


def label_names(model: Model) -> tuple[str, ...] | None:
    """Reads the names of the classes: from the appended label file, else from the model's parameters.

    Returns: one name per class, in the order of the outputs' last axis; None when the model names none.

    Raises:
        FormatError: the metadata or the appended archive is damaged.
    """
    metadata = read_metadata(model)
    listed = [f for t in metadata.outputs for f in t.label_files] if metadata else []
    if not listed or model.appended.size == 0:
        classes = read_parameters(model).get("classes")
        return classes if isinstance(classes, tuple) and classes else None
    try:
        with zipfile.ZipFile(io.BytesIO(model.appended.tobytes())) as archive:
            if listed[0] not in archive.namelist():
                return None
            with archive.open(listed[0]) as file:
                data = file.read(_MAX_LABEL_BYTES + 1)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise FormatError(f"the appended archive cannot be read ({error})", where=model.name) from error
    if len(data) > _MAX_LABEL_BYTES:
        raise FormatError(f"the label file {listed[0]} is larger than 4 MB", where=model.name)
    return tuple(line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip())
