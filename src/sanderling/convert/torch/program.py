"""A PyTorch program as a converter wants it: a function of tensors in a row, each with a name and a size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sanderling.convert.conversion import Wishes
from sanderling.convert.torch.archive import first_line
from sanderling.convert.torch.layout import image_values
from sanderling.errors import ConvertError, UsageError

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output.

    Attributes:
        name: the argument's, or the key or place of a result.
        place: where it stands among the leaves of the program's arguments or results.
        shape: () for outputs, whose sizes follow.
        image: it is [N,C,H,W] and goes into, or comes from, a convolution or the like.
    """

    name: str
    place: int
    shape: Shape = ()
    image: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """An exported program and how it is called.

    Attributes:
        exported: as it came; its open sizes are fixed when it is traced with ``arguments``.
        arguments: its leaves: a tensor for every input, else the constant that it was exported with.
        inputs, outputs: those that are tensors.
        where: the file, "" for a live object.
        notes: what was fixed or left out.
    """

    exported: ExportedProgram
    arguments: tuple[Any, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    where: str
    notes: tuple[str, ...]


def open_source(source: object, wishes: Wishes) -> Program:
    """Exports a live module, or takes an exported program, and fixes the sizes.

    Raises:
        ConvertError: PyTorch cannot export the module.
        UsageError: an example is missing, or a size that was asked for does not fit.
    """
    import torch

    if isinstance(source, torch.export.ExportedProgram):
        return describe(source, wishes, "")
    if isinstance(source, torch.jit.ScriptModule):
        raise ConvertError(
            "is TorchScript, which cannot be exported", hint="give the module it was made from"
        )
    assert isinstance(source, torch.nn.Module)
    args, kwargs = _example(wishes.example)
    with _evaluating(source):
        exported = _export(source, args, kwargs)
        if wishes.shapes:
            exported = _export(source, *_resized(args, kwargs, _wanted(exported, wishes)))
    return describe(exported, wishes, "")


def _example(example: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns: positional and named arguments; arrays become tensors."""
    import numpy as np
    import torch
    from torch.utils._pytree import tree_map

    if example is None:
        raise UsageError(
            "a module is converted with an example of its inputs", hint="convert(module, example=(x,))"
        )
    match example:
        case (tuple() as args, dict() as kwargs):
            pass
        case tuple() as args:
            kwargs = {}
        case dict() as kwargs:
            args = ()
        case _:
            args, kwargs = (example,), {}

    def tensor(leaf: Any) -> Any:
        return torch.from_numpy(np.array(leaf)) if isinstance(leaf, np.ndarray | np.generic) else leaf

    return tree_map(tensor, args), {str(key): tree_map(tensor, value) for key, value in kwargs.items()}


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Puts a module into evaluation mode, and each of its parts back into the one it had."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _export(module: torch.nn.Module, args: Any, kwargs: Any) -> ExportedProgram:
    import torch

    away = {str(value.device) for value in (*module.parameters(), *module.buffers())} - {"cpu"}
    if away:
        raise ConvertError(f"the module is on {', '.join(sorted(away))}", hint="convert(module.cpu(), …)")
    try:
        with torch.no_grad():
            return torch.export.export(module, args, kwargs)
    except Exception as error:
        raise ConvertError(
            f"torch.export cannot trace this module ({type(error).__name__}: {first_line(error)})",
            hint="torch.export.export(module, args) has to work first: it says which line is in the way",
        ) from error


def _resized(args: Any, kwargs: Any, shapes: Mapping[int, Shape]) -> tuple[Any, Any]:
    """Returns: the arguments in other sizes, by the place of their leaf."""
    from torch.utils._pytree import tree_flatten, tree_unflatten

    leaves, spec = tree_flatten((args, kwargs))
    for place, shape in shapes.items():
        leaves[place] = _repeated(leaves[place], shape)
    args, kwargs = tree_unflatten(leaves, spec)
    return args, kwargs


def _repeated(tensor: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Returns: a tensor of other sizes with the same values again, so that token ids stay in their range."""
    import torch

    for axis, size in enumerate(sizes):
        tensor = tensor.index_select(axis, torch.arange(size) % tensor.shape[axis])
    return tensor


def describe(exported: ExportedProgram, wishes: Wishes, where: str) -> Program:
    """Returns: an exported program with its inputs, outputs and sizes.

    Raises:
        ConvertError: it gives no tensor, or computes in half precision.
        UsageError: a size that was asked for does not fit.
    """
    import torch
    from torch.utils._pytree import tree_unflatten

    narrow = {str(each.dtype)[6:] for each in exported.state_dict.values()} & {"float16", "bfloat16"}
    if narrow:
        raise ConvertError(
            f"computes in {' and '.join(sorted(narrow))}, for which LiteRT has few operators",
            where=where,
            hint="export or convert module.float()",
        )
    notes: list[str] = []
    wanted = _wanted(exported, wishes, where)
    images = image_values(exported.graph_module.graph)
    placeholders = {node.name: node for node in exported.graph.nodes if node.op == "placeholder"}
    arguments: list[Any] = []
    inputs: list[Port] = []
    for place, spec in enumerate(_user_specs(exported.graph_signature.input_specs, "USER_INPUT")):
        node = placeholders.get(getattr(spec.arg, "name", ""))
        value = None if node is None else node.meta.get("val")
        if not isinstance(value, torch.Tensor):
            arguments.append(getattr(spec.arg, "value", _hint(value)))
            continue
        assert node is not None
        if place in wanted:
            shape = _fits(node.name, wanted[place], value.shape, where)
        else:
            shape = _fixed(node.name, value.shape, exported, notes)
        inputs.append(Port(node.name, place, shape, node in images))
        arguments.append(torch.zeros(shape, dtype=value.dtype))
    results = _user_specs(exported.graph_signature.output_specs, "USER_OUTPUT")
    values = next(node for node in exported.graph.nodes if node.op == "output").args[0]
    by_name = {node.name: node for node in values if hasattr(node, "name")}
    names = _result_names(
        tree_unflatten(list(range(len(results))), exported.call_spec.out_spec), len(results)
    )
    outputs = []
    for place, spec in enumerate(results):
        node = by_name.get(getattr(spec.arg, "name", ""))
        if node is not None and isinstance(node.meta.get("val"), torch.Tensor):
            outputs.append(Port(names[place], place, image=node in images))
        elif getattr(spec.arg, "value", 0) is not None:
            notes.append(f"the result {names[place]!r} is no tensor and was left out")
    if not outputs:
        raise ConvertError("gives no tensor", where=where)
    changed = _changed_buffers(exported)
    if changed:
        notes.append(f"changes of its buffers ({', '.join(changed[:3])}) are not kept from call to call")
    return Program(exported, tuple(arguments), tuple(inputs), tuple(outputs), where, tuple(notes))


def _changed_buffers(exported: ExportedProgram) -> list[str]:
    """Returns: the buffers that a call writes into: as results, or by an operator that works in place."""
    signature = exported.graph_signature
    written = set(signature.buffers_to_mutate.values())
    for node in exported.graph.nodes:
        in_place = str(getattr(node.target, "overloadpacket", "")).endswith("_")
        if in_place and node.args and node.args[0].name in signature.inputs_to_buffers:
            written.add(signature.inputs_to_buffers[node.args[0].name])
    return sorted(written)


def _user_specs(specs: Sequence[Any], kind: str) -> list[Any]:
    return [spec for spec in specs if spec.kind.name == kind]


def _wanted(exported: ExportedProgram, wishes: Wishes, where: str = "") -> dict[int, Shape]:
    """Returns: the shapes that were asked for, by the place of their input.

    Raises:
        UsageError: there is no such input, or the program takes other sizes only.
    """
    import torch

    values = {node.name: node.meta.get("val") for node in exported.graph.nodes if node.op == "placeholder"}
    specs = _user_specs(exported.graph_signature.input_specs, "USER_INPUT")
    places = {
        spec.arg.name: place
        for place, spec in enumerate(specs)
        if isinstance(values.get(getattr(spec.arg, "name", "")), torch.Tensor)
    }
    found: dict[int, Shape] = {}
    for name, shape in wishes.shapes.items():
        if name not in places and (name or len(places) != 1):
            raise UsageError(f"there is no input {name!r}", where=where, hint=f"inputs: {', '.join(places)}")
        name = name or next(iter(places))
        if len(shape) != values[name].dim():
            raise UsageError(
                f"input {name!r} has {values[name].dim()} dimensions, {len(shape)} were given", where=where
            )
        found[places[name]] = tuple(shape)
    return found


def _fits(name: str, asked: Shape, shape: Sequence[Any], where: str) -> Shape:
    """Raises: UsageError, if a program that was exported for a fixed size is asked to take another."""
    fixed = [size if isinstance(size, int) else -1 for size in shape]
    if any(size not in (-1, other) for size, other in zip(fixed, asked, strict=True)):
        raise UsageError(
            f"input {name!r} was exported with the shape {fixed} and cannot take {list(asked)}",
            where=where,
            hint="export it with dynamic_shapes (−1 stands for a size that is open), or in that size",
        )
    return asked


def _fixed(name: str, shape: Sequence[Any], exported: ExportedProgram, notes: list[str]) -> Shape:
    """Returns: a shape with its open sizes fixed: the batch to one, others to those of the example."""
    sizes = []
    for axis, size in enumerate(shape):
        if isinstance(size, int):
            sizes.append(size)
            continue
        space = exported.range_constraints.get(size.node.expr)
        least = int(space.lower) if space is not None else 1
        chosen = max(1, least) if axis == 0 else _hint(size)
        sizes.append(chosen)
        notes.append(f"size {axis} of input {name!r} is open and became {chosen}: --shape gives another")
    return tuple(sizes)


def _hint(size: Any) -> Any:
    """Returns: the size that a program was exported with, where it is open."""
    return size.node.hint if hasattr(size, "node") else size


def _result_names(results: Any, count: int) -> list[str]:
    """Returns: a name for every leaf of nested results: keys and places, joined by ``_``."""
    from torch.utils._pytree import tree_flatten_with_path

    names = []
    for path, _ in tree_flatten_with_path(results)[0]:
        parts = [str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", "")))) for key in path]
        numbered = not parts or parts[0].isdecimal()
        parts = (["output"] if count == 1 else ["output", *parts]) if numbered else parts
        names.append("_".join(parts))
    return names
