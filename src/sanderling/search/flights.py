"""Trials that are under way: one at a time on this machine, or one on each node of a cluster."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sanderling.errors import NodeLost, StorageError
from sanderling.search.clock import Clock, OutOfTime
from sanderling.search.events import Note, Progress, TrialFinished, TrialStarted
from sanderling.search.laboratory import Laboratory
from sanderling.search.lanes import Lane, Lanes
from sanderling.search.study import Study
from sanderling.search.trial import Trial

# A trial whose node is lost is measured elsewhere, unless it is what nodes are lost by.
MOST_LOSSES = 2
Progressing = Callable[[str, int, int], None]


@dataclass(eq=False, slots=True)
class Flight:
    """A trial from being proposed to its end.

    Attributes:
        blank: what is known of it before it is measured.
        rung: name of the rung that proposed it.
        measure: measures it in a laboratory, and tells how far that is.
        first: nothing else can be measured if this cannot.
        again: it failed before, for a reason that might have passed.
        trial: how it ended; None until then, and where the time was over.
        late: the time was over.
        losses: how often its node was lost.
    """

    blank: Trial
    rung: str
    measure: Callable[[Laboratory, Progressing], Trial]
    first: bool = False
    again: bool = False
    trial: Trial | None = None
    late: bool = False
    losses: int = 0

    @property
    def identity(self) -> str:
        """Its identity in the study."""
        return self.blank.id


class Flights:
    """Starts trials as lanes become free, stores each as it ends, and repeats those whose node is lost.

    The study and the listener are used by the thread that calls, never by those that measure.

    Args:
        lanes: where trials are measured.
        laboratory: how.
        study: where they are kept.
        clock: the search's time.
        tell: told what happens.
        kept_back: gives the seconds to keep back while the first trial of all runs.
    """

    def __init__(
        self,
        lanes: Lanes,
        laboratory: Laboratory,
        study: Study,
        clock: Clock,
        tell: Callable[[Any], None],
        kept_back: Callable[[], float],
    ) -> None:
        self.lanes, self.laboratory, self.study, self.clock = lanes, laboratory, study, clock
        self._tell, self._kept_back = tell, kept_back
        self._number = 0
        self._flying: dict[Flight, Lane] = {}
        self._waiting: list[Flight] = []
        self._news: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def begin(self, flight: Flight) -> None:
        """Starts a trial as soon as a lane is free for it. Without a cluster it has ended then."""
        self._free()
        self._number += 1
        self._tell(TrialStarted(self._number, flight.blank.name, max(0.0, self.clock.left())))
        self.study.begin(flight.identity, flight.blank.name)
        self._waiting.append(flight)
        self._start()

    def settle(self) -> None:
        """Waits until every trial has ended."""
        while self._flying or self._waiting:
            self._start()
            if self._flying:
                self._news.get()()

    def abandon(self) -> None:
        """Gives up what is under way. A study that cannot be written gives it up when it is opened again."""
        for flight in (*self._flying, *self._waiting):
            with suppress(StorageError):
                self.study.abandon(flight.identity)
        self._flying, self._waiting = {}, []

    def _free(self) -> None:
        while len(self._flying) + len(self._waiting) >= len(self.lanes.alive):
            self._start()
            self._news.get()()

    def _start(self) -> None:
        while self._waiting and len(self._flying) < len(self.lanes.alive):
            busy = set(map(id, self._flying.values()))
            lane = next(each for each in self.lanes.alive if id(each) not in busy)
            flight = self._waiting.pop(0)
            self._flying[flight] = lane
            if self.lanes.parallel:
                name = f"sanderling-trial-{lane.where}"
                threading.Thread(target=self._fly, args=(flight, lane), name=name, daemon=True).start()
                continue
            try:
                trial = self._measured(flight, lane, self._tell)
            except OutOfTime:
                self._late(flight)
            else:
                self._ended(flight, trial)

    def _measured(self, flight: Flight, lane: Lane, tell: Callable[[Any], None]) -> Trial:
        def progress(what: str, done: int, total: int) -> None:
            tell(Progress(what, done, total))

        laboratory = lane.laboratory(self.laboratory)
        if flight.first:  # nothing else is under way that the clock would have to be right for
            with self.clock.keeping(self._kept_back()):
                trial = flight.measure(laboratory, progress)
        else:
            trial = flight.measure(laboratory, progress)
        return replace(trial, where=lane.where, processor=lane.processor)

    def _fly(self, flight: Flight, lane: Lane) -> None:
        """Measures a trial in a thread of its own, and has the search's thread take what came of it."""
        try:
            trial = self._measured(flight, lane, lambda event: self._news.put(lambda: self._tell(event)))
        except OutOfTime:
            self._news.put(lambda: self._late(flight))
        except NodeLost as error:
            lost = error
            self._news.put(lambda: self._lost(flight, lane, lost))
        except BaseException as error:  # noqa: BLE001 - the search's thread raises it
            other = error
            self._news.put(lambda: self._failed(flight, other))
        else:
            self._news.put(lambda: self._ended(flight, trial))

    def _ended(self, flight: Flight, trial: Trial) -> None:
        if flight.again:
            trial = replace(trial, passing=False)  # it did not pass: no third time
        self.study.finish(trial)
        self._flying.pop(flight)
        flight.trial = trial
        self._tell(TrialFinished(trial))

    def _late(self, flight: Flight) -> None:
        self._flying.pop(flight)
        flight.late = True
        self.study.abandon(flight.identity)

    def _failed(self, flight: Flight, error: BaseException) -> None:
        raise error

    def _lost(self, flight: Flight, lane: Lane, error: NodeLost) -> None:
        """Has a trial whose node is lost measured elsewhere."""
        self.lanes.drop(lane)
        flight.losses += 1
        if flight.losses <= MOST_LOSSES:
            self._tell(Note(f"{error.what}; {flight.blank.name} is measured on another one", loud=True))
            self._flying.pop(flight)
            self._waiting.insert(0, flight)
            return
        why = f"{flight.losses} nodes were lost while they measured it: {error.what}"
        self._ended(flight, replace(flight.blank, status="failed", reason=why, passing=True))
