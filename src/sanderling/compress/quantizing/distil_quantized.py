"""Quantization-aware self-distillation: the integer network learns to answer as the float one does.

No labels: the float model answers the samples and their variations. Weights, biases and all scales are
learned; what is learned is what is written.
"""

from __future__ import annotations

import numpy as np

from sanderling.compress.eligible import BIAS
from sanderling.compress.learning.pupils import trainable
from sanderling.compress.quantizing.fake_quantized import FakeQuantized
from sanderling.compress.quantizing.scheme import Scheme
from sanderling.compress.technique import Work
from sanderling.graph.graph import Graph, Model
from sanderling.tflite import read
from sanderling.training.aims import answers, bottlenecks, features
from sanderling.training.lesson import Lesson
from sanderling.training.library import pytorch, settle_threads
from sanderling.training.net import Net, require_gradients
from sanderling.training.teach import Group, Schedule, Taught, Teaching
from sanderling.training.zeros import held_zeros

# By how much of a step an integer's origin moves in a step of training, at most.
_PACE = 0.02
_SCALES_PACE = 3e-4  # and by what share a scale changes
_FEATURES = 0.5  # weight of inner tensors beside the answers


def distil_quantized(
    folded: Model, graph: Graph, scheme: Scheme, schedule: Schedule, work: Work
) -> tuple[Graph, Scheme, Taught]:
    """Trains a scheme.

    Args:
        folded: the float model.
        graph: its main graph as it is to be written, perhaps with corrected biases.
        scheme: where to start, learned rounding perhaps done.
        schedule: how long.
        work: the samples, and the model that teaches where it is not ``folded``.

    Returns: the graph with learned biases, the scheme with learned integers and scales, and how it went.

    Raises:
        MissingExtra: PyTorch is not installed.
        UnsupportedOperator, RecipeError: the graph cannot be trained.
        SampleError: there are too few samples, or they hold NaN.
    """
    torch = pytorch("quantization-aware training")
    torch.manual_seed(schedule.seed)
    original = _teacher(folded, work)
    teacher, student = Net(torch, original.main), Net(torch, graph)
    rounding = FakeQuantized(torch, graph, scheme)
    for index in rounding.weights:
        if index in student.weights:
            student.weights[index].data = torch.from_numpy(scheme.weights[index].real())
    aims = answers(original.main, graph)
    if original is folded:
        aims += features(graph, bottlenecks(graph), _FEATURES)
    inputs = [graph.tensors[i] for i in graph.inputs]
    lesson = Lesson(torch, iter(work.feeds("training")), folded.input_names(), inputs)
    teaching = Teaching(
        torch,
        lambda x: student.answer(x, wanted={a.student for a in aims}, hooks=rounding),
        lambda x: teacher.answer(x, wanted={a.teacher for a in aims}),
        aims,
        _groups(student, rounding, scheme, schedule),
        lesson,
        schedule,
        after_step=held_zeros(torch, [student.weights[i] for i in rounding.weights if i in student.weights]),
        progress=work.progress,
        checkpoint=work.checkpoint(f"{schedule}"),
    )
    settle_threads(torch, student.macs * schedule.batch)
    require_gradients(student, teaching.student(lesson.first(1)))
    taught = teaching.run()
    arrays = student.arrays()
    learned = {index: arrays.get(index, scheme.weights[index].real()) for index in rounding.weights}
    kept = {index: array for index, array in arrays.items() if index not in rounding.weights}
    return student.written(kept), rounding.learned(learned), taught


def _teacher(folded: Model, work: Work) -> Model:
    return folded if work.original is None else trainable(read(work.original))


def _groups(student: Net, rounding: FakeQuantized, scheme: Scheme, schedule: Schedule) -> list[Group]:
    """Returns: what is learned; everything moves at a pace that is measured by its own steps."""
    groups = [
        Group(rounding.weight_scales, _SCALES_PACE / schedule.rate),
        Group(rounding.activation_scales, _SCALES_PACE / schedule.rate),
    ]
    steps = {index: float(np.mean(scheme.weights[index].quant.scale)) for index in rounding.weights}
    for node in student.graph.nodes:
        place = BIAS.get(node.op, -1)
        index = node.inputs[place] if 0 <= place < len(node.inputs) else -1
        if index in student.weights and node.outputs[0] in rounding.scheme.quants:
            steps.setdefault(index, float(rounding.scheme.quants[node.outputs[0]].scale[0]))
    for index, parameter in student.weights.items():
        step = steps.get(index) or float(parameter.detach().abs().mean()) / 127
        groups.append(Group([parameter], _PACE * step / schedule.rate))
    return [group for group in groups if group.parameters]
