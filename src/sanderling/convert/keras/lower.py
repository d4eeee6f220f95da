"""A Keras model on the JAX backend as a ``.tflite`` file, and as a function of plain arrays."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from sanderling.convert.finish import distinct
from sanderling.convert.stablehlo import to_tflite
from sanderling.errors import ConvertError, UsageError
from sanderling.graph.types import Array

_NARROW = {"int64": "int32", "uint64": "uint32", "float64": "float32"}  # JAX's widths


@dataclass(frozen=True, slots=True)
class Lowered:
    """A model, ready to be run as its source and as what became of it.

    Attributes:
        content: the ``.tflite`` file.
        inputs, outputs: names, in the order of the graph.
        run: arrays in the order of ``inputs`` → outputs, by Keras.
        notes: what the user must be told.
    """

    content: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    run: Callable[[Sequence[Array]], list[Array]]
    notes: tuple[str, ...]


def lower(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> Lowered:
    """Lowers a ``keras.Model``.

    Args:
        model: built, on the JAX backend.
        shapes: sizes of inputs by name that the model leaves open; "" names the only input.

    Raises:
        ConvertError: it has no fixed inputs, or something in it has no counterpart.
        UsageError: a size is missing, or does not fit.
    """
    import jax
    import keras

    ports = _inputs(model, shapes)
    structure = model._inputs_struct if hasattr(model, "_inputs_struct") else model.inputs
    trained = [each.value for each in model.trainable_variables]
    fixed = [each.value for each in model.non_trainable_variables]

    def program(*arrays: Any) -> list[Any]:
        fed = keras.tree.pack_sequence_as(structure, list(arrays))
        answer, _ = model.stateless_call(trained, fixed, fed, training=False)
        return list(keras.tree.flatten(answer))

    compiled = jax.jit(program)
    with _unrolled(model):
        try:
            lowered = compiled.lower(*(jax.ShapeDtypeStruct(shape, kind) for _, shape, kind in ports))
        except Exception as error:
            raise ConvertError(f"Keras cannot trace it ({type(error).__name__}: {_line(error)})") from error
    bytecode = io.BytesIO()
    lowered.compiler_ir("stablehlo").operation.write_bytecode(bytecode)
    outputs = _output_names(model, len(lowered.out_info))
    inputs = distinct([name for name, _, _ in ports])
    content = to_tflite(bytecode.getvalue(), inputs, outputs, "JAX")

    def run(arrays: Sequence[Array]) -> list[Array]:
        return [np.asarray(each) for each in compiled(*arrays)]

    return Lowered(content, tuple(inputs), tuple(outputs), run, _narrowed(model))


def _inputs(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> list[tuple[str, tuple[int, ...], str]]:
    """Returns: name, shape and dtype of every input, with open sizes settled."""
    if not getattr(model, "inputs", None):
        raise ConvertError(
            f"model {model.name!r} has no fixed inputs",
            hint="make it a functional model: keras.Model(x, model(x)) of a keras.Input x",
        )
    names = [str(each.name) for each in model.inputs]
    unknown = [name for name in shapes if name and name not in names]
    if unknown or ("" in shapes and len(names) > 1):
        raise UsageError(
            f"there is no input {unknown[0]!r}" if unknown else f"the model has {len(names)} inputs",
            where="--shape",
            hint=f"name one of: {', '.join(names)}",
        )
    ports = []
    for name, tensor in zip(names, model.inputs, strict=True):
        if tensor.dtype == "string":
            raise ConvertError(f"input {name!r} takes text", hint="convert the model behind its lookup layer")
        shape = _settled(name, tuple(tensor.shape), shapes.get(name) or shapes.get(""))
        ports.append((name, shape, _NARROW.get(tensor.dtype, tensor.dtype)))
    return ports


def _settled(name: str, declared: tuple[int | None, ...], given: tuple[int, ...] | None) -> tuple[int, ...]:
    listed = ",".join("?" if size is None else str(size) for size in declared)
    if given is not None:
        fits = len(given) == len(declared) and all(
            d in (None, g) for d, g in zip(declared, given, strict=False)
        )
        if not fits:
            raise UsageError(f"input {name!r} has the shape {listed}, got {list(given)}", where="--shape")
        return given
    if None in declared[1:]:
        raise UsageError(
            f"input {name!r} leaves sizes open: {listed}",
            where="--shape",
            hint=f"for example --shape {name}={','.join(str(s or 1) for s in declared)}",
        )
    return tuple(size or 1 for size in declared)


def _output_names(model: Any, count: int) -> list[str]:
    names = [str(name) for name in getattr(model, "output_names", None) or []]
    return distinct(names if len(names) == count else [f"output_{i}" for i in range(count)])


def _narrowed(model: Any) -> tuple[str, ...]:
    wide = [str(each.name) for each in model.inputs if each.dtype in _NARROW]
    return (f"64-bit inputs take 32 bits: {', '.join(wide)}",) if wide else ()


@contextmanager
def _unrolled(model: Any) -> Iterator[None]:
    """Writes recurrent layers out step by step: as a loop they cannot be converted, and are slower."""
    import keras

    changed = []
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.RNN) and not getattr(layer, "unroll", True):
            layer.unroll = True
            changed.append(layer)
    try:
        yield
    finally:
        for layer in changed:
            layer.unroll = False


def _line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), "")[:300]
