"""From things given to answers: opened, fed, run, understood; one at a time, so that nothing piles up."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sanderling.errors import RunError, SampleError, UsageError
from sanderling.graph.types import Array
from sanderling.pipeline.answered import Answered
from sanderling.pipeline.crop import crop_places, image_side
from sanderling.pipeline.explain import explain
from sanderling.pipeline.item import Item, Source
from sanderling.pipeline.items import sources
from sanderling.pipeline.seen import Ready, Seen
from sanderling.pipeline.settle import (
    UNASKED,
    Settled,
    feed,
    settle_inputs,
    settle_ports,
    settle_task,
    settled_before,
)
from sanderling.samples.pixels import in_colours
from sanderling.tasks.answer import Answer, Asked
from sanderling.tasks.input_kind import Fed
from sanderling.tasks.inputs.state import StateInput
from sanderling.tasks.placement import Placement
from sanderling.tasks.spec import TaskSpec
from sanderling.tasks.together import stacked

if TYPE_CHECKING:
    from sanderling.pipeline.machine import Machine

_LOOKED_AT = 4  # items that a normalization is guessed from
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Part:
    given: Mapping[str, Any]
    span: tuple[float, float] | None = None
    outer: Placement | None = None


class Pipeline:
    """A model with its task.

    Args:
        machine: the model, loaded.
        spec: what is known of its task.
        cropper: a detector's pipeline that finds the parts of a picture which the model is to see.
        explain: find out what each answer rests on.
        tell: is called with each thing that was decided and a user must be told.
        progress: is called with (done, of so many) while one answer is explained.
    """

    def __init__(
        self,
        machine: Machine,
        spec: TaskSpec,
        *,
        cropper: Pipeline | None = None,
        explain: bool = False,
        tell: Callable[[str], None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.machine = machine
        self.spec, self.ports = settle_ports(machine, spec)
        self.asked_for = [port for port in self.ports if port.kind.name not in UNASKED] or self.ports
        self.settled: Settled | None = None
        self._cropper, self._crop = cropper, spec.crop
        self._explain = explain
        self._tell = tell or (lambda _: None)
        self._progress = progress
        self._model_seconds = 0.0
        self._carried: dict[str, Array] = {}  # states that the last part left, by input's name

    def sources(self, given: Any) -> list[Source]:
        """Finds what was given. See ``items.sources``."""
        return sources(given, self.asked_for)

    def run(self, found: Sequence[Source]) -> Iterator[Answered]:
        """Answers everything, in order, lazily. An item that cannot be read has an error for an answer."""
        for source in found:
            stream = source.items()
            # A camera's frames do not wait: the first one has to tell enough.
            ahead = 1 if source.count is None or source.fps else _LOOKED_AT
            first = list(itertools.islice(stream, ahead))
            waiting = self._look(first)
            for item in itertools.chain(first, stream):
                yield self._answered(item, waiting.pop(id(item), None))

    def examined(self, found: Sequence[Source]) -> Iterator[tuple[Item, Answer, list[Seen]]]:
        """Answers everything as ``run`` does, and gives what the model saw and said. What cannot be read is
        left out, and told."""
        for source in found:
            for item in source.items():
                try:
                    waiting = self._look([item])
                    answer, seen = self.answer(waiting.get(id(item)) or item.open(), item.name)
                except SampleError as error:
                    self._tell(f"left out: {error}")
                    continue
                yield item, answer, seen

    def _look(self, items: Sequence[Item]) -> dict[int, Mapping[str, Any]]:
        """Opens the first items, and settles from them what is not known yet."""
        if self.settled is not None:
            return {}
        opened: dict[int, Mapping[str, Any]] = {}
        for item in items:
            try:
                opened[id(item)] = item.open()
            except SampleError:
                continue  # told when its turn comes
        if opened:
            self._settle_inputs(list(opened.values()))
        return opened

    def _settle_inputs(self, opened: Sequence[Mapping[str, Any]]) -> None:
        self.spec, notes = settle_inputs(self.machine, self.spec, opened)
        for note in notes:
            self._tell(note)

    def _answered(self, item: Item, opened: Mapping[str, Any] | None) -> Answered:
        begin, self._model_seconds = time.perf_counter(), 0.0
        try:
            given = item.open() if opened is None else opened
            answer, parts = self.answer(given, item.name)
        except SampleError as error:
            return Answered(item.name, error=error, short=item.short, path=item.path, frame=item.frame)
        spent = time.perf_counter() - begin
        answered = Answered(
            item.name, answer, short=item.short, path=item.path, frame=item.frame,
            model_ms=1e3 * self._model_seconds, rest_ms=1e3 * (spent - self._model_seconds),
            picture=_picture(given),
        )  # fmt: skip
        if not self._explain or not parts:
            return answered
        explained = explain(self, parts, self._progress)
        told = replace(answer, lines=(*answer.lines, explained.words))
        return replace(answered, answer=told, heat=explained.heat)

    def answer(self, given: Mapping[str, Any], where: str) -> tuple[Answer, list[Seen]]:
        """Answers one thing, opened.

        Returns: the answer, and what the model saw for it, in parts.

        Raises:
            SampleError: what was given does not fit the model.
        """
        self.machine.forget()
        self._carried = {}
        seen = [self._see(part, where) for part in self._parts(given, where)]
        if not seen:
            what = self._crop.model if self._crop else "the detector"
            words = f"{what} finds nothing that the model could look at"
            return Answer((words,), {"parts": []}, lambda image: image), []
        return self.understood(seen), seen

    def understood(self, seen: Sequence[Seen]) -> Answer:
        """Returns: the answer about one thing, of which the model saw at least one part.

        Raises:
            UsageError: the outputs cannot be read as the task wants them.
        """
        assert self.settled is not None
        task, options = self.settled.task, self.settled.options
        if task.together is not None and (len(seen) > 1 or seen[0].asked.span is not None):
            return task.together([(each.outputs, each.asked) for each in seen], options)
        answers = [task.answer(each.outputs, options, each.asked) for each in seen]
        names = [_span_words(each, number) for number, each in enumerate(seen, 1)]
        return answers[0] if len(answers) == 1 else stacked(answers, names)

    def ready(self, given: Mapping[str, Any], where: str) -> list[Ready]:
        """Prepares one thing, opened, for a model that is run elsewhere. Threads may call it side by side.

        Raises:
            SampleError: what was given does not fit the model.
        """
        return [self._ready(part, where) for part in self._parts(given, where)]

    @property
    def in_order(self) -> str:
        """Why things have to be answered one after the other; "" where they may be answered side by side."""
        if self.machine.keeps_state or any(isinstance(each, StateInput) for each in self.spec.inputs):
            return "the model keeps a state from one window to the next"
        return "a detector looks at each picture first" if self.cropper is not None else ""

    def settle(self, things: Iterator[Mapping[str, Any]]) -> bool:
        """Finds out what is not known yet of the task, and tells it.

        Args:
            things: opened; of the first ones that can be answered no more than needed are.

        Returns: whether any could be answered.

        Raises:
            UsageError: the outputs cannot be read as the task that was asked for.
        """
        first = list(itertools.islice(things, _LOOKED_AT))
        if first and self.settled is None:
            self._settle_inputs(first)
        for given in itertools.chain(first, things):
            try:
                self.answer(given, "a sample")
            except (SampleError, RunError):
                continue  # which is no word on the others
            return True
        return False

    def adopt(self, spec: TaskSpec) -> None:
        """Takes over the ``spec`` that ``settle`` made of the same model's."""
        self.spec, self.settled = spec, settled_before(spec)

    def _parts(self, given: Mapping[str, Any], where: str) -> list[_Part]:
        port = self.asked_for[0]
        settings = self.spec.inputs[self.ports.index(port)]
        raw = given[port.spec.name]
        shared = all(given[each.spec.name] is raw and each.kind is port.kind for each in self.asked_for)
        if not shared or isinstance(raw, np.ndarray):
            return [_Part(given)]
        if self._crop is not None and self._cropper is not None and port.kind.name == "image":
            boxes = self._cropper.boxes(raw, where)
            self._model_seconds += self._cropper._model_seconds
            outer = crop_places(boxes, self._crop, raw.size, image_side(port.spec))
            return [_Part({port.spec.name: place.cut(in_colours(raw, 3))}, outer=place) for place in outer]
        if port.kind.parts is None:
            return [_Part(given)]
        parts = port.kind.parts(raw, settings, port.spec, where)
        return [_Part({each.spec.name: part.raw for each in self.asked_for}, part.span) for part in parts]

    def _ready(self, part: _Part, where: str) -> Ready:
        fed = feed(self.ports, self.spec, {**part.given, **self._carried}, where)
        return Ready(part.given, fed, self._asked(part, fed))

    def _see(self, part: _Part, where: str) -> Seen:
        ready = self._ready(part, where)
        fed = ready.fed
        outputs = self.machine({name: each.array for name, each in fed.items()})
        self._model_seconds += self.machine.seconds
        for port, settings in zip(self.ports, self.spec.inputs, strict=True):
            if isinstance(settings, StateInput):
                self._carried[port.spec.name] = outputs[settings.output]
        if self.settled is None:
            self._settle_task(outputs, next(iter(fed.values()), None))
            return Seen(part.given, fed, outputs, self._asked(part, fed))  # with the labels that were found
        return Seen(part.given, fed, outputs, ready.asked)

    def _settle_task(self, outputs: Sequence[Array], fed: Fed | None) -> None:
        self.settled = settle_task(self.machine, self.spec, outputs, fed)
        self.spec = self.settled.spec
        for note in self.settled.notes:
            self._tell(note)

    def _asked(self, part: _Part, fed: Mapping[str, Fed]) -> Asked:
        inner = next((each.placement for each in fed.values() if each.placement is not None), None)
        place = inner if inner is None or part.outer is None else inner.within(part.outer)
        return Asked(
            outputs=self.machine.outputs, side=None if place is None else place.side, placement=place,
            labels=self.spec.labels, given=part.given, fed={n: each.array for n, each in fed.items()},
            quants={p.spec.name: p.spec.quant for p in self.ports if p.spec.quant and p.spec.is_quantized},
            span=part.span,
        )  # fmt: skip

    @property
    def cropper(self) -> Pipeline | None:
        """The detector's pipeline, None where the model sees whole pictures."""
        return self._cropper if self._crop is not None else None

    def close(self) -> None:
        """Frees the models."""
        self.machine.close()
        if self._cropper is not None:
            self._cropper.close()

    def boxes(self, raw: Any, where: str) -> list[Mapping[str, Any]]:
        """Returns: what a detector finds in a picture, as its answer's ``boxes``.

        Raises:
            UsageError: the model is no detector.
        """
        self._model_seconds = 0.0
        given = {self.ports[0].spec.name: raw}
        if self.settled is None:
            self._settle_inputs([given])
        found = self.answer(given, where)[0].data.get("boxes")
        if found is None:
            raise UsageError(
                "is no detector: it gives no boxes",
                where=self.machine.model.name,
                hint="crop with a detector",
            )
        return list(found)


def _span_words(seen: Seen, number: int) -> str:
    span = seen.asked.span
    return f"part {number}" if span is None else f"{span[0]:.2f}-{span[1]:.2f} s"


def _picture(given: Mapping[str, Any]) -> Any:
    """Returns: the first picture among what was given, None without."""
    return next((raw for raw in given.values() if hasattr(raw, "getbands")), None)
