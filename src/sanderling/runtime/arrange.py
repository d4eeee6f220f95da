"""Puts what a call was given in the order of a model's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sanderling.engines.engine import Port
from sanderling.errors import InputMismatch
from sanderling.graph.types import Array
from sanderling.runtime.ports import accept


def arrange(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], ports: Sequence[Port], model: str
) -> tuple[list[Array], bool]:
    """Returns: one fitting array per input, and whether they came by name.

    Args:
        args, kwargs: of the call: arrays in the inputs' order, or one mapping by name.
        ports: the model's inputs.
        model: its name, for people.

    Raises:
        InputMismatch: a name, shape or dtype is wrong.
    """
    names = [port.name for port in ports]
    if len(args) == 1 and isinstance(args[0], Mapping):
        given: Mapping[str, Any] = {**args[0], **kwargs}
    elif kwargs and not args:
        given = kwargs
    else:
        if kwargs or len(args) != len(names):
            got = f"{len(args)} inputs in order" + (f" and {len(kwargs)} by name" if kwargs else "")
            raise _mismatch(f"got {got}, expected {len(names)}", model, names)
        return _fit(args, ports, model), False
    unknown = [name for name in given if name not in names]
    missing = [name for name in names if name not in given]
    if unknown or missing:
        what = f"there is no input {unknown[0]!r}" if unknown else f"input {missing[0]!r} is missing"
        raise _mismatch(what, model, names)
    return _fit([given[name] for name in names], ports, model), True


def _mismatch(what: str, model: str, names: Sequence[str]) -> InputMismatch:
    return InputMismatch(what, where=model, hint=f"the inputs are: {', '.join(names)}")


def _fit(values: Sequence[Any], ports: Sequence[Port], model: str) -> list[Array]:
    try:
        return [accept(value, port) for value, port in zip(values, ports, strict=True)]
    except InputMismatch as error:
        raise InputMismatch(error.what, where=model, hint=error.hint) from None
