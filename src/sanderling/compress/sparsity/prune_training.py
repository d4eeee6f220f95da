"""Pruning in stages with training between them: the original teaches, weights that are zero stay zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sanderling.compress.fitting.layers import Layer, array_of
from sanderling.compress.fitting.quadratic import Mask
from sanderling.compress.learning.pupils import require_same_answers, trainable
from sanderling.compress.quantizing.weights import AXIS
from sanderling.compress.technique import Work
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array
from sanderling.tflite import read
from sanderling.training.aims import Aim, answers
from sanderling.training.gradients import moments
from sanderling.training.lesson import Lesson
from sanderling.training.library import pytorch, settle_threads
from sanderling.training.net import Net, require_gradients
from sanderling.training.regularize import penalty_of
from sanderling.training.teach import Schedule, Taught, Teaching, by_size
from sanderling.training.zeros import held_zeros

_LAST = 0.5  # share of the time that the last stage gets

# (share of the final sparsity, the graph as it now is, gradients or None) → which weights stay, by tensor.
Choose = Callable[[float, Graph, Mapping[int, Array] | None], Mapping[int, Mask]]


@dataclass(frozen=True, slots=True)
class Training:
    """How to train.

    Attributes:
        schedule: how long, and how.
        stages: in how many steps the zeros come; 0: they are there at the start.
        regularizer: see ``training.regularize``.
        strength: its λ.
    """

    schedule: Schedule
    stages: int
    regularizer: str
    strength: float


class Pupil:
    """One model to be pruned in PyTorch.

    Args:
        start: plain, where training begins.
        teacher: plain, what it was made from.
        found: the layers.
        work: the samples.
    """

    def __init__(self, start: Model, teacher: Model, found: Sequence[Layer], work: Work, seed: int) -> None:
        self.torch = pytorch("pruning with training")
        self.torch.manual_seed(seed)
        original = teacher if work.original is None else trainable(read(work.original))
        require_same_answers(original.main, start.main)
        self._model, self._found, self._work = start, found, work
        self._teacher, self._student = Net(self.torch, original.main), Net(self.torch, start.main)
        self._aims: list[Aim] = answers(original.main, start.main)
        inputs = [start.main.tensors[i] for i in start.main.inputs]
        self._lesson = Lesson(self.torch, iter(work.feeds("training")), start.input_names(), inputs)
        require_gradients(self._student, self._answer(self._lesson.first(1)))

    def _answer(self, feeds: Any) -> Mapping[int, Any]:
        return self._student.answer(feeds, wanted={a.student for a in self._aims})

    def gradients(self, importance: str) -> dict[int, Array] | None:
        """Returns: by tensor, moments of the gradients; None for an importance that has no use for them."""
        if importance not in ("taylor", "fisher"):
            return None
        tensors = [each.tensor for each in self._found if each.tensor in self._student.weights]
        squared = importance == "fisher"
        return dict(moments(self.torch, self._student, self._aims, self._lesson, tensors, squared=squared))

    def train(self, choose: Choose, importance: str, training: Training) -> tuple[Model, Taught]:
        """Trains in stages; the sparsity rises fast at first and slowly at last.

        Source: Zhu and Gupta, To prune, or not to prune (2017), eq. 1, for the cubic schedule.
        """
        settle_threads(self.torch, self._student.macs * training.schedule.batch)
        stages = max(training.stages, 1)
        for stage in range(1, stages + 1):
            graph = self._student.written()
            if training.stages:
                share = 1 - (1 - stage / stages) ** 3
                self._thin(graph, choose(share, graph, self.gradients(importance)))
            taught = self._teaching(training, stage, stages).run()
        return self._model.with_main(self._student.written()), taught

    def _thin(self, graph: Graph, masks: Mapping[int, Mask]) -> None:
        with self.torch.no_grad():
            for layer in self._found:
                if layer.tensor in self._student.weights:
                    kept = array_of(graph, layer, masks[layer.tensor].astype(np.float32))
                    self._student.weights[layer.tensor].mul_(self.torch.from_numpy(kept))

    def _teaching(self, training: Training, stage: int, stages: int) -> Teaching:
        weights = [
            (self._student.weights[each.tensor], AXIS.get(each.op, 0))
            for each in self._found
            if each.tensor in self._student.weights
        ]
        return Teaching(
            self.torch,
            self._answer,
            lambda x: self._teacher.answer(x, wanted={a.teacher for a in self._aims}),
            self._aims,
            by_size(self._student.weights),
            self._lesson,
            _part(training.schedule, stage, stages),
            after_step=held_zeros(self.torch, [value for value, _ in weights]),
            penalty=penalty_of(self.torch, weights, training.regularizer, training.strength),
            progress=self._work.progress,
        )


def _part(schedule: Schedule, stage: int, stages: int) -> Schedule:
    """Returns: one stage's share of the time and of the steps."""
    share = 1.0 if stages == 1 else _LAST if stage == stages else (1 - _LAST) / (stages - 1)
    steps = None if schedule.steps is None else max(1, round(schedule.steps * share))
    return replace(schedule, minutes=schedule.minutes * share, steps=steps, seed=schedule.seed + stage)
