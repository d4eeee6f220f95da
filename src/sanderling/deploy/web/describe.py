"""What a page knows of a model: its inputs, outputs and task, as JSON and parts of the blob."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from sanderling.deploy.web.blob import Blob, Part
from sanderling.deploy.web.constants import derived, kept
from sanderling.deploy.web.programs import HALF, SOFTWARE, WHOLE, Prepared, prepare, unit_weights
from sanderling.engines.webgpu.compiler.program import Program, to_json
from sanderling.engines.webgpu.compiler.target import Target
from sanderling.errors import CompileError
from sanderling.graph.graph import Model
from sanderling.samples.inputs import Input, Picture, model_inputs, picture_of
from sanderling.samples.pixels import encode, side_or_default
from sanderling.tasks.anchors import known_anchors
from sanderling.tasks.answer import find_task
from sanderling.tasks.drawing.skeletons import skeleton
from sanderling.tasks.inputs.image import ImageInput
from sanderling.tasks.inputs.state import StateInput
from sanderling.tasks.labels import fit_labels
from sanderling.tasks.spec import TaskSpec

_SHADES = 256
_MORE = 0.02  # of the weights: what a program for browsers without a GPU may add


def described(model: Model, spec: TaskSpec, blob: Blob, half: Target | None) -> dict[str, Any]:
    """Puts all that a page needs of a model into the blob.

    Args:
        half: what the program in 16 bits is compiled for; None: there is none.

    Returns: how it is found there.
    """
    prepared = prepare(model)
    shapes = [prepared.lifted.model.main.tensors[i].shape for i in prepared.lifted.model.main.inputs]
    inputs = model_inputs(model)
    told = [_input(each, spec, i, shapes[i], blob) for i, each in enumerate(inputs)]
    side = next((each["image"]["side"] for each in told if "image" in each), None)
    outputs = _outputs(model, prepared)
    return {
        "task": spec.name, "options": _options(spec), "labels": _labels(spec, outputs),
        "inputs": told, "outputs": outputs, "states": _states(prepared, blob),
        "programs": _programs(model, prepared, blob, half),
        **_geometry(spec, outputs, side, blob),
        "crop": None if spec.crop is None else asdict(spec.crop),
    }  # fmt: skip


def _input(spec: Input, task: TaskSpec, position: int, shape: Sequence[int], blob: Blob) -> dict[str, Any]:
    settings = task.inputs[position] if position < len(task.inputs) else None
    told: dict[str, Any] = {
        "name": spec.name, "port": f"x{position}", "dtype": spec.dtype.value, "shape": list(shape),
        "kind": "" if settings is None else type(settings).__name__.removesuffix("Input").lower(),
    }  # fmt: skip
    form = picture_of(spec)
    if isinstance(settings, ImageInput) and form is not None:
        form = replace(form, height=side_or_default(form.height), width=side_or_default(form.width))
        how = {n: getattr(settings, n) for n in ("resize", "central", "colour", "filter", "fill", "invert")}
        told["image"] = {
            "side": [form.height, form.width], "channels": form.channels, "layout": form.layout,
            "copies": max(spec.dims[0], 1) if form.layout != "HWC" else 1,
            "values": _values(spec, form, settings, blob), **how,
        }  # fmt: skip
    if isinstance(settings, StateInput):
        told["state"] = settings.output
    return told


def _values(spec: Input, form: Picture, settings: ImageInput, blob: Blob) -> Part:
    """Returns: what the model is fed for each of the 256 shades of each channel, [channels, 256]: a page
    normalizes and quantizes just as ``encode`` does, for it asked it."""
    found = []
    for start in range(0, _SHADES, form.height * form.width):
        shades = (np.arange(form.height * form.width) + start).clip(0, _SHADES - 1).astype(np.uint8)
        pixels = np.repeat(shades.reshape(form.height, form.width, 1), form.channels, axis=2)
        fed = encode(pixels, spec, form, settings.normalization, spec.name)
        first = fed if form.layout == "HWC" else fed[0]
        planes = first if form.layout == "NCHW" else np.moveaxis(np.atleast_3d(first), 2, 0)
        found.append(planes.reshape(form.channels, -1))
    return blob.add(np.ascontiguousarray(np.concatenate(found, axis=1)[:, :_SHADES]))


def _outputs(model: Model, prepared: Prepared) -> list[dict[str, Any]]:
    graph, own = prepared.lifted.model.main, model.main
    found = []
    for position, (name, index) in enumerate(zip(model.output_names(), own.outputs, strict=True)):
        kind = graph.tensors[graph.outputs[position]].type
        told: dict[str, Any] = {
            "name": name, "port": f"y{position}", "dtype": kind.dtype.value, "shape": list(kind.shape),
        }  # fmt: skip
        quant = own.tensors[index].quant
        if own.tensors[index].type.is_quantized and quant is not None and quant.scale.size == 1:
            told |= {"scale": float(quant.scale[0]), "zero_point": int(quant.zero_point[0])}
        found.append(told)
    return found


def _states(prepared: Prepared, blob: Blob) -> list[dict[str, Any]]:
    """Returns: ports by which variables come in and go out, and what they hold at first."""
    lifted = prepared.lifted
    graph, count = lifted.model.main, len(lifted.states)
    first_in, first_out = len(graph.inputs) - count, len(graph.outputs) - count
    return [
        {
            "in": f"x{first_in + i}", "out": f"y{first_out + i}", "first": blob.add(state.initial),
            "dtype": graph.tensors[graph.inputs[first_in + i]].dtype.value,
        }
        for i, state in enumerate(lifted.states)
    ]  # fmt: skip


def _programs(model: Model, prepared: Prepared, blob: Blob, half: Target | None) -> dict[str, Any]:
    whole = prepared.compiled(WHOLE)
    told = {"float32": {"program": _plain(whole), "constants": kept(whole, _unit(model), blob)}}
    mark, room = blob.mark(), _MORE * whole.weights.size
    for name, target in (("float16", half), ("software", SOFTWARE)):
        if target is None:
            continue
        other = prepared.compiled(target)
        constants = derived(other, whole, blob)
        if name == "software" and blob.size(mark) > room:
            blob.back(mark)  # its weights are in another order: they would be there twice
            continue
        told[name] = {"program": _plain(other), "constants": constants}
        mark = blob.mark()
    return told


def _unit(model: Model) -> Program | None:
    try:
        return prepare(unit_weights(model)).compiled(WHOLE)
    except CompileError:
        return None  # another graph than the model's came of it: weights are kept as floats


def _plain(program: Program) -> dict[str, Any]:
    """Returns: the program as the runner takes it, without what only people read."""
    found: dict[str, Any] = json.loads(to_json(program, indent=None))
    for dispatch in found["dispatches"]:
        del dispatch["nodes"], dispatch["partial"]
        dispatch["slots"] = [
            {key: value for key, value in slot.items() if value and key not in ("value", "writes")}
            | {"buffer": slot["buffer"], "offset": slot["offset"]}
            for slot in dispatch["slots"]
        ]
    return found


def has_half(model: Model) -> bool:
    """Returns: whether a program in 16 bits is another one than that in 32 bits."""
    return "shader-f16" in prepare(model).compiled(HALF).features


def _options(spec: TaskSpec) -> dict[str, Any]:
    """Returns: all options of the task; those that are not known have their defaults."""
    if not spec.name or spec.name == "custom":
        return {}
    known = find_task(spec.name).options(**spec.options)
    found = asdict(known)
    return {name: list(v) if isinstance(v, tuple) else v for name, v in found.items()}


def _labels(spec: TaskSpec, outputs: Sequence[dict[str, Any]]) -> list[str]:
    """Returns: names of the classes as the outputs number them, [] for none."""
    position = _options(spec).get("scores" if spec.name == "detect" else "output", 0)
    if not spec.labels or spec.name not in ("classify", "detect", "segment"):
        return list(spec.labels)
    if not isinstance(position, int) or position >= len(outputs):
        return []
    count = _classes(spec, outputs[position]["shape"])
    return list(spec.labels if count is None else fit_labels(spec.labels, count)[0])


def _classes(spec: TaskSpec, shape: Sequence[int]) -> int | None:
    options = _options(spec)
    if spec.name == "classify":
        return max(2, shape[-1] if shape else 1)
    if spec.name == "segment":
        many = options["scores"] == "classes" and len(shape) == 4
        return None if options["scores"] == "map" else max(2, shape[options["axis"]] if many else 2)
    if options["format"] == "anchors":
        return shape[-1] - int(options["background"])
    if options["format"] == "grid":
        return max(1, shape[-2 if options["transposed"] else -1] - 4 - int(options["objectness"]))
    return None


def _geometry(
    spec: TaskSpec, outputs: Sequence[dict[str, Any]], side: Sequence[int] | None, blob: Blob
) -> dict[str, Any]:
    """Returns: the anchors of a detector, the skeleton of landmarks."""
    options = _options(spec)
    if spec.name == "detect" and options["format"] == "anchors" and side is not None:
        anchors = known_anchors(outputs[options["boxes"]]["shape"][-2], (side[0], side[1]))
        return {"anchors": None if anchors is None else blob.add(anchors.boxes.astype(np.float32).T)}
    if spec.name == "landmarks":
        size = int(np.prod(outputs[options["output"]]["shape"]))
        shape = skeleton(size // options["per_point"])
        return {"skeleton": asdict(shape)}
    return {}
