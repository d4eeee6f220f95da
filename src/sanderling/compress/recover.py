"""Trains a float model towards the original's answers: what follows when channels or weights were removed.

The original teaches, the samples need no labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling.compress._layers import layers
from sanderling.compress.applied import Applied
from sanderling.compress.eligible import require_float
from sanderling.compress.options import Options
from sanderling.compress.prepare import fold
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model
from sanderling.passes import run
from sanderling.tflite import read
from sanderling.training.aims import answers
from sanderling.training.lesson import Lesson
from sanderling.training.library import pytorch, settle_threads
from sanderling.training.net import Net, require_gradients
from sanderling.training.teach import Schedule, Teaching, by_size
from sanderling.training.zeros import held_zeros

NAME = "recover"
KNOWN = ("minutes", "steps", "seed", "rate", "batch")


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Trains all weights but those that are zero.

    Settings:
        minutes: time at most (5 when absent).
        steps: of training, instead of as many as ``minutes`` allow.
        seed: of the samples' order and variations (0 when absent).
        rate: the highest learning rate, as a share of each tensor's typical value (0.01 when absent).
        batch: samples a step (32 when absent).

    Raises:
        RecipeError: there are no samples, or the model's outputs are not the original's.
        MissingExtra: PyTorch is not installed.
        UnsupportedOperator: an operator cannot be trained through.
    """
    options = Options(NAME, settings, KNOWN)
    schedule = Schedule(
        options.number("minutes", 5.0, 0.01, 10_000.0),
        int(options.number("steps", 0, 0, 1e7)) or None,
        int(options.number("batch", 32, 1, 4096)),
        options.number("rate", 1e-2, 1e-7, 1.0),
        int(options.number("seed", 0, 0, 2**31)),
    )
    require_float(model, NAME)
    trained, notes = taught(trainable(model), work, schedule)
    return trained, Applied(notes=notes)


def trainable(model: Model) -> Model:
    """Returns: the model with plain float weights, builtin operators, and loops step by step."""
    return compact(run(fold(model), ("replace_transpose_conv_bias", "unroll_loops"))[0])


def taught(model: Model, work: Work, schedule: Schedule) -> tuple[Model, tuple[str, ...]]:
    """Trains a plain float model towards the original.

    Returns: the model with learned weights, and what came of it.
    """
    torch = pytorch()
    torch.manual_seed(schedule.seed)
    original = model if work.original is None else trainable(read(work.original))
    require_same_answers(original.main, model.main)
    teacher, student = Net(torch, original.main), Net(torch, model.main)
    aims = answers(original.main, model.main)
    inputs = [model.main.tensors[i] for i in model.main.inputs]
    lesson = Lesson(torch, iter(work.feeds(NAME)), model.input_names(), inputs)
    pruned = [layer.tensor for layer in layers(model.main, depthwise=True)]
    teaching = Teaching(
        torch,
        lambda x: student.answer(x, wanted={a.student for a in aims}),
        lambda x: teacher.answer(x, wanted={a.teacher for a in aims}),
        aims,
        by_size(student.weights),
        lesson,
        schedule,
        after_step=held_zeros(torch, [student.weights[i] for i in pruned if i in student.weights]),
        progress=work.progress,
        checkpoint=work.checkpoint(f"{NAME} {schedule}"),
    )
    settle_threads(torch, student.macs * schedule.batch)
    require_gradients(student, teaching.student(lesson.first(1)))
    result = teaching.run()
    return model.with_main(student.written()), result.told()


def require_same_answers(teacher: Graph, student: Graph) -> None:
    """Makes sure that two graphs can be compared.

    Raises:
        RecipeError: their inputs or outputs differ in number or shape.
    """
    for what in ("inputs", "outputs"):
        wanted, got = (
            [str(graph.tensors[i].type) for i in getattr(graph, what)] for graph in (teacher, student)
        )
        if wanted != got:
            raise RecipeError(
                f"the student has the {what} {', '.join(got)}, the teacher {', '.join(wanted)}",
                hint="give models of the same inputs and outputs",
            )


TECHNIQUE = Technique(
    NAME,
    "trains a float model towards the original's answers, without labels: after slimming or pruning",
    apply,
    needs_calibration=True,
)
