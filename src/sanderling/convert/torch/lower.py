"""From a PyTorch program to a ``.tflite`` model: litert-torch, then our own names and rewrites."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from sanderling.convert.conversion import Conversion
from sanderling.convert.finish import finish, named
from sanderling.convert.lowered import Lowered
from sanderling.convert.torch.archive import first_line
from sanderling.convert.torch.edge import example, wrap
from sanderling.convert.torch.program import Program
from sanderling.errors import ConvertError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.tflite.read import parse

_OPERATOR = re.compile(r"(?:aten|prims|torch|higher_order)(?:\.|::)[\w.]+")


def lower(program: Program, layout: str) -> Lowered:
    """Lowers a program.

    Args:
        layout: ``nhwc`` takes and gives images as [N,H,W,C].

    Raises:
        ConvertError: litert-torch cannot, with the operator that is in the way.
    """
    last = layout == "nhwc"
    module = wrap(program, last)
    content = _litert_torch(module, program, last)
    notes = list(program.notes)
    types = [program.arguments[port.place].dtype for port in program.inputs]
    wide = [port.name for port, kind in zip(program.inputs, types, strict=True) if kind.itemsize == 8]
    if wide:
        notes.append(f"64-bit inputs take 32 bits: {', '.join(wide)}")
    moved = [port.name for port in (*program.inputs, *program.outputs) if last and port.image]
    if moved:
        notes.append(f"channels come last in {', '.join(map(repr, moved))}: [N,H,W,C]")
    inputs, outputs = ([port.name for port in ports] for ports in (program.inputs, program.outputs))
    return Lowered(content, tuple(inputs), tuple(outputs), _runner(module, types), tuple(notes))


def conversion_of(lowered: Lowered) -> Conversion:
    """Returns: what every converter hands over, with names and our own rewrites."""
    model = parse(memoryview(lowered.content))
    (signature,) = model.signatures
    graph = replace(
        model.main,
        inputs=tuple(dict(signature.inputs)[f"args_{i}"] for i in range(len(lowered.inputs))),
        outputs=tuple(dict(signature.outputs)[f"output_{i}"] for i in range(len(lowered.outputs))),
    )
    model = named(_nearest(model.with_main(graph)), lowered.inputs, lowered.outputs)
    model = finish(model)
    types = [model.main.tensors[index].dtype.numpy for index in model.main.outputs]

    def reference(arrays: Sequence[Array]) -> list[Array]:
        return [found.astype(kind) for found, kind in zip(lowered.run(arrays), types, strict=True)]

    route = f"PyTorch {version('torch')} → torch.export → litert-torch {version('litert-torch')}"
    return Conversion(model, reference, route, lowered.notes)


def _litert_torch(module: Any, program: Program, last: bool) -> bytes:
    """Returns: the bytes of the ``.tflite`` file."""
    import litert_torch
    import torch
    from litert_torch import progress

    shown, progress.config.show_progress = progress.config.show_progress, False
    try:
        with torch.no_grad():
            converted = litert_torch.convert(module, example(program, last))
            content: bytes = converted.model_content()
    except Exception as error:
        raise _told(error, program.where) from error
    finally:
        progress.config.show_progress = shown
    return content


def _told(error: Exception, where: str) -> ConvertError:
    """Returns: what litert-torch could not do, in a sentence."""
    found = _OPERATOR.search(str(error))
    what = f"operator {found[0]}" if found else "the program"
    tool = f"litert-torch {version('litert-torch')}"
    return ConvertError(
        f"{tool} cannot lower {what} ({type(error).__name__}: {first_line(error)})",
        where=where,
        hint="write it with other operators, or export the model to ONNX and convert that",
    )


def _nearest(model: Model) -> Model:
    """Returns: the model with PyTorch's rule for nearest neighbours: the pixel at or before.

    litert-torch asks for half-pixel centers, which comes to the same only for whole factors.
    """
    nodes = tuple(
        replace(node, attrs={**node.attrs, "half_pixel_centers": False})
        if node.op == "RESIZE_NEAREST_NEIGHBOR" and node.attrs.get("half_pixel_centers")
        else node
        for node in model.main.nodes
    )
    return model.with_main(replace(model.main, nodes=nodes))


def _runner(module: Any, types: Sequence[Any]) -> Callable[[Sequence[Array]], list[Array]]:
    """Returns: the program itself, for arrays as the model takes them."""
    import torch

    def run(arrays: Sequence[Array]) -> list[Array]:
        tensors = [torch.tensor(array).to(kind) for array, kind in zip(arrays, types, strict=True)]
        with torch.no_grad():
            results = module(*tensors)
        return [result.resolve_conj().resolve_neg().numpy() for result in results]

    return run
