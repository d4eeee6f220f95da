"""Trains one float model towards another's answers, without labels: any two that take and give the same.

Where both add blocks to a stream of values of one shape (layers of transformers, residual blocks), what flows
behind the student's blocks is drawn to what flows in the teacher at the same part of the way, too.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.compress.apply import check_runs
from sanderling.compress.calibration import Feeds, load_feeds
from sanderling.compress.eligible import require_float
from sanderling.compress.fitting.layers import layers
from sanderling.compress.learning.lengths import at_length, length_of
from sanderling.compress.learning.likeness import likeness
from sanderling.compress.learning.pupils import require_same_answers, trainable
from sanderling.compress.learning.stream import Block, blocks
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array
from sanderling.graph.verify import verify
from sanderling.tflite import read, write
from sanderling.tflite.releases import settled
from sanderling.training.aims import Aim, answers
from sanderling.training.checkpoint import Checkpoint
from sanderling.training.lesson import Lesson
from sanderling.training.library import pytorch, settle_threads
from sanderling.training.net import Net, require_gradients
from sanderling.training.teach import Progress, Schedule, Taught, Teaching, by_size
from sanderling.training.zeros import held_zeros

NAME = "distill"
_NEARLY_ALL, _STEP = 0.98, 8  # of the samples fit into so many places, a multiple of this
_WORTH = 0.8  # of all places: above, the padding costs little
_COMPARED, _SAME = 4, 1e-3


def distil_in_worker(
    *,
    student: str,
    teacher: str,
    lessons: str,
    held: str,
    out: str,
    schedule: Mapping[str, Any],
    features: float = 1.0,
    threads: int = 1,
    kept: str | None = None,
    progress: Callable[[Any], None] | None = None,
) -> dict[str, Any]:
    """Trains a student and writes it.

    Args:
        student, teacher: float ``.tflite`` files.
        lessons: feeds to learn from, by the teacher's input names.
        held: feeds on which both are compared before and afterwards.
        out: the file to write.
        schedule: fields of ``Schedule``.
        features: weight of what flows between blocks beside the answers; 0 for answers alone.
        threads: CPU threads of LiteRT, for comparing.
        kept: a file for what is reached, so that the same call goes on from there; None for none.
        progress: told ``{"step", "steps", "loss", "seconds_left"}``.

    Returns: ``{"steps", "seconds", "before", "after", "notes"}``: likeness on ``held``, a row per output.

    Raises:
        RecipeError: one is quantized, or their inputs or outputs differ.
        UnsupportedOperator, MissingExtra, SampleError: see ``recover``.
    """
    files = Path(student), Path(teacher)
    models = [_plain(file) for file in files]
    plan = Schedule(**schedule)
    names, outputs = _names(models[0], models[1])
    checkpoint = (
        None if kept is None else Checkpoint(Path(kept), f"{[_hash(f) for f in files]} {plan} {features}")
    )
    trained, taught = distilled(
        models[0], in_order_of(*models), load_feeds(Path(lessons)), names, plan, features,
        checkpoint, progress,
    )  # fmt: skip
    made = Path(out).with_name(Path(out).name + ".partial")
    try:
        write(settled(trained), made)
        check_runs(made)
        compared = load_feeds(Path(held))
        before = likeness(files[1], files[0], compared, names, outputs, threads)
        after = likeness(files[1], made, compared, names, outputs, threads)
        made.replace(out)
    finally:
        made.unlink(missing_ok=True)
    return {
        "steps": taught.steps,
        "seconds": taught.seconds,
        "before": before,
        "after": after,
        "notes": list(taught.told()),
    }


def _plain(file: Path) -> Model:
    model = read(file)
    verify(model)
    require_float(model, NAME)
    return trainable(model)


def distilled(
    student: Model,
    teacher: Model,
    lessons: Feeds,
    names: Sequence[str],
    schedule: Schedule,
    features: float = 1.0,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> tuple[Model, Taught]:
    """Trains all weights of a student but those that are zero.

    Args:
        student, teacher: as ``recover.trainable`` and ``in_order_of`` give them.
        lessons: feeds to learn from.
        names: the feeds' names of the student's inputs, in its order.

    Returns: the student with learned weights, and what came of it.
    """
    torch = pytorch(NAME)
    torch.manual_seed(schedule.seed)
    require_same_answers(teacher.main, student.main)
    inputs = [student.main.tensors[i] for i in student.main.inputs]
    lesson = Lesson(torch, iter(lessons), names, inputs)
    pairs = matched(teacher.main, student.main) if features > 0 else []
    within = [Aim("values", left, right, features / len(pairs)) for left, right in pairs]
    aims = [*answers(teacher.main, student.main), *within]
    mask = _mask(lesson, student.main)
    teacher_net, student_net, places = _nets(torch, teacher.main, student.main, lesson, mask)
    pruned = [layer.tensor for layer in layers(student.main, depthwise=True)]
    teaching = Teaching(
        torch,
        _answering(student_net, {a.student for a in aims}, {a.student for a in within}, mask, places),
        _answering(teacher_net, {a.teacher for a in aims}, {a.teacher for a in within}, mask, places),
        aims,
        by_size(student_net.weights),
        lesson,
        schedule,
        after_step=held_zeros(torch, [student_net.weights[i] for i in pruned if i in student_net.weights]),
        progress=progress,
        checkpoint=checkpoint,
    )
    settle_threads(torch, student_net.macs * schedule.batch)
    require_gradients(student_net, teaching.student(lesson.first(1)))
    taught = teaching.run()
    if places is not None:
        note = f"trained on the first {places} places, which hold nearly all"
        taught = replace(taught, notes=(*taught.notes, note))
    return student.with_main(_with_arrays(student.main, student_net.arrays())), taught


def _answering(
    net: Net, wanted: set[int], within: set[int], mask: int | None, places: int | None
) -> Callable[[Sequence[Any]], dict[int, Any]]:
    """Returns: feeds → the wanted values, of those within only what flows at places that hold something."""

    def answer(feeds: Sequence[Any]) -> dict[int, Any]:
        if places is not None:
            feeds = [feed[:, :places] for feed in feeds]
        found = net.answer(feeds, wanted=wanted)
        if mask is None:
            return found
        flags = feeds[mask].unsqueeze(-1)
        return {
            index: value * flags if index in within and value.shape[:-1] == flags.shape[:-1] else value
            for index, value in found.items()
        }

    return answer


def _with_arrays(graph: Graph, learned: Mapping[int, Array]) -> Graph:
    tensors = [
        replace(tensor, data=learned[index].reshape(tensor.shape)) if index in learned else tensor
        for index, tensor in enumerate(graph.tensors)
    ]
    return replace(graph, tensors=tuple(tensors))


def _nets(
    torch: Any, teacher: Graph, student: Graph, lesson: Lesson, mask: int | None
) -> tuple[Net, Net, int | None]:
    """Returns: teacher and student as networks, and for how many places they are, where that is fewer than
    the models': what the samples fill, if both then answer the same."""
    graphs = (teacher, student)
    whole = [Net(torch, graph) for graph in graphs]
    places = None if mask is None else _filled(lesson, mask)
    shorter = [at_length(graph, places) for graph in graphs] if places is not None else []
    few = [Net(torch, each.graph, each.cut) for each in shorter if each is not None]
    if places is None or mask is None or len(few) < len(graphs):
        return whole[0], whole[1], None
    feeds = lesson.first(lesson.size)
    fit = [n for n in range(lesson.size) if not feeds[mask][n, places:].any()][:_COMPARED]
    some = [feed[fit] for feed in feeds]
    with torch.no_grad():
        for one, other in zip(whole, few, strict=True):
            want, got = one.answer(some), other.answer([feed[:, :places] for feed in some])
            for index, value in want.items():
                if (value - got[index]).abs().max() > _SAME * value.abs().max():
                    return whole[0], whole[1], None
    return few[0], few[1], places


def _filled(lesson: Lesson, mask: int) -> int | None:
    """Returns: how many places nearly all samples fill, None where that is about as many as there are."""
    flags = np.asarray(lesson.first(lesson.size)[mask])
    last = flags.shape[1] - np.argmax(flags[:, ::-1] != 0, axis=1)
    places = -(-int(np.quantile(last[flags.any(1)], _NEARLY_ALL)) // _STEP) * _STEP
    return places if places < _WORTH * flags.shape[1] else None


def matched(teacher: Graph, student: Graph) -> list[tuple[int, int]]:
    """Finds what should be alike within: behind equal parts of the blocks of each shape.

    Returns: tensor of the teacher and of the student, behind each of the student's blocks.
    """
    theirs, ours = _by_kind(teacher), _by_kind(student)
    pairs = []
    for kind, mine in ours.items():
        others = theirs.get(kind, [])
        if len(others) < len(mine):
            continue
        for number, block in enumerate(mine, 1):
            other = others[-(-number * len(others) // len(mine)) - 1]
            if block.result not in student.outputs and other.result not in teacher.outputs:
                pairs.append((other.result, block.result))
    return pairs


def in_order_of(student: Model, teacher: Model) -> Model:
    """Returns: the teacher with its inputs and outputs in the student's order, where their names say it."""
    names, outputs = _names(student, teacher)
    graph = teacher.main
    found = dict(zip(teacher.input_names(), graph.inputs, strict=True))
    given = dict(zip(teacher.output_names(), graph.outputs, strict=True))
    inputs = tuple(found[name] for name in names)
    return teacher.with_main(replace(graph, inputs=inputs, outputs=tuple(given[n] for n in outputs)))


def _names(student: Model, teacher: Model) -> tuple[list[str], list[str]]:
    """Returns: the teacher's names of the inputs and outputs, in the student's order."""
    return (
        _sorted_like(student.input_names(), teacher.input_names()),
        _sorted_like(student.output_names(), teacher.output_names()),
    )


def _sorted_like(ours: list[str], theirs: list[str]) -> list[str]:
    return ours if set(ours) == set(theirs) and len(ours) == len(theirs) else theirs


def _by_kind(graph: Graph) -> dict[str, list[Block]]:
    kinds: dict[str, list[Block]] = defaultdict(list)
    for block in blocks(graph):
        kinds[str(graph.tensors[block.result].type)].append(block)
    return kinds


def _mask(lesson: Lesson, graph: Graph) -> int | None:
    """Returns: the number of the input that says, by ones and zeros, which places of a sequence hold
    something; None where there is none."""
    if length_of(graph) is None:
        return None
    for number, values in enumerate(lesson.first(lesson.size)):
        if bool(((values == 0) | (values == 1)).all()) and bool(values.any()):
            return number
    return None


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
