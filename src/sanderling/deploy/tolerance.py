"""How far an answer on another machine may be from LiteRT's here: kernels differ, and how much is measured.

LiteRT's own sets of kernels differ from each other. An answer elsewhere may be as far from XNNPACK's here as
twice what LiteRT's builtin kernels are, and never has to be nearer than ``FLOAT`` or ``STEPS``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sanderling.deploy.answering import answered
from sanderling.engines.registry import find
from sanderling.errors import UnsupportedOperator
from sanderling.graph.graph import Model
from sanderling.graph.types import Array

FLOAT = 1e-3  # of the largest value of an output
HALF = 2e-2  # the same, where arithmetic is in 16 bits
STEPS = 2.0  # of an output's integers
DRIFT = 2.0
# Of so many examples and more, half must be nearer than the tolerance by this factor: one answer in fifty may
# tip over, most do not.
MANY, TYPICAL = 10, 2.0


def tolerances(
    file: Path,
    model: Model,
    feeds: Sequence[Mapping[str, Array]],
    outputs: Sequence[Mapping[str, Array]],
    drift: float = DRIFT,
    steps: float = STEPS,
) -> dict[str, float]:
    """Measures how far answers may be off.

    Args:
        file, model: the model.
        feeds: of the examples.
        outputs: what XNNPACK answers.
        drift: so many times as far as LiteRT's own kernels are from each other.
        steps: so many of an integer's steps in any case.

    Returns: by output's name, the largest difference as ``difference`` gives it.
    """
    others = _builtin(file, model, feeds)
    return {
        name: max(
            least(model, name, [each[name] for each in outputs], steps),
            drift
            * max((difference(b[name], a[name]) for a, b in zip(outputs, others, strict=False)), default=0.0),
        )
        for name in outputs[0]
    }


def least(model: Model, name: str, values: Sequence[Array], steps: float = STEPS) -> float:
    """Returns: how far an output may be off in any case: ``steps``, or ``FLOAT``; where floats are integers
    times a scale, as much as ``steps`` of these.

    Args:
        name: of the output.
        values: what it is for some examples.
        steps: of an integer.
    """
    if values[0].dtype.kind in "iu":
        return steps
    graph = model.main
    index = dict(zip(model.output_names(), graph.outputs, strict=True))[name]
    made = next((node for node in graph.nodes if index in node.outputs), None)
    stored = graph.tensors[made.inputs[0]].quant if made is not None and made.kind == "DEQUANTIZE" else None
    if stored is None or stored.scale.size == 0:
        return FLOAT
    largest = min(float(np.abs(each).max(initial=0)) for each in values)
    return max(FLOAT, steps * float(stored.scale.max()) / largest) if largest else FLOAT


def _builtin(file: Path, model: Model, feeds: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
    """Returns: what LiteRT's builtin kernels answer; nothing where they lack an operator that XNNPACK has."""
    try:
        runner = find("litert").load(file, model, options={"kernels": "builtin"})
    except UnsupportedOperator:
        return []
    return answered(runner, feeds)


def difference(mine: Array, wanted: Array) -> float:
    """Returns: the largest difference of two values: in steps for integers, as a share of the largest right
    value for floats; infinity where a shape differs, or only one of the two is a number."""
    if mine.shape != wanted.shape:
        return float("inf")
    if wanted.size == 0:
        return 0.0
    if wanted.dtype.kind not in "fiub":
        return 0.0 if np.array_equal(mine, wanted) else float("inf")
    a, b = (np.asarray(value, np.float64) for value in (mine, wanted))
    odd = ~(np.isfinite(a) & np.isfinite(b))
    if not np.array_equal(a[odd], b[odd], equal_nan=True):
        return float("inf")
    off = float(np.max(np.abs(a - b), initial=0.0, where=~odd))
    if wanted.dtype.kind != "f" or off == 0:
        return off
    largest = float(np.max(np.abs(b), initial=0.0, where=~odd))
    return off / largest if largest else float("inf")


def judged(
    answers: Sequence[Mapping[str, Array]],
    wanted: Sequence[Mapping[str, Array]],
    tolerance: Mapping[str, float],
) -> tuple[float, str]:
    """Compares answers, of many also what is typical.

    Returns: the largest difference in tolerances, or ``TYPICAL`` times the median one of ``MANY`` examples
        and more, if that is larger; and the output where it is.
    """
    found = sorted(worst([mine], [right], tolerance) for mine, right in zip(answers, wanted, strict=True))
    if len(found) < MANY:
        return found[-1]
    median, output = found[len(found) // 2]
    return max(found[-1], (TYPICAL * median, output))


def worst(
    answers: Sequence[Mapping[str, Array]],
    wanted: Sequence[Mapping[str, Array]],
    tolerance: Mapping[str, float],
) -> tuple[float, str]:
    """Compares answers.

    Returns: the largest difference in tolerances, and the output where it is.
    """
    found = (0.0, next(iter(tolerance), ""))
    for mine, right in zip(answers, wanted, strict=True):
        for name, allowed in tolerance.items():
            off = difference(mine[name], right[name]) / allowed if name in mine else float("inf")
            found = max(found, (off, name))
    return found
