"""Which task a model does: guessed from its answers, or named by the user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sanderling.errors import UsageError
from sanderling.graph.graph import Model
from sanderling.tasks import classify, embed, find_boxes, landmarks, segment
from sanderling.tasks.other import other
from sanderling.tasks.task import Outputs, Task
from sanderling.tasks.view import View, finite_view, view_of

NAMES = ("classify", "segment", "detect", "landmarks", "embed", "other")


def guess_task(
    model: Model,
    outputs: Sequence[Outputs],
    *,
    labels: Sequence[Any] | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Task:
    """Decides what kind of answer a model gives.

    Args:
        model: the float model.
        outputs: its outputs on some samples (one is enough, more tell more), real values.
        labels: of all samples, where there are any: labels are for classes.
        input_shape: what the first input took; None: as the file says.

    Returns: the task; ``why`` says how it was decided, and which output is the one that budgets speak of.

    Raises:
        SampleError: no outputs are given, or not as many as the model has.
    """
    view = view_of(model, outputs, input_shape)
    if not finite_view(view):
        return other(why="the model's own answers are not finite, so nothing could be told from them")
    if _repeats_input(view):
        return other(why="the output has the input's shape: a reconstruction, compared value by value")
    recognisers: list[Callable[[], Task | None]] = [
        lambda: find_boxes.recognise(view),
        lambda: landmarks.recognise(view),
        lambda: segment.recognise(view),
        lambda: _vector(view, labels),
    ]
    if classify.usable(labels):
        recognisers.insert(0, lambda: _labelled(view, labels))
    for recognise in recognisers:
        task = recognise()
        if task is not None:
            return replace(task, why=f"guessed {task.name}: {task.why}")
    return other(why=f"no known kind of answer ({_words(view)}), so outputs are compared value by value")


def get_task(
    name: str,
    model: Model,
    outputs: Sequence[Outputs],
    *,
    labels: Sequence[Any] | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Task:
    """Builds the task that the user named (``auto`` guesses).

    Raises:
        UsageError: there is no such task, or the outputs cannot be read that way.
        SampleError: no outputs are given.
    """
    if name == "auto":
        return guess_task(model, outputs, labels=labels, input_shape=input_shape)
    if name not in NAMES:
        raise UsageError(
            f"there is no task {name!r}", where="--task", hint=f"choose one of: auto, {', '.join(NAMES)}"
        )
    view = view_of(model, outputs, input_shape)
    recognisers: dict[str, Callable[[], Task | None]] = {
        "classify": lambda: classify.recognise(view, labels, forced=True),
        "segment": lambda: segment.recognise(view, forced=True),
        "detect": lambda: find_boxes.recognise(view, forced=True),
        "landmarks": lambda: landmarks.recognise(view, forced=True),
        "embed": lambda: embed.recognise(view, forced=True),
        "other": lambda: other(why=_words(view)),
    }
    found = recognisers[name]()
    if found is None:
        raise UsageError(
            f"the outputs ({_words(view)}) cannot be read as {name!r}",
            where="--task",
            hint="leave --task out, or give a metric of your own with --metric file.py:fn",
        )
    return replace(found, why=f"{name} as asked: {found.why}")


def _vector(view: View, labels: Sequence[Any] | None) -> Task | None:
    """An embedding that says it is one, else classes."""
    task = classify.recognise(view, labels)
    if task is None or "sum to one" not in task.why:
        return embed.recognise(view) or task
    return task


def _labelled(view: View, labels: Sequence[Any] | None) -> Task | None:
    """Labels that number the classes of a vector of scores mean classes, whatever else the model gives."""
    vectors = [max(o.plain, default=1) for o in view.outputs if len(o.plain) <= 1]
    if not any(classify.labels_fit(max(size, 2), labels) for size in vectors):
        return None
    return classify.recognise(view, labels)


def _repeats_input(view: View) -> bool:
    return len(view.outputs) == 1 and len(view.input_shape) >= 2 and view.outputs[0].shape == view.input_shape


def _words(view: View) -> str:
    shown = [f"{o.name} [{','.join(map(str, o.shape))}]" for o in view.outputs[:6]]
    return ", ".join(shown) + (", …" if len(view.outputs) > 6 else "")
