"""What goes into a Keras model and comes out of it: names, sizes, and the structure of its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sanderling.convert.finish import distinct
from sanderling.errors import ConvertError
from sanderling.graph.open_sizes import settled_sizes

Shape = tuple[int | None, ...]
NARROW = {"int64": "int32", "uint64": "uint32", "float64": "float32"}  # JAX's widths


@dataclass(frozen=True, slots=True)
class Port:
    """An input: its name, its shape with every size settled, its NumPy dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str


def input_ports(model: Any, wished: Mapping[str, Sequence[int]]) -> tuple[list[Port], list[str]]:
    """Reads the inputs of a model, in the order of its flattened arguments, and settles sizes that are open.

    Args:
        model: a ``keras.Model``.
        wished: input name → shape; "" for the only one.

    Returns: the inputs, and sentences about what was chosen for the user.

    Raises:
        ConvertError: nobody knows the inputs of the model, or it takes text.
        UsageError: a wish fits no input, or a size other than the batch is open and was not given.
    """
    raw = _declared(model) or _built(model, wished)
    names = distinct([name for name, _, _ in raw])
    shapes = settled_sizes(dict(zip(names, (declared for _, declared, _ in raw), strict=True)), wished)
    ports, wide = [], []
    for name, (_, _, dtype) in zip(names, raw, strict=True):
        if dtype == "string":
            raise ConvertError(f"input {name!r} takes text", hint="convert the model behind its lookup layer")
        if dtype in NARROW:
            wide.append(name)
        ports.append(Port(name, shapes[name], NARROW.get(dtype, dtype)))
    return ports, [f"64-bit inputs take 32 bits: {', '.join(wide)}"] if wide else []


def structure(model: Any) -> Any:
    """Returns: the nested inputs of a functional or sequential model, None for a model of another kind."""
    found = getattr(model, "_functional", None) or model
    return getattr(found, "_inputs_struct", None)


def _declared(model: Any) -> list[tuple[str, Shape, str]]:
    from keras import tree

    found = structure(model)
    tensors = [] if found is None else tree.flatten(found)
    return [(_name(each), tuple(each.shape), str(each.dtype)) for each in tensors]


def _name(tensor: Any) -> str:
    """Returns: the name of the layer that stands for an input; its tensor's is but a running number."""
    history = getattr(tensor, "_keras_history", None)
    return str(getattr(getattr(history, "operation", None), "name", "") or tensor.name)


def _built(model: Any, wished: Mapping[str, Sequence[int]]) -> list[tuple[str, Shape, str]]:
    """Returns: the inputs of a subclassed model, from the shapes that it was built with."""
    shapes = getattr(model, "_build_shapes_dict", None)
    if not shapes:
        if list(wished) == [""] and model.built:
            return [("inputs", tuple(wished[""]), model.compute_dtype)]
        raise ConvertError(
            f"model {model.name!r} has never been called, so that nobody knows its inputs",
            hint="call it once, or make it a functional model: keras.Model(x, model(x)) of a keras.Input x",
        )
    required = [
        each.name for each in inspect.signature(model.call).parameters.values()
        if each.default is each.empty and each.kind is each.POSITIONAL_OR_KEYWORD and each.name != "training"
    ]  # fmt: skip
    if len(required) > len(shapes):
        raise ConvertError(
            f"model {model.name!r} takes several inputs ({', '.join(required)}) and does not declare them",
            hint="make it a functional model: keras.Model(inputs, model(*inputs)) of keras.Input",
        )
    rows: list[tuple[str, Shape, str]] = []
    for key, shape in shapes.items():
        if not isinstance(shape, Sequence) or not all(
            size is None or isinstance(size, int) for size in shape
        ):
            raise ConvertError(
                f"model {model.name!r} takes nested inputs that it does not declare",
                hint="make it a functional model: keras.Model(inputs, model(inputs)) of keras.Input",
            )
        # Sizes were learned from one call: the batch at least was the caller's choice.
        rows.append((key.removesuffix("_shape"), (None, *shape[1:]), model.compute_dtype))
    return rows


def arguments(model: Any, flat: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns: positional and named arguments of a call, from values in the order of ``input_ports``."""
    from keras import tree

    nested = structure(model)
    if nested is not None:
        return (tree.pack_sequence_as(nested, list(flat)),), {}
    names = list(getattr(model, "_build_shapes_dict", None) or ["input_shape"])
    if len(names) == 1:
        return (flat[0],), {}
    return (), dict(zip((name.removesuffix("_shape") for name in names), flat, strict=True))


def output_names(model: Any, results: Any) -> list[str]:
    """Returns: a name for every leaf of a call's results: a dict's keys, else the layers' that gave them."""
    from keras import tree

    paths = [path for path, _ in tree.flatten_with_path(results)]
    own = getattr(getattr(model, "_functional", None) or model, "output_names", None) or []
    if all(path and isinstance(path[0], str) for path in paths):
        return distinct(["_".join(map(str, path)) for path in paths])
    if len(own) == len(paths):
        return distinct([str(name) for name in own])
    return distinct(["_".join(["output", *map(str, path)]) for path in paths])
