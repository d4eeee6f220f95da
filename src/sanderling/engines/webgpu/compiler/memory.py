"""Plan → Layout: where every value lies. Computed values share arenas, constants lie in one read-only buffer.

Every value has a static range whose start is a multiple of 256 bytes (WebGPU's binding alignment); values
whose lives overlap never share a byte. ``validate`` proves that anew, not knowing how ranges were chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sanderling.engines.webgpu.compiler.plan import UNIFORM_BYTES, Plan
from sanderling.errors import DeviceLimit

ALIGNMENT = 256


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a buffer, in bytes."""

    buffer: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Life:
    """From the call that first writes a value to the last that reads it, both included; −1 is before the
    first call, ``len(calls)`` after the last."""

    first: int
    last: int

    def overlaps(self, other: Life) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Layout:
    """Where values lie.

    Attributes:
        ranges: value → range, for every value that is used.
        buffers: size in bytes of every buffer; the first ``arenas`` of them are arenas, the rest constants.
        arenas: number of arenas.
    """

    ranges: dict[int, Range]
    buffers: tuple[int, ...]
    arenas: int


def lives(plan: Plan) -> dict[int, Life]:
    """Returns: the life of every computed value that is used."""
    first: dict[int, int] = {binding.value: -1 for binding in plan.inputs}
    last = dict(first)
    for position, call in enumerate(plan.calls):
        first.setdefault(call.write.value, position)
        last[call.write.value] = position
        for view in call.views():
            if plan.values[view.value].constant is None:
                last[view.value] = position
    last |= {binding.value: len(plan.calls) for binding in plan.outputs}
    return {value: Life(first[value], last[value]) for value in first}


def largest_live_bytes(plan: Plan) -> int:
    """Returns: bytes of all values that live at once, at the worst moment: no arena can be smaller."""
    alive = lives(plan)
    moments = range(-1, len(plan.calls) + 1)
    sizes = {value: aligned(plan.values[value].size_bytes) for value in alive}
    return max(sum(sizes[v] for v, life in alive.items() if life.first <= t <= life.last) for t in moments)


def aligned(size: int) -> int:
    """Returns: ``size`` rounded up to a multiple of the binding alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def place(plan: Plan, *, max_binding: int, max_buffer: int) -> Layout:
    """Chooses a range for every value.

    Args:
        plan: what to place.
        max_binding: bytes that one value may take.
        max_buffer: bytes that one buffer may take; arenas are split there.

    Raises:
        DeviceLimit: a value is larger than what the device can bind.
    """
    alive = lives(plan)
    used = {view.value for call in plan.calls for view in call.views()}
    for index in (*alive, *used):
        value = plan.values[index]
        if value.size_bytes > min(max_binding, max_buffer):
            raise DeviceLimit(
                f"{value.name or 'a tensor'} takes {value.size_bytes} bytes, the device binds at most "
                f"{min(max_binding, max_buffer)}",
                hint="run it on the CPU: engine='litert'",
            )
    sizes = {value: plan.values[value].size_bytes for value in alive}
    ranges, arenas = _best(alive, sizes, max_buffer)
    constants = [v for v in sorted(used) if plan.values[v].constant is not None]
    stored, extra = _row(constants, plan, len(arenas), max_buffer)
    return Layout(ranges | stored, (*arenas, *extra), len(arenas))


def _best(alive: dict[int, Life], sizes: dict[int, int], limit: int) -> tuple[dict[int, Range], list[int]]:
    """Tries several orders and keeps the one with the smallest arenas."""
    orders: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda v: (-sizes[v], alive[v].first),
        lambda v: (-sizes[v] * (alive[v].last - alive[v].first + 1), alive[v].first),
        lambda v: (alive[v].first - alive[v].last, -sizes[v]),
        lambda v: (alive[v].first, -sizes[v]),
        lambda v: (-alive[v].last, -sizes[v]),
    )
    plans = [_packed(sorted(alive, key=order), alive, sizes, limit) for order in orders]
    return min(plans, key=lambda found: sum(found[1]))


def _packed(
    order: Iterable[int], alive: dict[int, Life], sizes: dict[int, int], limit: int
) -> tuple[dict[int, Range], list[int]]:
    """Puts each value into the smallest gap that those already placed leave while it lives."""
    ranges: dict[int, Range] = {}
    arenas: list[int] = []
    for value in order:
        size = aligned(sizes[value])
        buffer, offset = 0, 0
        while True:
            taken = sorted(
                (r.offset, aligned(r.end))
                for other, r in ranges.items()
                if r.buffer == buffer and alive[other].overlaps(alive[value])
            )
            offset = _gap(taken, size)
            if offset + size <= limit or offset == 0:
                break
            buffer += 1
        if buffer == len(arenas):
            arenas.append(0)
        arenas[buffer] = max(arenas[buffer], offset + size)
        ranges[value] = Range(buffer, offset, sizes[value])
    return ranges, arenas


def _gap(taken: list[tuple[int, int]], size: int) -> int:
    """Returns: where the smallest gap that ``size`` fits into begins, else the end of what is taken."""
    best, found, end = None, 0, 0
    for start, stop in taken:
        gap = start - end
        if gap >= size and (best is None or gap < best):
            best, found = gap, end
        end = max(end, stop)
    return found if best is not None else end


def _row(values: list[int], plan: Plan, first: int, limit: int) -> tuple[dict[int, Range], list[int]]:
    """Puts constants one after the other."""
    ranges: dict[int, Range] = {}
    buffers: list[int] = []
    ends: list[int] = []
    for value in values:
        uniform, size = plan.values[value].uniform, plan.values[value].size_bytes
        if not buffers or aligned(ends[-1]) + max(size, UNIFORM_BYTES * uniform) > limit:
            buffers.append(0)
            ends.append(0)
        offset = aligned(ends[-1])
        ends[-1] = offset + size
        if uniform:  # all of the binding must lie in the buffer; what follows there may lie in it, too
            size = UNIFORM_BYTES
        ranges[value] = Range(first + len(buffers) - 1, offset, size)
        buffers[-1] = max(buffers[-1], offset + size)
    return ranges, [aligned(size) for size in buffers]
