"""What a phone's app must know of a model, as data: how pictures go in, and what the outputs mean.

``literals`` renders it for the programs of ``android`` and ``ios``, whose classes have the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sanderling.deploy.literals import Choice, Ints, Reals, Record
from sanderling.deploy.plan_task import Meaning, meaning_of
from sanderling.deploy.tolerance import HALF
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, DType
from sanderling.samples.inputs import Input, keeps_state, model_inputs, picture_of
from sanderling.samples.pixels import encode
from sanderling.tasks.input_kind import kind_of
from sanderling.tasks.inputs.image import ImageInput
from sanderling.tasks.spec import TaskSpec

TYPES = {
    DType.FLOAT32: "float32", DType.INT8: "int8", DType.UINT8: "uint8", DType.INT16: "int16",
    DType.INT32: "int32", DType.INT64: "int64", DType.BOOL: "bool",
}  # fmt: skip
_CONSTANT = "constant"


@dataclass(frozen=True, slots=True)
class Plan:
    """A model in an app.

    Attributes:
        record: all that the program is told, as an object of it.
        files: arrays that lie beside the model, by their name without ``.bin``.
        labels: names of the classes; () where there are none.
        why: why the app takes no pictures, "" when it does.
        notes: what of the answer it leaves out.
    """

    record: Record
    files: Mapping[str, Array]
    labels: tuple[str, ...]
    why: str
    notes: tuple[str, ...]


def plan_of(
    model: Model,
    spec: TaskSpec,
    name: str,
    feeds: Sequence[Mapping[str, Array]],
    outputs: Sequence[Mapping[str, Array]],
    tolerance: Mapping[str, float],
    examples: Sequence[str],
) -> Plan:
    """Describes a model for a program.

    Args:
        spec: its task, in full.
        name: of the model among the app's files: ``model``.
        feeds, outputs: of the examples, as the model stores them; at least one.
        tolerance: by output's name.
        examples: their names.
    """
    inputs, names = model_inputs(model), model.output_names()
    picture, table, why = _picture(inputs, spec, name)
    meaning = meaning_of(spec, [outputs[0][each] for each in names], names, _side(inputs, spec, feeds[0]))
    ports, given = model.main.inputs, model.main.outputs
    floats = [model.main.tensors[index].dtype.is_float for index in given]
    allowed = [float(tolerance[each]) for each in names]
    signature = _signature(model)
    record = Record("Plan", {
        "file": name,
        "inputs": [_port(p.name, p.dims, model, i) for p, i in zip(inputs, ports, strict=True)],
        "outputs": [_port(n, _sizes(outputs, n), model, i) for n, i in zip(names, given, strict=True)],
        "picture": picture,
        "task": meaning.record,
        "labels": f"{name}/labels.txt" if meaning.labels else "",
        "keepsState": keeps_state(model),
        "examples": list(examples),
        "tolerance": Reals(allowed),
        "gpuTolerance": Reals([max(a, HALF) if f else a for a, f in zip(allowed, floats, strict=True)]),
        "signatureInputs": Ints(signature[0]),
        "signatureOutputs": Ints(signature[1]),
    })  # fmt: skip
    files = {**table, **{f"{name}/{key}": value for key, value in meaning.files.items()}}
    for number, (feed, output) in enumerate(zip(feeds, outputs, strict=True)):
        files |= {f"{name}/{number}_in_{i}": feed[each.name] for i, each in enumerate(inputs)}
        files |= {f"{name}/{number}_out_{i}": output[each] for i, each in enumerate(names)}
    return Plan(_named(record, name, meaning), files, meaning.labels, why, () if why else meaning.notes)


def unreadable(model: Model) -> str:
    """Returns: which input or output holds numbers that an app cannot read, "" when all can be."""
    graph = model.main
    sides = (("input", model.input_names(), graph.inputs), ("output", model.output_names(), graph.outputs))
    for side, names, indices in sides:
        for name, index in zip(names, indices, strict=True):
            kind = graph.tensors[index].type
            if kind.dtype not in TYPES:
                return f"{side} {name!r} is of type {kind.dtype.value}, which LiteRT's apps cannot read"
            if kind.quant is not None and kind.quant.scale.size > 1:
                return f"{side} {name!r} has a scale for each channel, which apps do not expect"
    return ""


def _named(record: Record, name: str, meaning: Meaning) -> Record:
    """Returns: the record with the place of the anchors' file in it."""
    task = record.fields["task"]
    if "anchors" not in meaning.files:
        return record
    placed = replace(task, fields={**task.fields, "anchors": f"{name}/anchors.bin"})
    return replace(record, fields={**record.fields, "task": placed})


def _sizes(outputs: Sequence[Mapping[str, Array]], name: str) -> tuple[int, ...]:
    """Returns: an output's sizes in the examples, −1 where they differ."""
    shapes = [each[name].shape for each in outputs]
    if len({len(shape) for shape in shapes}) > 1:
        return (-1,)
    return tuple(sizes[0] if len(set(sizes)) == 1 else -1 for sizes in zip(*shapes, strict=True))


def _port(name: str, dims: Sequence[int], model: Model, index: int) -> Record:
    kind = model.main.tensors[index].type
    scaled = kind.quant is not None and kind.quant.scale.size == 1 and not kind.dtype.is_float
    quant = kind.quant if scaled else None
    return Record("Port", {
        "name": name,
        "type": Choice("Type", TYPES[kind.dtype]),
        "dims": Ints(dims),
        "scale": 0.0 if quant is None else float(quant.scale[0]),
        "zeroPoint": 0 if quant is None else int(quant.zero_point[0]),
    })  # fmt: skip


def _signature(model: Model) -> tuple[list[int], list[int]]:
    """Returns: places among the graph's inputs and outputs in the order of the first signature, by which
    ``CompiledModel`` counts them."""
    graph = model.main
    found = next((each for each in model.signatures if each.graph == 0), None)
    if found is None:
        return list(range(len(graph.inputs))), list(range(len(graph.outputs)))
    return (
        [graph.inputs.index(index) for _, index in found.inputs],
        [graph.outputs.index(index) for _, index in found.outputs],
    )


def _side(inputs: Sequence[Input], spec: TaskSpec, feed: Mapping[str, Array]) -> tuple[int, int]:
    """Returns: height and width of the picture that went in, (1, 1) where none did."""
    for each, settings in zip(inputs, spec.inputs, strict=False):
        picture = picture_of(each) if isinstance(settings, ImageInput) else None
        if picture is not None:
            shape, axis = feed[each.name].shape, _height_axis(picture.layout)
            return shape[axis], shape[axis + 1]
    return 1, 1


def _height_axis(layout: str) -> int:
    return {"NHWC": 1, "NCHW": 2, "NHW": 1, "HWC": 0}[layout]


def _picture(
    inputs: Sequence[Input], spec: TaskSpec, name: str
) -> tuple[Record | None, dict[str, Array], str]:
    """Returns: how a picture goes in, the table of values that it needs, and why none does."""
    kinds = [kind_of(settings) for settings in spec.inputs]
    pictures = [i for i, kind in enumerate(kinds) if kind.name == "image"]
    others = [kind for i, kind in enumerate(kinds) if i not in pictures and kind.name != _CONSTANT]
    if len(pictures) != 1 or others:
        what = ", ".join(dict.fromkeys(kind.what for kind in kinds)) or "nothing"
        several = "several pictures at once" if len(pictures) > 1 and not others else what
        return None, {}, f"the model takes {several}, which the app has no way to give: it tests the model"
    at, settings = pictures[0], spec.inputs[pictures[0]]
    picture = picture_of(inputs[at])
    assert picture is not None
    table = f"{name}/pixels"
    record = Record("PictureInput", {
        "input": at,
        "height": picture.height,
        "width": picture.width,
        "channels": picture.channels,
        "channelsFirst": picture.layout == "NCHW",
        "heightAxis": _height_axis(picture.layout),
        "resize": Choice("Resize", settings.resize),
        "central": float(settings.central),
        "filter": Choice("Filter", settings.filter),
        "fill": settings.fill,
        "grey": settings.colour == "grey",
        "bgr": settings.colour == "bgr",
        "invert": settings.invert,
        "table": f"{table}.bin",
    })  # fmt: skip
    return record, {table: value_table(inputs[at], settings)}, ""


def value_table(spec: Input, settings: ImageInput) -> Array:
    """Returns: what each pixel of 0..255 becomes, as the input stores it, [channels, 256]: normalized,
    quantized and rounded once, here."""
    picture = picture_of(spec)
    assert picture is not None
    line = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], picture.channels, axis=2)
    flat = replace(spec, dims=line.shape, shape=line.shape, batched=False)
    sized = replace(picture, height=1, width=256, layout="HWC")
    table = encode(line, flat, sized, settings.normalization, spec.name)[0]
    # Channels of a table are those of the picture as it is read; the program swaps them afterwards.
    return np.ascontiguousarray(np.moveaxis(table, 1, 0))
