"""Which channels of a graph can only be removed together, and which cannot be removed at all.

The last axis of every computed float tensor is described by *slots*: one channel's number per position. A
convolution gives its output fresh channels; RELU, pooling and the like hand their operand's slots on; ADD makes
two channels one; concatenation joins lists of slots, flattening repeats one. Where an operator is not
understood, its channels are frozen and the reason is kept. Channels that occur in the same tensors the same
number of times form a group: any of them may go, and each costs the same.

Source: Fang et al., DepGraph: Towards Any Structural Pruning (2023), section 3, in a form of our own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sanderling.graph.graph import Graph
from sanderling.graph.types import DType

Slots = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Group:
    """Channels of which any may go.

    Attributes:
        name: name of the first tensor that holds them: the output of the operator that makes them.
        channels: their numbers, ascending.
        tensors: indices of the tensors that hold them.
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
    """What ``trace`` finds.

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
    """Walks a graph and collects what its operators say about channels (see ``channel_rules``)."""

    graph: Graph
    slots: dict[int, list[int]] = field(default_factory=dict)
    parents: list[int] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)

    def fresh(self, count: int) -> list[int]:
        """Returns: so many channels that nobody else has."""
        first = len(self.parents)
        self.parents.extend(range(first, first + count))
        return list(range(first, first + count))

    def of(self, index: int) -> list[int]:
        """Returns: the slots of a tensor. One that no rule has described is frozen."""
        if index not in self.slots:
            tensor = self.graph.tensors[index]
            self.slots[index] = self.fresh(tensor.shape[-1] if tensor.shape else 1)
            self.freeze(self.slots[index], "is no result of an operator")
        return self.slots[index]

    def put(self, index: int, slots: list[int]) -> None:
        """Says which channels a result has."""
        shape = self.graph.tensors[index].shape
        if len(slots) == (shape[-1] if shape else 1):
            self.slots[index] = slots
        else:  # a shape that is not what the operator computes: believe neither
            self.freeze(slots, "has a shape that does not fit its operator")

    def freeze(self, slots: list[int], reason: str) -> None:
        """Says that channels must stay. The first reason counts."""
        for channel in slots:
            self.reasons.setdefault(self.root(channel), reason)

    def unite(self, first: list[int], second: list[int]) -> None:
        """Says that each channel of one list can only go together with its partner in the other."""
        for a, b in zip(first, second, strict=True):
            a, b = self.root(a), self.root(b)
            if a == b:
                continue
            kept, gone = min(a, b), max(a, b)
            self.parents[gone] = kept
            reason = self.reasons.pop(gone, None)
            if reason is not None:
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
        roots = [self.root(channel) for channel in range(len(self.parents))]
        slots = {
            index: np.array([roots[c] for c in values], np.int64) for index, values in self.slots.items()
        }
        groups, frozen = self._classes(slots)
        return ChannelMap(slots, len(roots), groups, frozen)

    def _classes(self, slots: Mapping[int, Slots]) -> tuple[tuple[Group, ...], tuple[Frozen, ...]]:
        places: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for index in sorted(slots):
            for channel, times in Counter(slots[index].tolist()).items():
                places[channel].append((index, times))
        classes: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for channel in sorted(places):
            classes[self.reasons.get(channel, ""), tuple(places[channel])].append(channel)
        groups, frozen = [], []
        made = self._made()
        for (reason, where), channels in classes.items():
            assert isinstance(where, tuple)
            tensors = sorted((index for index, _ in where), key=lambda index: (made.get(index, -1), index))
            name = self.graph.tensors[tensors[0]].name
            if reason:
                frozen.append(Frozen(name, len(channels), str(reason)))
            else:
                groups.append(Group(name, tuple(channels), tuple(tensors)))
        return tuple(groups), tuple(frozen)

    def _made(self) -> dict[int, int]:
        return {index: position for position, n in enumerate(self.graph.nodes) for index in n.outputs}


def trace(graph: Graph) -> ChannelMap:
    """Finds the groups of channels of a graph whose weights are plain constants.

    Args:
        graph: a verified main graph after ``prepare.fold``.
    """
    # The rules know the tracer, so they are looked up late.
    from sanderling.compress.channel_rules import RULES

    tracer = Tracer(graph)
    for index in graph.inputs:
        tracer.freeze(tracer.of(index), "is an input of the model")
    for node in graph.nodes:
        rule = RULES.get(node.op)
        why = "is read by {}, whose channels are not understood" if rule is None else rule.trace(tracer, node)
        if why:
            _freeze_around(tracer, node.inputs, node.outputs, why.format(node.kind))
    for index in graph.outputs:
        tracer.freeze(tracer.of(index), "is an output of the model")
    return tracer.result()


def _freeze_around(tracer: Tracer, inputs: tuple[int, ...], outputs: tuple[int, ...], reason: str) -> None:
    for index in (*inputs, *outputs):
        tensor = tracer.graph.tensors[index] if index >= 0 else None
        if tensor is not None and not tensor.is_constant and tensor.dtype is DType.FLOAT32:
            tracer.freeze(tracer.of(index), reason)
