"""Answers samples on this machine: opened and prepared in threads, run by replicas of the model, understood
in threads; each step takes no more than a few samples ahead of the next one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sanderling.errors import RunError, SampleError, SanderlingError, UsageError
from sanderling.graph.types import Array
from sanderling.pipeline.pipeline import Pipeline
from sanderling.pipeline.seen import Ready, Seen
from sanderling.predict.columns import Row
from sanderling.predict.listing import Listing
from sanderling.runtime.parallel.spread import spread
from sanderling.settings import cores

# What one sample may raise and the others are answered for all that.
_FAULTS = (SampleError, RunError, UsageError)


@dataclass(slots=True)
class _Sample:
    """A sample on its way: prepared in parts, each of which waits for the model's answer."""

    index: int
    ready: list[Ready] = field(default_factory=list)
    arranged: list[tuple[Array, ...]] = field(default_factory=list)
    found: list[Any] = field(default_factory=list)
    error: SanderlingError | None = None


class Answering:
    """A pipeline over a listing.

    Args:
        pipeline: settled.
        listing: the samples.
        most: processors that may be used; None: all.

    Attributes:
        plan: how the model was run, in words; "" as long as that is not known.
        reason: why.
    """

    def __init__(self, pipeline: Pipeline, listing: Listing, most: int | None = None) -> None:
        self._pipeline, self._listing, self._most = pipeline, listing, most or cores()
        self.plan, self.reason = "", ""

    def rows(self, chosen: Iterable[int]) -> Iterator[Row]:
        """Yields: the rows of these samples, in their order."""
        why = self._pipeline.in_order
        if why:
            self.plan, self.reason = "one after the other", why
            yield from self.one_by_one(chosen)
            return
        prepared = spread([self._prepared] * self._most, chosen)
        yield from spread([self._understood] * self._most, self._run(prepared))

    def one_by_one(self, chosen: Iterable[int]) -> Iterator[Row]:
        """Yields: the rows of these samples, in their order; only opening goes ahead."""

        def opened(index: int) -> tuple[int, Any]:
            try:
                return index, self._listing.open(index)
            except SampleError as error:
                return index, error

        for index, given in spread([opened] * self._most, chosen):
            if isinstance(given, SampleError):
                yield self._row(index, given)
                continue
            try:
                answer = self._pipeline.answer(given, self._listing.name(index))[0]
                yield self._row(index, self._columns(answer))
            except _FAULTS as error:
                yield self._row(index, error)

    def _prepared(self, index: int) -> _Sample:
        try:
            ready = self._pipeline.ready(self._listing.open(index), self._listing.name(index))
            feeds = [{name: each.array for name, each in part.fed.items()} for part in ready]
            arranged = [self._pipeline.machine.arranged(feed) for feed in feeds]
        except _FAULTS as error:
            return _Sample(index, error=error)
        return _Sample(index, [self._lighter(part) for part in ready], arranged)

    def _lighter(self, part: Ready) -> Ready:
        """Lets go of a picture, which may be large and only a function of the user's asks for."""
        if self._pipeline.spec.name == "custom":
            return part
        kept = {name: raw for name, raw in part.given.items() if not hasattr(raw, "getbands")}
        return Ready(kept, part.fed, replace(part.asked, given=kept))

    def _run(self, prepared: Iterator[_Sample]) -> Iterator[_Sample]:
        """Yields: samples with the model's answers to all of their parts."""
        waiting: deque[_Sample] = deque()

        def parts() -> Iterator[tuple[Array, ...]]:
            for sample in prepared:
                waiting.append(sample)
                yield from sample.arranged
                sample.arranged = []  # what goes on is in ``ready``

        with self._pipeline.machine.map(parts(), self._most) as mapped:
            for found in mapped:
                self._told(mapped)
                while len(waiting[0].found) == len(waiting[0].ready):
                    yield waiting.popleft()
                waiting[0].found.append(found)
            self._told(mapped)
        yield from waiting

    def _told(self, mapped: Any) -> None:
        if not self.plan and mapped.plan is not None:
            self.plan, self.reason = str(mapped.plan), mapped.reason

    def _understood(self, sample: _Sample) -> Row:
        if sample.error is not None:
            return self._row(sample.index, sample.error)
        try:
            seen = [
                Seen(part.given, part.fed, self._pipeline.machine.real(found), part.asked)
                for part, found in zip(sample.ready, sample.found, strict=True)
            ]
            return self._row(sample.index, self._columns(self._pipeline.understood(seen)))
        except _FAULTS as error:
            return self._row(sample.index, error)

    def _columns(self, answer: Any) -> dict[str, Any]:
        settled = self._pipeline.settled
        assert settled is not None
        return settled.task.row(answer)

    def _row(self, index: int, found: dict[str, Any] | SanderlingError) -> Row:
        name, text = self._listing.name(index), self._listing.text(index)
        if isinstance(found, SanderlingError):
            path = self._listing.file(index)
            what = found.what if path is None else found.what.replace(str(path), name)
            return Row(index, name, error=what, text=text)
        return Row(index, name, found, text=text)


def settle(pipeline: Pipeline, listing: Listing) -> bool:
    """Finds out what is not known yet of the task from the first samples that can be answered.

    Returns: whether any could.

    Raises:
        UsageError: the outputs cannot be read as the task that was asked for.
    """

    def opened() -> Iterator[Mapping[str, Any]]:
        for index in range(len(listing)):
            try:
                yield listing.open(index)
            except SampleError:
                continue  # told in its row

    return pipeline.settle(opened())
