"""From a PyTorch program to a ``.tflite`` model: litert-torch, then our own names and rewrites."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sanderling import passes
from sanderling.convert.conversion import Conversion, Reference, Wishes
from sanderling.convert.torch.archive import first_line
from sanderling.convert.torch.edge import example, wrap
from sanderling.convert.torch.layout import TO_LAST
from sanderling.convert.torch.program import OPEN, Port, Program
from sanderling.errors import ConvertError
from sanderling.graph.graph import Model, Signature
from sanderling.graph.types import Array
from sanderling.passes.registry import find
from sanderling.tflite.read import parse

if TYPE_CHECKING:
    import torch

SIGNATURE = "serving_default"
_OPERATOR = re.compile(r"(?:aten|prims|torch|higher_order)(?:\.|::)[\w.]+")


def convert_program(program: Program, wishes: Wishes) -> Conversion:
    """Converts a program.

    Raises:
        ConvertError: litert-torch cannot, with the operator that is in the way.
    """
    last = wishes.layout == "nhwc"
    notes = list(program.notes)
    module = wrap(program, last)
    content = _lowered(module, program, last)
    model = _named(parse(memoryview(content), name=program.where or "model"), program)
    model = _nearest(model)
    model, _ = passes.run(model, [name for name in passes.FASTER if not find(name).grows])
    narrowed = [port.name for port, index in zip(program.inputs, model.main.inputs, strict=True)
                if str(program.arguments[port.place].dtype)[6:] != model.main.tensors[index].dtype.value]  # fmt: skip
    if narrowed:
        notes.append(f"64-bit inputs take 32 bits: {', '.join(narrowed)}")
    moved = [port.name for port in (*program.inputs, *program.outputs) if last and port.image]
    if moved:
        notes.append(f"channels come last in {', '.join(map(repr, moved))}: [N,H,W,C]")
    route = f"PyTorch {version('torch')} → torch.export → litert-torch {version('litert-torch')}"
    return Conversion(model, _reference(module, program, model), route, tuple(notes))


def _lowered(module: torch.nn.Module, program: Program, last: bool) -> bytes:
    """Returns: the bytes of the ``.tflite`` file."""
    import litert_torch
    import torch
    from litert_torch import progress

    shown, progress.config.show_progress = progress.config.show_progress, False
    try:
        with torch.no_grad():
            converted = litert_torch.convert(
                module, example(program, last), dynamic_shapes=_open_sizes(program, last)
            )
            content: bytes = converted.model_content()
    except Exception as error:  # noqa: BLE001 - litert-torch raises any kind, and MLIR its own
        raise _told(error, program.where) from error
    finally:
        progress.config.show_progress = shown
    return content


def _open_sizes(program: Program, last: bool) -> Any:
    """Returns: for ``torch.export``, which sizes of the inputs stay open; None for none."""
    import torch

    if not any(OPEN in port.shape for port in program.inputs):
        return None
    axes = []
    for port in program.inputs:
        shape = [port.shape[axis] for axis in TO_LAST] if last and port.image else port.shape
        axes.append({axis: torch.export.Dim.AUTO for axis, size in enumerate(shape) if size == OPEN})
    return (tuple(axes),)


def _told(error: Exception, where: str) -> ConvertError:
    """Returns: what litert-torch could not do, in a sentence."""
    text = str(error)
    found = _OPERATOR.search(text)
    what = f"operator {found[0]}" if found else "the program"
    return ConvertError(
        f"litert-torch {version('litert-torch')} cannot lower {what} ({type(error).__name__}: {first_line(error)})",
        where=where,
        hint="write it with other operators, or export the model to ONNX and convert that",
    )


def _named(model: Model, program: Program) -> Model:
    """Returns: the model with the program's names and order of inputs and outputs."""
    (signature,) = model.signatures
    inputs = _in_order(dict(signature.inputs), "args", len(program.inputs))
    outputs = _in_order(dict(signature.outputs), "output", len(program.outputs))
    tensors = list(model.main.tensors)
    for index, port in [*zip(outputs, program.outputs, strict=True), *zip(inputs, program.inputs, strict=True)]:
        tensors[index] = replace(tensors[index], name=port.name)
    graph = replace(model.main, tensors=tuple(tensors), inputs=tuple(inputs), outputs=tuple(outputs))
    named = Signature(SIGNATURE, _pairs(program.inputs, inputs), _pairs(program.outputs, outputs))
    return replace(model.with_main(graph), signatures=(named,), source=None)


def _nearest(model: Model) -> Model:
    """Returns: the model with PyTorch's rule for nearest neighbours: the pixel at or before, not the nearest.

    litert-torch asks for half-pixel centers, which comes to the same only for whole factors.
    """
    nodes = tuple(
        replace(node, attrs={**node.attrs, "half_pixel_centers": False})
        if node.op == "RESIZE_NEAREST_NEIGHBOR" and node.attrs.get("half_pixel_centers")
        else node
        for node in model.main.nodes
    )
    return model.with_main(replace(model.main, nodes=nodes))


def _in_order(indices: dict[str, int], stem: str, count: int) -> list[int]:
    return [indices[f"{stem}_{number}"] for number in range(count)]


def _pairs(ports: Sequence[Port], indices: Sequence[int]) -> tuple[tuple[str, int], ...]:
    names: list[str] = []
    for port in ports:
        names.append(port.name if port.name not in names else f"{port.name}_{len(names)}")
    return tuple(zip(names, indices, strict=True))


def _reference(module: torch.nn.Module, program: Program, model: Model) -> Reference:
    """Returns: the program itself, for arrays as the model takes them."""
    import torch

    graph = model.main
    types = [graph.tensors[index].dtype.numpy for index in graph.outputs]
    given = [program.arguments[port.place].dtype for port in program.inputs]

    def run(arrays: Sequence[Array]) -> list[Array]:
        tensors = [torch.from_numpy(array).to(dtype) for array, dtype in zip(arrays, given, strict=True)]
        with torch.no_grad():
            results = module(*tensors)
        return [
            result.detach().resolve_conj().resolve_neg().numpy().astype(dtype)
            for result, dtype in zip(results, types, strict=True)
        ]

    return run
