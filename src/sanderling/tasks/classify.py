"""Classification: does the candidate give the same class (or, with labels, the right one) as often?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.graph.types import Array
from sanderling.tasks.task import Outputs, Task
from sanderling.tasks.view import Output, View

Stats = npt.NDArray[np.float64]
MAX_CLASSES = 25_000


def classify(
    output: int = 0,
    *,
    binary: bool = False,
    offset: int = 0,
    labelled: bool = False,
    ignore_labels: bool = False,
    why: str = "",
) -> Task:
    """Builds the task.

    The drop is 1 − top-1 agreement with the reference; where every sample has a label it is the paired
    loss of accuracy (reference right − candidate right), which is negative for a better candidate.

    Args:
        output: which output holds the classes.
        binary: one value per sample, a probability (or a logit, when it leaves 0..1), cut in the middle.
        offset: added to labels (1 for models whose class 0 is the background).
        labelled: labels will be given, one for each sample: said in the metric's words.
        ignore_labels: measure agreement even where labels are given.
        why: how the task was decided.
    """

    def observe(reference: Outputs, candidate: Outputs, label: Any) -> Stats:
        ours, theirs = (_answer(o[output], binary) for o in (reference, candidate))
        known = not ignore_labels and isinstance(label, (int, np.integer)) and not isinstance(label, bool)
        right = int(label) + offset if known else -1
        return np.array([ours == right, theirs == right, ours == theirs, known], np.float64)

    return Task(
        name="classify",
        metric="loss of top-1 accuracy, paired" if labelled else "1 - top-1 agreement",
        default_max_drop=0.01,
        observe=observe,
        combine=_combine,
        badness=_badness,
        why=why,
        uses_labels=labelled,
        reads={"output": output},
    )


def _answer(output: Array, binary: bool) -> int:
    values = np.asarray(output)
    if binary:
        value = float(values.reshape(-1)[0])
        return int(value > (0.5 if 0 <= value <= 1 else 0.0))
    if values.ndim >= 2 and values.shape[-1] > 1:
        # Several frames of scores [frames, classes] vote with their mean.
        return int(values.reshape(-1, values.shape[-1]).mean(axis=0).argmax())
    return int(values.argmax())


def _combine(stats: Sequence[Any]) -> tuple[float, float]:
    table = np.asarray(stats)
    if table[:, 3].all():
        return float(table[:, 1].mean()), float(table[:, 0].mean() - table[:, 1].mean())
    agreement = float(table[:, 2].mean())
    return agreement, 1 - agreement


def _badness(stat: Any) -> float:
    return float(stat[0] - stat[1]) if stat[3] else float(1 - stat[2])


def recognise(view: View, labels: Sequence[Any] | None, *, forced: bool = False) -> Task | None:
    """Decides whether the model classifies: [1,C] scores, or one probability.

    Args:
        forced: the user says that it does; only the output remains to be found.
    """
    found = _main_output(view, forced)
    if found is None:
        return None
    output, words = found
    classes = max(output.plain, default=1)
    offset, more = label_offset(classes, labels)
    binary = output.size == 1
    fits = labels_fit(max(classes, 2), labels)
    which = f"output {output.name!r} " if len(view.outputs) > 1 else "the output "
    return classify(
        output.position,
        binary=binary,
        offset=offset,
        labelled=fits,
        ignore_labels=labels is not None and not fits,
        why=which + words + more,
    )


def _main_output(view: View, forced: bool) -> tuple[Output, str] | None:
    vectors = [o for o in view.outputs if 2 <= o.size <= MAX_CLASSES and len(o.plain) == 1]
    frames = [o for o in view.outputs if len(o.shape) == 2 and 2 <= o.shape[1] <= MAX_CLASSES]
    for output in vectors + frames:
        if output.is_distribution():
            return output, f"holds {output.shape[-1]} values that sum to one"
    for output in vectors:
        return output, f"holds one score for each of {output.size} classes"
    for output in frames:
        if output.within(0, 1) or forced:
            return output, f"holds {output.shape[1]} scores per frame"
    for output in view.outputs:
        if output.size == 1 and (output.within(0, 1) or forced):
            return output, "is one probability, cut at 0.5"
    return None


def usable(labels: Sequence[Any] | None) -> bool:
    """Returns: whether there are labels and all of them are class numbers."""
    return (
        labels is not None
        and len(labels) > 0
        and all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in labels)
    )


def labels_fit(classes: int, labels: Sequence[Any] | None) -> bool:
    """Returns: whether there are labels and all of them number one of the classes."""
    if labels is None or not usable(labels):
        return False
    offset = 1 if classes == 1001 and max(int(v) for v in labels) <= 999 else 0
    return all(0 <= int(v) + offset < classes for v in labels)


def label_offset(classes: int, labels: Sequence[Any] | None) -> tuple[int, str]:
    """Decides whether labels count without the background class that the model has as class 0.

    Returns: what to add to labels, and words that say so (or why the labels are of no use).
    """
    if labels is None:
        return 0, ""
    if not usable(labels):
        return 0, "; the labels are no class numbers, so agreement is measured"
    numbers = [int(v) for v in labels]
    if not labels_fit(max(classes, 2), labels):
        ends = f"{min(numbers)}..{max(numbers)}"
        return 0, f"; the labels {ends} are none of its {max(classes, 2)} classes, so agreement is measured"
    if classes == 1001 and max(numbers) <= 999:
        return 1, "; the model has 1001 classes and the labels 0..999, so class = label + 1"
    return 0, ""
