"""The loop: Adam with a cosine schedule, bounded in time, that keeps the best that held-out samples saw."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sanderling.errors import RunError
from sanderling.training.aims import Aim, loss
from sanderling.training.checkpoint import Checkpoint
from sanderling.training.lesson import Lesson

_RISE_STEPS, _RISE = 10, 0.05  # at least so many steps, or this share of all
_CHECKS = 12
_PATIENCE = 8  # checks without a better one: with a falling rate the best comes late
_GAIN = 0.995
_CLIP = 1.0
_LEAST_STEPS = 8

Progress = Callable[[Any], None]
Answer = Callable[[Sequence[Any]], Mapping[int, Any]]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long, and how.

    Attributes:
        minutes: time at most, evaluations included.
        steps: number of steps; None for as many as the time allows.
        batch: samples a step.
        rate: the highest learning rate; groups have their own factors to it.
        seed: of the samples' order and variations.
    """

    minutes: float
    steps: int | None = None
    batch: int = 16
    rate: float = 1e-4
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Parameters that are learned at one rate.

    Attributes:
        parameters: torch parameters.
        rate: times the schedule's.
    """

    parameters: Sequence[Any]
    rate: float = 1.0


def by_size(weights: Mapping[int, Any]) -> list[Group]:
    """Returns: a group for each tensor, with a rate in proportion to its values: the weights that read pixels
    from 0 to 255 are a hundred times smaller than those that read normalized ones.

    Args:
        weights: torch parameters by tensor index.
    """
    sizes = {i: float(p.detach().square().mean().sqrt()) for i, p in weights.items()}
    typical = float(np.median(list(sizes.values()))) if sizes else 0.0
    # Biases may all be zero: they move as a tenth of the typical weight would.
    return [Group([p], max(sizes[i], 0.1 * typical if p.dim() < 2 else 1e-6)) for i, p in weights.items()]


@dataclass(frozen=True, slots=True)
class Taught:
    """What came of it.

    Attributes:
        steps: taken.
        before, after: the loss on held-out samples, 0 for the teacher's own answers.
        seconds: it took.
        notes: what the user should know.
    """

    steps: int
    before: float
    after: float
    seconds: float
    notes: tuple[str, ...] = ()

    def told(self) -> tuple[str, ...]:
        """Returns: what came of it, in sentences."""
        steps = f"{self.steps} steps of training in {self.seconds:.0f} s"
        distance = (
            f"the distance from the original on held-out samples from {self.before:.3g} to {self.after:.3g}"
        )
        gained = self.after < self.before
        result = f"{steps} brought {distance}" if gained else f"{steps} gained nothing on held-out samples"
        return (result, *self.notes)


@dataclass(slots=True)
class Teaching:
    """One student on its way.

    Attributes:
        torch: the module.
        student, teacher: feeds → values by tensor index, of all tensors that ``aims`` name.
        aims: what is compared.
        groups: what is learned.
        lesson: the samples.
        schedule: how long.
        after_step: (step, steps foreseen) called after each step: masks, schedules of other things.
        penalty: added to the loss: regularization.
        progress: told {"step", "steps", "loss", "seconds_left"}, about once a second.
        checkpoint: where to keep what was reached; None for nowhere.
    """

    torch: Any
    student: Answer
    teacher: Answer
    aims: Sequence[Aim]
    groups: Sequence[Group]
    lesson: Lesson
    schedule: Schedule
    after_step: Callable[[int, int], None] | None = None
    penalty: Callable[[], Any] | None = None
    progress: Progress | None = None
    checkpoint: Checkpoint | None = None
    _started: float = field(default=0.0, init=False)

    def run(self) -> Taught:
        """Trains, and leaves the parameters as they were when held-out samples were answered best.

        Raises:
            RunError: the loss became NaN or infinite.
        """
        self._started = time.monotonic()
        parameters = [p for group in self.groups for p in group.parameters]
        optimizer = self.torch.optim.Adam(
            [{"params": list(g.parameters), "lr": g.rate * self.schedule.rate} for g in self.groups],
            betas=(0.9, 0.99),
        )
        first = self.judge()
        best = _Best(self.torch, parameters, first)
        step = self._resumed(parameters, optimizer, best)
        rng = np.random.default_rng((self.schedule.seed, step))
        pace = _Pace(self.schedule, step, self._started)
        stale, told, checked = 0, 0.0, step
        while not pace.over(step):
            value = self._step(optimizer, rng, pace.share(step))
            step += 1
            if self.after_step is not None:
                self.after_step(step, pace.steps(step))
            told = self._tell(told, step, pace, value)
            if pace.over(step) or step - checked >= max(_LEAST_STEPS, pace.steps(step) // _CHECKS):
                checked = step
                stale = 0 if best.offer(self.judge()) else stale + 1
                if self.checkpoint is not None:
                    self.checkpoint.save(step, parameters, optimizer)
                if stale >= _PATIENCE:
                    break
        best.restore()
        notes = self.checkpoint.done() if self.checkpoint is not None else ()
        return Taught(step, first, best.value, time.monotonic() - self._started, notes)

    def judge(self) -> float:
        """Returns: the loss on held-out samples."""
        values, weights = [], []
        with self.torch.no_grad():
            for feeds in self.lesson.held_out(self.schedule.batch):
                value = loss(self.torch, self.aims, self.teacher(feeds), self.student(feeds))
                values.append(float(value))
                weights.append(len(feeds[0]))
        return float(np.average(values, weights=weights))

    def _step(self, optimizer: Any, rng: np.random.Generator, share: float) -> float:
        feeds = self.lesson.batch(self.schedule.batch, rng)
        with self.torch.no_grad():
            wanted = self.teacher(feeds)
        value = loss(self.torch, self.aims, wanted, self.student(feeds))
        if self.penalty is not None:
            value = value + self.penalty()
        number = float(value.detach())
        if not math.isfinite(number):
            raise RunError("training diverged: the loss is no longer a number", hint="lower the rate")
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        for group, own in zip(optimizer.param_groups, self.groups, strict=True):
            group["lr"] = own.rate * self.schedule.rate * share
            self.torch.nn.utils.clip_grad_norm_(group["params"], _CLIP)
        optimizer.step()
        return number

    def _tell(self, told: float, step: int, pace: _Pace, value: float) -> float:
        now = time.monotonic()
        if self.progress is None or now - told < 1.0:
            return told
        left = max(pace.left(), 0.0)
        self.progress({"step": step, "steps": pace.steps(step), "loss": value, "seconds_left": left})
        return now

    def _resumed(self, parameters: Sequence[Any], optimizer: Any, best: _Best) -> int:
        """Returns: steps taken before."""
        step = 0 if self.checkpoint is None else self.checkpoint.load(self.torch, parameters, optimizer)
        if step:
            best.offer(self.judge())
        return step


class _Pace:
    """How far training is: by steps where their number is given, else by the time.

    The number of steps that the time allows is foreseen anew after each, so that the rate has fallen when the
    time is over, however busy the machine becomes.
    """

    def __init__(self, schedule: Schedule, first: int, started: float) -> None:
        self._schedule, self._first, self._started = schedule, first, started
        self._begun = time.monotonic()

    def left(self) -> float:
        """Returns: seconds."""
        return self._schedule.minutes * 60 - (time.monotonic() - self._started)

    def steps(self, step: int) -> int:
        """Returns: how many steps there will be."""
        if self._schedule.steps is not None:
            return self._schedule.steps
        taken = step - self._first
        each = (time.monotonic() - self._begun) / taken if taken else self._schedule.minutes * 60
        return step + max(int(self.left() / max(each, 1e-6)), 0)

    def over(self, step: int) -> bool:
        """Returns: whether there are no more steps to take; a few are, however little time there is."""
        if self._schedule.steps is not None and step >= self._schedule.steps:
            return True
        return step - self._first >= _LEAST_STEPS and self.left() <= 0

    def share(self, step: int) -> float:
        """Returns: the share of the highest rate: a short rise, then half a cosine."""
        steps = max(self.steps(step), 1)
        rise = min(1.0, (step + 1) / max(_RISE_STEPS, _RISE * steps))
        done = min(step / steps, 1.0)
        return rise * 0.5 * (1 + math.cos(math.pi * done))


class _Best:
    """The parameters that held-out samples liked best."""

    def __init__(self, torch: Any, parameters: Sequence[Any], value: float) -> None:
        self._torch, self._parameters, self.value = torch, parameters, value
        self._copies = self._copied()

    def _copied(self) -> list[Any]:
        return [p.detach().clone() for p in self._parameters]

    def offer(self, value: float) -> bool:
        """Returns: whether this is better than anything before."""
        if not value < self.value * _GAIN:
            return False
        self.value, self._copies = value, self._copied()
        return True

    def restore(self) -> None:
        with self._torch.no_grad():
            for parameter, copy in zip(self._parameters, self._copies, strict=True):
                parameter.copy_(copy)
