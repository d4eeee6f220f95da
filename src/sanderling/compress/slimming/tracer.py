"""Which channels of a graph can only be removed together: the book-keeping behind ``channels``.

The last axis of every computed tensor is described by *slots*: one channel's number per position. A
convolution gives its output fresh channels; RELU, pooling and the like hand their operand's slots on; ADD
makes two channels one; concatenation joins lists of slots, flattening repeats one. Where an operator is not
understood its channels are frozen and the reason is kept. Channels that occur in the same tensors the same
number of times form a group: any of them may go, and each saves the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sanderling.graph.graph import Graph

Slots = npt.NDArray[np.int64]
_Place = tuple[tuple[int, int], ...]  # (tensor, how often) for every tensor that holds a channel


@dataclass(frozen=True, slots=True)
class Group:
    """Channels of which any may go.

    Attributes:
        name: name of the first tensor that holds them: the output of the operator that makes them; followed
            by ``#2`` and so on where it holds several groups.
        channels: their numbers, ascending.
        tensors: indices of the tensors that hold them, in the order in which they are computed.
    """

    name: str
    channels: tuple[int, ...]
    tensors: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.channels)


@dataclass(frozen=True, slots=True)
class Frozen:
    """Channels that must stay.

    Attributes:
        name: name of the first tensor that holds them.
        count: how many.
        reason: why, one clause.
    """

    name: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """What ``channels.trace`` finds.

    Attributes:
        slots: tensor index → the channel at each position of its last axis.
        count: number of channels; they are numbered from zero.
        groups: channels that may go, in the order in which the graph makes them.
        frozen: channels that stay, in the same order.
    """

    slots: Mapping[int, Slots]
    count: int
    groups: tuple[Group, ...]
    frozen: tuple[Frozen, ...]


@dataclass(slots=True)
class Tracer:
    """Collects what a graph's operators say about channels."""

    graph: Graph
    slots: dict[int, list[int]] = field(default_factory=dict)
    parents: list[int] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)

    def fresh(self, count: int) -> list[int]:
        """Returns: so many channels that no tensor holds yet."""
        first = len(self.parents)
        self.parents.extend(range(first, first + count))
        return list(range(first, first + count))

    def of(self, index: int, otherwise: str = "is not computed by the graph") -> list[int]:
        """Returns: the slots of a tensor. One that no rule has described is frozen, for the reason given."""
        if index not in self.slots:
            self.slots[index] = self.fresh(self._width(index))
            self.freeze(self.slots[index], otherwise)
        return self.slots[index]

    def put(self, index: int, slots: list[int]) -> str:
        """Says which channels a result has.

        Returns: "", or why that cannot be: the declared shape is another one.
        """
        if len(slots) != self._width(index):
            return "goes into {}, whose declared result has another number of channels"
        self.slots[index] = slots
        return ""

    def freeze(self, slots: list[int], reason: str) -> None:
        """Says that channels must stay. The first reason counts."""
        for channel in slots:
            self.reasons.setdefault(self.root(channel), reason)

    def unite(self, first: list[int], second: list[int]) -> None:
        """Says that each channel of one list can only go together with its partner in the other."""
        for left, right in zip(first, second, strict=True):
            kept, gone = sorted((self.root(left), self.root(right)))
            if kept == gone:
                continue
            self.parents[gone] = kept
            reason = self.reasons.pop(gone, "")
            if reason:
                self.reasons.setdefault(kept, reason)

    def root(self, channel: int) -> int:
        """Returns: the channel that stands for all that this one was united with."""
        parents = self.parents
        while parents[channel] != channel:
            parents[channel] = parents[parents[channel]]
            channel = parents[channel]
        return channel

    def result(self) -> ChannelMap:
        """Returns: groups and frozen channels, from all that was said."""
        roots = np.array([self.root(channel) for channel in range(len(self.parents))], np.int64)
        slots = {index: roots[np.array(values, np.int64)] for index, values in self.slots.items()}
        groups: list[Group] = []
        frozen: list[Frozen] = []
        made = {index: position for position, n in enumerate(self.graph.nodes) for index in n.outputs}
        last = len(self.graph.nodes)  # what an operator keeps between calls has a name of its own
        names: Counter[str] = Counter()
        for (reason, where), channels in self._classes(slots).items():
            tensors = sorted((index for index, _ in where), key=lambda index: (made.get(index, last), index))
            name = self.graph.tensors[tensors[0]].name
            if reason:
                frozen.append(Frozen(name, len(channels), reason))
                continue
            names[name] += 1
            name = name if names[name] == 1 else f"{name}#{names[name]}"
            groups.append(Group(name, tuple(channels), tuple(tensors)))
        return ChannelMap(slots, len(roots), tuple(groups), tuple(frozen))

    def _classes(self, slots: Mapping[int, Slots]) -> dict[tuple[str, _Place], list[int]]:
        places: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for index in sorted(slots):
            for channel, times in Counter(slots[index].tolist()).items():
                places[channel].append((index, times))
        classes: dict[tuple[str, _Place], list[int]] = defaultdict(list)
        for channel in sorted(places):
            classes[self.reasons.get(channel, ""), tuple(places[channel])].append(channel)
        return classes

    def _width(self, index: int) -> int:
        shape = self.graph.tensors[index].shape
        return shape[-1] if shape else 1
