"""A Keras model on the JAX backend as a ``.tflite`` file, and as a function of plain arrays."""

from __future__ import annotations

import inspect
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np

from sanderling.convert.conversion import Conversion
from sanderling.convert.finish import finish, named
from sanderling.convert.keras.operators import replaced
from sanderling.convert.keras.ports import arguments, input_ports, output_names
from sanderling.convert.lowered import Lowered
from sanderling.convert.quiet import quiet
from sanderling.convert.stablehlo import to_tflite
from sanderling.convert.stand_ins import take_up
from sanderling.errors import ConvertError, SanderlingError
from sanderling.graph.types import Array
from sanderling.tflite.read import parse

_COLOUR = re.compile(r"\x1b\[\d*m")


def lower(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> Lowered:
    """Lowers a ``keras.Model``.

    Args:
        model: built, on the JAX backend.
        shapes: sizes of inputs by name that the model leaves open; "" names the only input.

    Raises:
        ConvertError: it has no fixed inputs, or something in it has no counterpart.
        UsageError: a size is missing, or does not fit.
    """
    with quiet():
        return _lowered(model, shapes)


def conversion_of(lowered: Lowered) -> Conversion:
    """Returns: what every converter hands over, with names and our own rewrites."""
    model = take_up(parse(memoryview(lowered.content)))
    model = finish(named(model, lowered.inputs, lowered.outputs))
    route = (
        f"Keras {version('keras')} → JAX {version('jax')} → StableHLO →"
        f" litert-converter {version('litert-converter')}"
    )
    return Conversion(model, lowered.run, route, lowered.notes)


def _lowered(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> Lowered:
    import jax

    ports, notes = input_ports(model, shapes)
    inputs = [port.name for port in ports]
    call = _call(model)
    specimens = [jax.ShapeDtypeStruct(port.shape, port.dtype) for port in ports]
    names: list[str] = []

    def program(*arrays: Any) -> list[Any]:
        answer = call(arrays)
        names[:] = output_names(model, answer)
        return _flat(answer)

    with _in_float32(model, notes):
        try:
            with replaced():
                lowered = jax.jit(program).trace(*specimens).lower(lowering_platforms=("cpu",))
            source = jax.jit(lambda *arrays: _flat(call(arrays))).lower(*specimens).compile()
        except SanderlingError:
            raise
        except Exception as error:
            raise ConvertError(f"Keras cannot trace it: {told(error)}") from error
    bytecode = io.BytesIO()
    lowered.compiler_ir("stablehlo").operation.write_bytecode(bytecode)
    content = to_tflite(bytecode.getvalue(), inputs, names, "JAX")

    def run(arrays: Sequence[Array]) -> list[Array]:
        return [np.asarray(each) for each in source(*arrays)]

    return Lowered(content, tuple(inputs), tuple(names), run, tuple(notes))


def _call(model: Any) -> Callable[[Sequence[Any]], Any]:
    """Returns: the model as a function of its inputs in a row, which changes nothing.

    Raises:
        ConvertError: the model is changed by being run.
    """
    import keras

    told = {"training": False} if "training" in inspect.signature(model.call).parameters else {}
    values = [(variable, variable.value) for variable in model.variables]

    def call(arrays: Sequence[Any]) -> Any:
        args, kwargs = arguments(model, arrays)
        with keras.StatelessScope(state_mapping=values) as scope:
            answer = model(*args, **kwargs, **told)
        # What was not there before is the state of a recurrent layer, which Keras does not list.
        given = {id(variable): value for variable, value in values}
        changed = [key for key, value in scope.state_mapping.items() if value is not given.get(key)]
        if changed:
            names = {id(variable): variable.path for variable, _ in values}
            which = next((f" {names[key]!r}" for key in changed if key in names), "s of its recurrent layers")
            raise ConvertError(
                f"running it changes the variable{which}: it keeps state, or draws random numbers",
                hint="make the state an input and an output (stateful=False, return_state=True)",
            )
        return answer

    return call


def _flat(answer: Any) -> list[Any]:
    import keras

    return list(keras.tree.flatten(answer))


@contextmanager
def _in_float32(model: Any, notes: list[str]) -> Iterator[None]:
    """Computes in float32 what was trained in halves of it, which LiteRT's CPU kernels do not take."""
    import keras

    halves = {"float16", "bfloat16"}
    changed = [
        (layer, layer.dtype_policy) for layer in model._flatten_layers() if layer.compute_dtype in halves
    ]
    if changed:
        kind = changed[0][1].compute_dtype
        notes.append(f"{len(changed)} layers compute in {kind}: source and result are compared in float32")
    try:
        for layer, _ in changed:
            layer.dtype_policy = keras.DTypePolicy("float32")
        yield
    finally:
        for layer, policy in changed:
            layer.dtype_policy = policy


def told(error: BaseException) -> str:
    """Returns: the cause of an error of Keras, which wraps it in pages about arguments."""
    lines = [_COLOUR.sub("", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line]
    if len(lines) > 1 and lines[0].startswith("Exception encountered"):
        lines[0] = f"{lines[0].rstrip('.')}: {lines[1]}"
    return (lines[0] if lines else type(error).__name__)[:300].rstrip(".")
