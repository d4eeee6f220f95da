"""Anything else: the outputs in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sanderling.tasks.answer import Answer, Answering, Asked
from sanderling.tasks.task import Outputs

_FEW = 16


@dataclass(frozen=True, slots=True)
class Options:
    """No settings."""


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    names = asked.outputs or tuple(f"output {i}" for i in range(len(outputs)))
    rows = [_row(name, np.asarray(values)) for name, values in zip(names, outputs, strict=True)]
    arrays = {name: np.asarray(values) for name, values in zip(names, outputs, strict=True)}
    return Answer(tuple(line for line, _ in rows), {"outputs": [data for _, data in rows]}, arrays=arrays)


def _row(name: str, values: Any) -> tuple[str, dict[str, Any]]:
    shape = "×".join(map(str, values.shape)) or "one number"
    data: dict[str, Any] = {"name": name, "shape": list(values.shape), "dtype": str(values.dtype)}
    if values.dtype.kind not in "biuf" or not values.size:
        return f"{name} [{shape}] {values.dtype}", data
    real = values.astype(np.float64)
    finite = real[np.isfinite(real)]
    data["not_finite"] = int(real.size - finite.size)
    broken = f", {data['not_finite']} not finite" if data["not_finite"] else ""
    if real.size <= _FEW:
        data["values"] = real.ravel().tolist()
        return f"{name} [{shape}]  " + "  ".join(f"{v:.6g}" for v in real.ravel()), data
    if finite.size:
        data |= {"min": float(finite.min()), "mean": float(finite.mean()), "max": float(finite.max())}
        data["std"] = float(finite.std())
        words = f"from {data['min']:.4g} to {data['max']:.4g}, mean {data['mean']:.4g}, std {data['std']:.4g}"
        return f"{name} [{shape}]  {words}{broken}", data
    return f"{name} [{shape}]  nothing finite", data


def plain_values(value: Any) -> Any:
    """Returns: the same as JSON values: arrays as lists.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, Mapping):
        return {str(name): plain_values(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(each) for each in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _columns(answer: Answer) -> Mapping[str, Any]:
    return answer.arrays


TASK = Answering(
    "other",
    "the outputs in numbers",
    Options,
    _answer,
    columns=_columns,
    as_given=True,
    takes="array",
    rank=99,
)
