"""Arrays, as the model takes them: what fits every input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.samples.arrays import load_array
from sanderling.samples.inputs import Input, fit
from sanderling.tasks.input_kind import Fed, InputKind


@dataclass(frozen=True, slots=True)
class ArrayInput:
    """Real values (quantized where the input is), or integers of the input's own type. No settings."""


def _recognise(model: Model, position: int, spec: Input) -> ArrayInput:
    return ArrayInput()


def _open(path: Path) -> Array:
    return load_array(path)


def _feed(raw: Any, settings: ArrayInput, spec: Input, where: str) -> Fed:
    array = np.asarray(raw)
    bare = spec.batched and array.ndim == len(spec.dims) - 1
    return Fed(fit(array[None] if bare else array, spec, where))


KIND = InputKind(
    "array", "arrays (.npy, .npz)", ArrayInput, frozenset({".npy", ".npz"}), _recognise, _open, _feed, rank=99
)
