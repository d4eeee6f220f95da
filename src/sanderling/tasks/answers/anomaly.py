"""Anomaly: how badly a model that was trained on what is normal rebuilds what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.tasks.answer import Answer, Answering, Asked
from sanderling.tasks.sound import real_input, window_of
from sanderling.tasks.task import Outputs
from sanderling.tasks.view import View
from sanderling.tasks.words import output_at

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Options:
    """How the score is judged.

    Attributes:
        output: which output holds what was rebuilt.
        threshold: scores above it are anomalies; 0: not judged.
    """

    output: int = 0
    threshold: float = 0.0


def _guess(view: View) -> Mapping[str, Any] | None:
    """A vector that comes out as it went in; of pictures that is more likely another picture."""
    same = len(view.outputs) == 1 and view.outputs[0].shape == view.input_shape
    flat = len([d for d in view.input_shape if d != 1]) <= 1 and view.outputs[0].size >= 16 if same else False
    return {} if flat else None


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    return _together([(outputs, asked)], options)


def _together(parts: Sequence[tuple[Outputs, Asked]], options: Options) -> Answer:
    errors = np.array([_error(output_at(outputs, options.output), asked) for outputs, asked in parts])
    score = float(errors.mean())
    judged = ""
    if options.threshold > 0:
        judged = ", an anomaly" if score > options.threshold else ", normal"
    lines = [f"anomaly score {score:.4g} (mean squared error of what was rebuilt){judged}"]
    data: dict[str, Any] = {"score": score}
    if options.threshold > 0:
        data["anomaly"] = score > options.threshold
    if len(errors) > 1:
        worst = int(errors.argmax())
        span = parts[worst][1].span
        where = "" if span is None else f" at {span[0]:.2f} s"
        lines.append(f"the worst of {len(errors)} windows: {errors[worst]:.4g}{where}")
    return Answer(
        tuple(lines), data, _drawn(errors, [asked for _, asked in parts], options), {"errors": errors}
    )


def _error(rebuilt: Floats, asked: Asked) -> float:
    given = real_input(asked)
    if given is None or given.size != rebuilt.size:
        raise UsageError("what comes out cannot be compared with what went in", where="--task")
    return float(np.square(rebuilt.reshape(-1) - np.asarray(given, np.float64).reshape(-1)).mean())


def _drawn(errors: Floats, asked: Sequence[Asked], options: Options) -> Any:
    window = window_of(asked[0])
    if window is None:
        return None
    top = max(float(errors.max()), options.threshold, 1e-12) * 1.1

    def draw(image: Any) -> Any:
        from sanderling.tasks.sound_picture import timeline_picture

        times = [sum(each.span) / 2 if each.span else float(i) for i, each in enumerate(asked)]
        curves = {f"error, 0 to {top:.3g}": (errors / top).tolist()}
        line = options.threshold / top if options.threshold > 0 else None
        return timeline_picture(window.whole.mono, window.whole.seconds, times, curves, [], line)

    return draw


TASK = Answering(
    "anomaly", "how badly the input is rebuilt", Options, _answer, _guess, _together, takes="sound", rank=40
)
