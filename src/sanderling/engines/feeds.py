"""What a runner checks before it hands arrays to a library that trusts it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sanderling.engines.engine import Port
from sanderling.errors import InputMismatch
from sanderling.graph.types import Array


def check(ports: Sequence[Port], inputs: Sequence[Array], path: Path, *, hint: str = "") -> None:
    """Compares arrays with what a model takes.

    Args:
        ports: the model's inputs; −1 in a signature takes any size.
        inputs: an array for each.
        path: the model's file, for messages.
        hint: what to do about a wrong shape.

    Raises:
        InputMismatch: their number, a dtype, or a shape that may not change is wrong.
    """
    if len(inputs) != len(ports):
        raise InputMismatch(f"got {len(inputs)} inputs, expected {len(ports)}", where=str(path))
    for port, array in zip(ports, inputs, strict=True):
        if array.dtype != port.type.dtype.numpy:
            raise InputMismatch(
                f"input {port.name!r} has dtype {array.dtype}, expected {port.type.dtype.numpy}",
                where=str(path),
            )
        fits = len(array.shape) == len(port.signature) and all(
            want in (-1, got) for got, want in zip(array.shape, port.signature, strict=True)
        )
        if not fits:
            got, expected = _dims(array.shape), _dims(port.signature)
            raise InputMismatch(
                f"input {port.name!r} has shape [{got}], expected [{expected}]", where=str(path), hint=hint
            )


def _dims(shape: Sequence[int]) -> str:
    return "x".join("?" if size < 0 else str(size) for size in shape)
