"""Where trials are measured: one lane is one machine that measures one trial at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sanderling.devices.device import Device, Facts
from sanderling.devices.local import LOCAL
from sanderling.errors import ConnectionLost, DeviceError, NodeLost, RunError
from sanderling.search.bench import Bench
from sanderling.search.clock import Clock
from sanderling.search.events import Listener, Note
from sanderling.search.laboratory import Laboratory
from sanderling.search.workshop import Workshop

T = TypeVar("T")
# Seconds until the nodes of a cluster must have made room; those that are busy longer are left out.
SETTLE_SECONDS = 60.0


@dataclass(eq=False, slots=True)
class Lane:
    """A machine that measures one trial at a time.

    Attributes:
        bench, workshop: run and make candidates there.
        device: the machine.
        where, processor: what its trials are told to come from; "" where there is but one machine.
    """

    bench: Bench
    workshop: Workshop
    device: Device = LOCAL
    where: str = ""
    processor: str = ""
    _laboratory: Laboratory | None = None

    def laboratory(self, home: Laboratory) -> Laboratory:
        """Returns: a laboratory that measures here as ``home``, always the same, would."""
        if home.bench is self.bench:
            return home
        if self._laboratory is None:
            self._laboratory = home.moved(self.bench, self.workshop)
        return self._laboratory


class Lanes:
    """All lanes of a search.

    Args:
        lanes: one, or those of a cluster.
        name: what they are together, as people write it.
        facts: what they have in common.
        device: stands for all.
        parallel: trials run at the same time, one on each.
    """

    def __init__(
        self, lanes: Sequence[Lane], name: str, facts: Facts, device: Device, *, parallel: bool = False
    ) -> None:
        self.alive = list(lanes)
        self.name, self.facts, self.device, self.parallel = name, facts, device, parallel

    @classmethod
    def single(cls, lane: Lane) -> Lanes:
        """Returns: the only lane of a search without a cluster."""
        return cls([lane], lane.device.name, lane.device.facts(), lane.device)

    def drop(self, lane: Lane) -> None:
        """Forgets a lane whose node is gone.

        Raises:
            ConnectionLost: it was the last one.
        """
        if lane in self.alive:
            self.alive.remove(lane)
        if not self.alive:
            raise ConnectionLost("all nodes of the cluster are lost")

    def run(self, work: Callable[[Lane], T]) -> T:
        """Does something on one lane, while nothing else is measured; on another one if its node is lost.

        Raises:
            ConnectionLost: all nodes are lost.
        """
        while True:
            lane = self.alive[0]
            try:
                return work(lane)
            except NodeLost:
                self.drop(lane)


@contextmanager
def gathered(address: str, clock: Clock, home: Workshop, listen: Listener) -> Iterator[Lanes]:
    """Joins a Ray cluster and takes its nodes, each as a whole, until the block ends.

    Raises:
        MissingExtra, UsageError, RunError: it cannot be joined.
        DeviceError: none of its nodes can be used.
    """
    from sanderling.cluster.joining import joined
    from sanderling.devices.node import NodeDevice

    with joined(address, "optimize --cluster") as cluster:
        places = cluster.nodes
        seconds = clock.bound(SETTLE_SECONDS)
        residents, busy = cluster.settle_in(places, "sanderling.devices.relay:Relay", seconds)
        for node in busy:
            listen(Note(f"the node {node.name} is left out: it was busy for {seconds:.0f} s", loud=True))
        lanes: list[Lane] = []
        wrong: list[DeviceError] = []
        try:
            for resident in residents:
                try:
                    device = NodeDevice(resident)
                except DeviceError as error:
                    wrong.append(error)
                    listen(Note(f"the node {resident.node.name} is left out: {error.what}", loud=True))
                    resident.end()
                    continue
                except NodeLost:
                    continue
                lanes.append(_lane(device, clock, home, listen))
            if not lanes:
                raise wrong[0] if wrong else _none(address, len(places))
            yield Lanes(lanes, f"the cluster {address}", together(lanes), lanes[0].device, parallel=True)
        finally:
            for resident in residents:
                resident.end()


def _lane(device: Device, clock: Clock, home: Workshop, listen: Listener) -> Lane:
    bench = Bench(clock, device, listen)
    workshop = home.moved(device.worker("compressor"))
    return Lane(bench, workshop, device, device.name, device.facts().cpu)


def together(lanes: Sequence[Lane]) -> Facts:
    """Returns: what the nodes of a cluster have in common; of processors, all that there are."""
    each = [lane.device.facts() for lane in lanes]
    first = each[0]
    notes = dict.fromkeys(
        f"{lane.where}: {note}" for lane, f in zip(lanes, each, strict=True) for note in f.notes
    )
    return Facts(
        cpu=" | ".join(dict.fromkeys(facts.cpu for facts in each)),
        architecture=" | ".join(dict.fromkeys(facts.architecture for facts in each)),
        system=" | ".join(dict.fromkeys(facts.system for facts in each)),
        cores=min(facts.cores for facts in each),
        python=first.python,
        versions=first.versions,
        notes=tuple(notes),
    )


def _none(address: str, count: int) -> RunError:
    what = f"none of its {count} nodes became free" if count else "it has no node with a processor to use"
    return DeviceError(
        f"nothing can be measured there: {what}",
        where=f"--cluster {address}",
        hint="see ray status; a node is taken as a whole",
    )
