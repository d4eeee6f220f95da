"""From what is known of a model to a task that is known in full: what is missing is read off the model, then
off its answer to the first thing given, and each guess is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sanderling import fields
from sanderling.errors import FormatError, UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.pipeline.items import Port
from sanderling.tasks import guess
from sanderling.tasks.answer import Answering, Asked, find_task, task_names
from sanderling.tasks.input_kind import Fed, find_kind, kind_of, recognise_input
from sanderling.tasks.spec import TaskSpec
from sanderling.tasks.view import View, finite_view, view_of

if TYPE_CHECKING:
    from sanderling.pipeline.machine import Machine

# Tasks that rank before this are asked before the guess that the drop is measured by, the others after it.
_FIRST = 50
_MOST_CLASSES = 25_000
UNASKED = frozenset({"constant", "state"})  # kinds of inputs that nobody is asked for


@dataclass(frozen=True, slots=True)
class Settled:
    """A task, known in full.

    Attributes:
        spec: with settings for every input, and all options that were found.
        task: what makes answers.
        options: its options, built.
        notes: what was decided and must be told.
    """

    spec: TaskSpec
    task: Answering
    options: Any
    notes: tuple[str, ...]


def settle_ports(machine: Machine, spec: TaskSpec) -> tuple[TaskSpec, list[Port]]:
    """Decides of what kind each input is.

    Raises:
        UsageError: settings are stated for more inputs than there are.
    """
    if len(spec.inputs) > len(machine.inputs):
        raise UsageError(
            f"settings for {len(spec.inputs)} inputs, the model has {len(machine.inputs)}", where="inputs"
        )
    rest = range(len(spec.inputs), len(machine.inputs))
    settings = [*spec.inputs, *(recognise_input(machine.model, i, machine.inputs[i]) for i in rest)]
    ports = [Port(each, kind_of(s)) for each, s in zip(machine.inputs, settings, strict=True)]
    return replace(spec, inputs=tuple(settings)), ports


def settle_inputs(
    machine: Machine, spec: TaskSpec, opened: Sequence[Mapping[str, Any]]
) -> tuple[TaskSpec, tuple[str, ...]]:
    """Fills in what only data and answers tell of inputs: how pixels are normalized.

    Args:
        spec: with settings for every input.
        opened: the first things given, opened, by input's name.
    """
    settings: list[Any] = []
    notes: list[str] = []
    for position, (each, own) in enumerate(zip(machine.inputs, spec.inputs, strict=True)):
        kind = kind_of(own)
        named = [found[each.name] for found in opened if each.name in found]
        things = [thing for thing in named if not isinstance(thing, _ARRAYS)]
        if kind.complete is None or not things:
            settings.append(own)
            continue
        single = len(machine.inputs) == 1 and _may_classify(machine.model)
        run = (lambda feed: machine(feed)) if single else None
        completed, told = kind.complete(own, machine.model, position, each, things, run)
        settings.append(completed)
        notes += told
    return replace(spec, inputs=tuple(settings)), tuple(notes)


def _told(why: str) -> str:
    """Returns: how a task was decided, without what only concerns the drop."""
    return "; ".join(part for part in why.split("; ") if "budgeted" not in part)


def _arrays() -> tuple[type, ...]:
    import numpy as np

    return (np.ndarray,)


_ARRAYS = _arrays()


def feed(ports: Sequence[Port], spec: TaskSpec, given: Mapping[str, Any], where: str) -> dict[str, Fed]:
    """Returns: one item as the model takes it, by input's name.

    Raises:
        SampleError: it does not fit.
    """
    array = find_kind("array")
    fed = {}
    for port, settings in zip(ports, spec.inputs, strict=True):
        raw = given.get(port.spec.name) if port.kind.name in UNASKED else given[port.spec.name]
        plain = (isinstance(raw, _ARRAYS) and port.kind.name not in UNASKED) or port.kind.name == "array"
        kind, own = (array, array.settings()) if plain else (port.kind, settings)
        fed[port.spec.name] = kind.feed(raw, own, port.spec, where)
    return fed


def settle_task(machine: Machine, spec: TaskSpec, outputs: Sequence[Array], fed: Fed | None) -> Settled:
    """Decides the task and its options from the answer to the first item.

    Args:
        spec: as far as it is known, inputs in full.
        outputs: the model's outputs on the first item, real values.
        fed: what its first input took.

    Raises:
        UsageError: the outputs cannot be read as the task that was asked for.
    """
    notes: tuple[str, ...]
    view = view_of(machine.model, [outputs], None if fed is None else fed.array.shape)
    if spec.name:
        task = find_task(spec.name)
        options, notes = _as_asked(task, spec, machine.model, view, outputs), ()
    else:
        task, options, why = _guessed(machine.model, view, outputs)
        options, notes = {**options, **spec.options}, (why,)
    labels, told = _own_labels(machine.model) if not spec.labels else (spec.labels, ())
    found = replace(spec, name=task.name, options=options, labels=labels)
    return Settled(found, task, fields.build(task.options, options, task.name), (*notes, *told))


def settled_before(spec: TaskSpec) -> Settled:
    """Returns: a task that ``settle_task`` has settled before, of its specification."""
    task = find_task(spec.name)
    return Settled(spec, task, fields.build(task.options, spec.options, task.name), ())


def _as_asked(
    task: Answering, spec: TaskSpec, model: Model, view: View, outputs: Sequence[Array]
) -> dict[str, Any]:
    if task.name in guess.NAMES:
        try:
            found = guess.get_task(task.name, model, [outputs], input_shape=view.input_shape)
        except UsageError:
            if not spec.options:
                raise
            return dict(spec.options)
        reads = _known(task, found.reads)
    else:
        looked = task.guess(view) if task.guess is not None else {}
        if looked is None and not spec.options:
            raise UsageError(
                f"the outputs cannot be read as {task.name!r}", where="--task", hint="leave --task out"
            )
        reads = dict(looked or {})
    return {**reads, **spec.options}


def _guessed(model: Model, view: View, outputs: Sequence[Array]) -> tuple[Answering, dict[str, Any], str]:
    tasks = sorted((find_task(name) for name in task_names()), key=lambda task: (task.rank, task.name))
    early = [task for task in tasks if task.rank < _FIRST]
    if finite_view(view):
        found = _asked(early, view)
        if found is not None:
            return found
    usual = guess.guess_task(model, [outputs], input_shape=view.input_shape)
    if usual.name == "other" and finite_view(view):
        found = _asked([task for task in tasks if task.rank >= _FIRST], view)
        if found is not None:
            return found
    task = find_task(usual.name)
    reads = _known(task, usual.reads)
    try:
        task.answer(outputs, fields.build(task.options, reads, task.name), Asked(side=view.side))
    except UsageError as error:  # a drop can compare what nobody can place: boxes of unknown anchors
        why = f"{_told(usual.why)}, but {error.what}: the outputs are shown as numbers"
        return find_task("other"), {}, why
    return task, reads, _told(usual.why)


def _known(task: Answering, reads: Mapping[str, Any]) -> dict[str, Any]:
    """Returns: those settings that the task has: what a drop needs to know may be more."""
    names = fields.hints(task.options)
    return {name: value for name, value in reads.items() if name in names}


def _asked(tasks: Sequence[Answering], view: View) -> tuple[Answering, dict[str, Any], str] | None:
    for task in tasks:
        look: Callable[[View], Mapping[str, Any] | None] | None = task.guess
        options = look(view) if look is not None else None
        if options is not None:
            return (
                task,
                dict(options),
                f"guessed {task.name} ({task.what}) from the outputs' shapes and values",
            )
    return None


def _own_labels(model: Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from sanderling.tflite.metadata import label_names

    try:
        names = label_names(model)
    except FormatError as error:
        return (), (f"the model's labels cannot be read ({error.what})",)
    return names or (), ()


def _may_classify(model: Model) -> bool:
    """Returns: whether an output could hold probabilities of classes, which tell a normalization."""
    graph = model.main
    shapes = [[d for d in graph.tensors[i].shape if d != 1] for i in graph.outputs]
    return any(len(shape) == 1 and 2 <= shape[0] <= _MOST_CLASSES for shape in shapes)
