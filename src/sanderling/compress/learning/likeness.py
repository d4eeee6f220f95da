"""How alike the answers of two models are, output by output, as figures that need no task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.compress.calibration import Feeds
from sanderling.compress.fitting.litert import feed_inputs, invoke, load
from sanderling.graph.types import Array
from sanderling.tflite import read

_TINY = 1e-30


def likeness(
    original: Path,
    other: Path,
    feeds: Feeds,
    names: Sequence[str],
    outputs: Sequence[str],
    threads: int = 1,
) -> list[dict[str, Any]]:
    """Compares two models on LiteRT.

    Args:
        original, other: their files.
        feeds: by the original's input names.
        names, outputs: the original's names of inputs and outputs, in the order in which the other has them.

    Returns: per float output of the other ``{"output", "cosine", "error", "same_top"}``: mean cosine of a
        sample's answers; squared error as a share of their variance; share of samples with the same largest
        value, None where there is no choice to make.
    """
    model = read(original)
    own = model.output_names()
    left = _answers(original, feeds, model.input_names(), threads)
    right = _answers(other, feeds, names, threads)
    order = [own.index(name) for name in outputs]
    kinds = [model.main.tensors[model.main.outputs[position]] for position in order]
    sums = [_Sums(len(kind.shape) == 2 and kind.shape[1] > 1) for kind in kinds]
    for wanted, got in zip(left, right, strict=True):
        for place, position in enumerate(order):
            if kinds[place].dtype.is_float:
                sums[place].add(wanted[position].ravel(), got[place].ravel())
    rows = zip(outputs, kinds, sums, strict=True)
    return [{"output": name, **each.row()} for name, kind, each in rows if kind.dtype.is_float]


class _Sums:
    """What has to be kept of the samples seen so far."""

    def __init__(self, choice: bool) -> None:
        self.choice, self.count, self.same = choice, 0, 0
        self.cosines = self.error = self.squares = 0.0
        self.total: Any = 0.0

    def add(self, want: Array, got: Array) -> None:
        want, got = want.astype(np.float64), got.astype(np.float64)
        norms = float(np.linalg.norm(want) * np.linalg.norm(got))
        self.count += 1
        self.cosines += float(want @ got) / max(norms, _TINY)
        self.error += float(np.sum((want - got) ** 2))
        self.squares += float(np.sum(want**2))
        self.total = self.total + want
        self.same += bool(want.argmax() == got.argmax()) if self.choice else 0

    def row(self) -> dict[str, float | None]:
        spread = self.squares - float(np.sum(self.total**2)) / max(self.count, 1)
        return {
            "cosine": self.cosines / max(self.count, 1),
            "error": self.error / max(spread, _TINY),
            "same_top": self.same / max(self.count, 1) if self.choice else None,
        }


def _answers(file: Path, feeds: Feeds, names: Sequence[str], threads: int) -> Iterator[list[Array]]:
    interpreter = load(file, threads)
    details = interpreter.get_output_details()
    for feed in feeds:
        feed_inputs(interpreter, names, feed)
        invoke(interpreter)
        yield [interpreter.get_tensor(detail["index"]) for detail in details]
