"""Inputs beside a sound that have one usual value: nobody is asked for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.graph import Model
from sanderling.samples.ear import constant_of, ear_of
from sanderling.samples.inputs import Input, fit, model_inputs
from sanderling.tasks.input_kind import Fed, InputKind

_USUAL_RATE = 16000


@dataclass(frozen=True, slots=True)
class ConstantInput:
    """What goes in, whatever else does."""

    value: float = 0.0


def _recognise(model: Model, position: int, spec: Input) -> ConstantInput | None:
    found = constant_of(spec, _USUAL_RATE)
    others = (each for i, each in enumerate(model_inputs(model)) if i != position)
    if found is None or not any(ear_of(model, each) is not None for each in others):
        return None
    return ConstantInput(float(found.item()))


def _open(path: Path) -> Any:
    raise SampleError("is not asked for: this input has one usual value", where=str(path))


def _feed(raw: Any, settings: ConstantInput, spec: Input, where: str) -> Fed:
    value = settings.value if raw is None else float(np.asarray(raw).item())
    return Fed(fit(np.full(spec.shape, value, spec.dtype.numpy), spec, where))


KIND = InputKind("constant", "numbers", ConstantInput, frozenset(), _recognise, _open, _feed, rank=5)
