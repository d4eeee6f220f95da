"""Depth: how far away each pixel is, as a picture in colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sanderling.errors import UsageError
from sanderling.tasks.answer import Answer, Answering, Asked
from sanderling.tasks.task import Outputs
from sanderling.tasks.view import Output, View
from sanderling.tasks.words import output_at

_WORDS = ("depth", "disparity", "midas")


@dataclass(frozen=True, slots=True)
class Options:
    """How depth is read.

    Attributes:
        output: which output holds it.
        near: large values are near (inverse depth, disparity) rather than far.
        unit: of the values, where they have one: ``m``.
    """

    output: int = 0
    near: bool = True
    unit: str = ""


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    plane = np.squeeze(output_at(outputs, options.output))
    if plane.ndim != 2:
        raise UsageError(f"depth of shape {list(plane.shape)} is not known", where="depth")
    full = plane.astype(np.float32)
    if asked.placement is not None:
        place = asked.placement
        full = place.spread(plane, outside=float(plane.min()))
    low, high = (float(v) for v in np.percentile(plane, [1, 99]))
    height, width = full.shape
    nearest = np.unravel_index(int(full.argmax() if options.near else full.argmin()), full.shape)
    unit = f" {options.unit}" if options.unit else ""
    words = f"depth from {low:.4g} to {high:.4g}{unit}, median {float(np.median(plane)):.4g}{unit}"
    lines = (words, f"nearest at ({int(nearest[1])}, {int(nearest[0])}) of {width} × {height}")
    data = {
        "size": [width, height], "low": low, "high": high, "median": float(np.median(plane)),
        "nearest": [int(nearest[1]), int(nearest[0])],
    }  # fmt: skip

    def draw(image: Any) -> Any:
        from sanderling.tasks.drawing.heat import as_picture

        return as_picture(full if options.near else -full, *((low, high) if options.near else (-high, -low)))

    def held(others: Outputs) -> float:
        other = np.squeeze(output_at(others, options.output))
        spread = float(np.abs(plane - np.median(plane)).mean()) or 1.0
        return max(0.0, 1.0 - float(np.abs(other - plane).mean()) / spread)

    return Answer(lines, data, draw, {"depth": full}, held=held)


def _guess(view: View) -> Mapping[str, Any] | None:
    if view.side is None or len(view.outputs) != 1:
        return None
    output = view.outputs[0]
    if len(output.plain) != 2 or not _proportional(output, view.side):
        return None
    named = any(word in output.name.lower() for word in _WORDS)
    colours = view.input_shape[-1] == 3 or view.input_shape[1] == 3
    return {"output": 0} if named or colours else None


def _proportional(output: Output, side: tuple[int, int]) -> bool:
    height, width = output.plain
    return 0.9 < height / width * side[1] / side[0] < 1.1 and min(height, width) >= 8


TASK = Answering("depth", "how far away each pixel is", Options, _answer, _guess, rank=60)
