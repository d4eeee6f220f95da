"""Proves that a program keeps the rules of WebGPU and of its own memory, before anything of it is submitted.

An invalid submission ends the process under wgpu-native, and overlapping ranges give wrong numbers silently.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from sanderling.engines.webgpu.compiler.memory import ALIGNMENT
from sanderling.engines.webgpu.compiler.plan import UNIFORM_BYTES
from sanderling.engines.webgpu.compiler.program import Dispatch, Port, Program, Slot
from sanderling.errors import CompileError

MOST_GROUPS = 65535


def validate(program: Program) -> None:
    """Checks a program.

    Ranges lie in their buffers and are aligned; a dispatch never writes what it also reads; and walking
    through the dispatches, every byte that is read still belongs to the value it is read as.

    Raises:
        CompileError: a rule is broken; names the dispatch.
    """
    constants = sum(program.buffers[program.arenas :])
    if constants != program.weights.size:
        raise CompileError(f"it has {program.weights.size} bytes of constants, its buffers hold {constants}")
    owners = [_Owners() for _ in program.buffers]
    for port in program.inputs:
        _check_port(program, port)
        owners[port.slot.buffer].write(port.slot, whole=True, where=port.name)
    for number, dispatch in enumerate(program.dispatches):
        where = f"dispatch {number} ({dispatch.label})"
        _check_dispatch(program, dispatch, where)
        for slot in dispatch.slots:
            if not slot.writes and not slot.constant:
                owners[slot.buffer].read(slot, where)
        for slot in dispatch.slots:
            if slot.writes:
                owners[slot.buffer].write(slot, whole=not dispatch.partial, where=where)
    for port in program.outputs:
        _check_port(program, port)
        owners[port.slot.buffer].read(port.slot, port.name)


def _check_port(program: Program, port: Port) -> None:
    needed = prod(port.shape) * port.numpy.itemsize
    if needed > port.slot.size or min(port.shape, default=1) < 0:
        raise CompileError(f"{port.name} takes {needed} bytes, its place has {port.slot.size}")
    _check_slot(program, port.slot, port.name)
    if port.slot.buffer >= program.arenas:
        raise CompileError(f"{port.name} lies among the constants")


def _check_slot(program: Program, slot: Slot, where: str) -> None:
    if not 0 <= slot.buffer < len(program.buffers):
        raise CompileError(f"there is no buffer {slot.buffer}", where=where)
    if slot.offset % ALIGNMENT or slot.offset < 0 or slot.size < 4 or slot.size % 4:
        raise CompileError(f"the range {slot.offset} + {slot.size} is not aligned", where=where)
    if slot.offset + slot.size > program.buffers[slot.buffer]:
        raise CompileError(f"the range {slot.offset} + {slot.size} leaves its buffer", where=where)
    if slot.constant != (slot.buffer >= program.arenas) or (slot.writes and slot.constant):
        raise CompileError("it takes constants for an arena, or writes them", where=where)
    if slot.uniform and (not slot.constant or slot.size != UNIFORM_BYTES):
        raise CompileError("a uniform binding has a wrong size, or is no constant", where=where)


def _check_dispatch(program: Program, dispatch: Dispatch, where: str) -> None:
    if not 0 <= dispatch.shader < len(program.shaders):
        raise CompileError(f"there is no shader {dispatch.shader}", where=where)
    if not all(1 <= count <= MOST_GROUPS for count in dispatch.groups):
        raise CompileError(f"{dispatch.groups} workgroups, expected 1 to {MOST_GROUPS}", where=where)
    if sum(slot.writes for slot in dispatch.slots) != 1:
        raise CompileError("it does not write exactly one value", where=where)
    for slot in dispatch.slots:
        _check_slot(program, slot, where)
    moving = [slot for slot in dispatch.slots if not slot.constant]
    for i, a in enumerate(moving):
        for b in moving[i + 1 :]:
            if a.buffer == b.buffer and a.offset < b.offset + b.size and b.offset < a.offset + a.size:
                raise CompileError("two of its bindings overlap", where=where)


@dataclass(slots=True)
class _Owners:
    """Which value each byte of a buffer holds: disjoint (start, end, value), sorted."""

    parts: list[tuple[int, int, int]] = field(default_factory=list)

    def write(self, slot: Slot, *, whole: bool, where: str) -> None:
        if not whole and (slot.offset, slot.offset + slot.size, slot.value) in self.parts:
            return  # another part of a value that is there already
        start, end = slot.offset, slot.offset + slot.size
        kept = []
        for a, b, value in self.parts:
            if b <= start or end <= a:
                kept.append((a, b, value))
                continue
            if a < start:
                kept.append((a, start, value))
            if end < b:
                kept.append((end, b, value))
        self.parts = sorted([*kept, (start, end, slot.value)])

    def read(self, slot: Slot, where: str) -> None:
        if (slot.offset, slot.offset + slot.size, slot.value) not in self.parts:
            raise CompileError(
                f"value {slot.value} is read where it is not, or no longer: at {slot.offset} of buffer "
                f"{slot.buffer}",
                where=where,
            )
