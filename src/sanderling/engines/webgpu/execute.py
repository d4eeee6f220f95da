"""Runs a program: buffers, pipelines and bind groups are made once, a call only writes, submits and reads.

Command buffers can be used once, but be encoded ahead of their input: a ring of them, each with the copy of
the results into a buffer of its own, is refilled while the GPU works.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from sanderling.engines.webgpu.compiler.memory import ALIGNMENT, aligned
from sanderling.engines.webgpu.compiler.program import Port, Program
from sanderling.engines.webgpu.compiler.validate import validate
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.driver.gpu import Buffer
from sanderling.engines.webgpu.driver.native import Turn
from sanderling.errors import DeviceLimit, InputMismatch, RunError
from sanderling.graph.types import Array

RING = 2


class Executor:
    """A program on a device. Calls from several threads take their turns."""

    def __init__(self, program: Program, device: Device) -> None:
        """Prepares everything that a call needs.

        Raises:
            CompileError: the program breaks a rule, or the device refuses a kernel of it.
            DeviceLimit: the program asks for more than the device offers.
        """
        validate(program)
        _fits(program, device)
        self.program, self.device = program, device
        self._lock = threading.Lock()
        self._buffers = [device.buffer(max(size, 4)) for size in program.buffers]
        self._write_constants()
        self._dispatches = self._prepare()
        self._copies, self._result_bytes = _copies(program)
        self._inputs = [_Input(self._buffers[port.slot.buffer], port) for port in program.inputs]
        self._ring: deque[Turn] = deque()
        for _ in range(RING if device.ahead else 1):
            self._ring.append(self._turn())
        self._closed = False

    def kernels(self) -> list[tuple[Any, Any, tuple[int, int, int]]]:
        """Returns: (pipeline, bind group, workgroups) of every dispatch of the program, for ``Clock``."""
        return list(self._dispatches)

    def _turn(self) -> Turn:
        readback = self.device.buffer(max(self._result_bytes, 4), readback=True)
        copies = [(self._buffers[b], start, readback, to, size) for b, start, to, size in self._copies]
        return self.device.turn(self._dispatches, copies, readback)

    def _renewed(self, turn: Turn) -> Turn:
        """Returns: a turn in the place of one that was left in the middle (an interrupt, a lost device)."""
        if self.device.lost:
            return turn
        self.device.drop([turn])
        turn.readback.destroy()
        return self._turn()

    def _write_constants(self) -> None:
        start, program = 0, self.program
        for buffer, size in zip(
            self._buffers[program.arenas :], program.buffers[program.arenas :], strict=True
        ):
            self.device.write(buffer, 0, program.weights[start : start + size])
            start += size

    def _prepare(self) -> list[tuple[Any, Any, tuple[int, int, int]]]:
        program, device = self.program, self.device
        starts, total = [], 0
        for dispatch in program.dispatches:
            starts.append(total)
            total += aligned(4 * len(dispatch.uniforms))
        words = np.zeros(max(total, ALIGNMENT) // 4, np.uint32)
        for start, dispatch in zip(starts, program.dispatches, strict=True):
            words[start // 4 : start // 4 + len(dispatch.uniforms)] = dispatch.uniforms
        uniforms = device.buffer(words.nbytes, uniform=True)
        device.write(uniforms, 0, words)
        device.pipelines.soon(program.kernels())
        ready = []
        for start, dispatch in zip(starts, program.dispatches, strict=True):
            bindings = tuple(slot.binding for slot in dispatch.slots)
            pipeline = device.pipeline(program.shaders[dispatch.shader], bindings, where=dispatch.label)
            ranges = [(uniforms, start, 4 * len(dispatch.uniforms))]
            ranges += [(self._buffers[s.buffer], s.offset, s.size) for s in dispatch.slots]
            ready.append((pipeline, device.bind_group(bindings, ranges), dispatch.groups))
        return ready

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs the program once.

        Args:
            inputs: one array per input port, of its dtype and shape.

        Returns: fresh arrays, one per output port.

        Raises:
            InputMismatch: an array does not fit its port.
            DeviceLost: the GPU went away.
        """
        self._check_open()
        ports = self.program.inputs
        if len(inputs) != len(ports):
            raise InputMismatch(f"got {len(inputs)} inputs, expected {len(ports)}")
        writes = [one.write(array) for one, array in zip(self._inputs, inputs, strict=True)]
        with self._lock:
            self._check_open()
            turn = self._ring.popleft()
            device = self.device
            try:
                if turn.commands is None:
                    device.encode(turn)
                device.start(turn, writes)
                if device.ahead and self._ring[0].commands is None:
                    device.encode(self._ring[0])  # for the next call, while the GPU works on this one
                raw = device.finish(turn, self._result_bytes)
            except BaseException:
                turn = self._renewed(turn)
                raise
            finally:
                self._ring.append(turn)
        return self._results(raw)

    def crossing(self, inputs: Sequence[Array], *, read: bool) -> None:
        """Writes inputs (or none), reads outputs (or next to nothing), and runs no kernel, to be timed."""
        device = self.device
        writes = [one.write(array) for one, array in zip(self._inputs, inputs, strict=False)]
        size = max(self._result_bytes, 4) if read else 4
        readback = device.buffer(size, readback=True)
        copies = [(self._buffers[b], start, readback, to, n) for b, start, to, n in self._copies]
        turn = device.turn([], copies if read else [(self._buffers[0], 0, readback, 0, 4)], readback)
        device.encode(turn)
        with self._lock:
            device.start(turn, writes)
            device.finish(turn, size)
        device.drop([turn])
        readback.destroy()

    def _check_open(self) -> None:
        if self._closed:
            raise RunError("the GPU program is closed", hint="make a new Session")

    def _results(self, raw: Array) -> list[Array]:
        results = []
        for port, (_, _, at, _) in zip(self.program.outputs, self._copies, strict=True):
            size = prod(port.shape) * port.numpy.itemsize
            results.append(raw[at : at + size].view(port.numpy).reshape(port.shape))
        return results

    def close(self) -> None:
        """Frees the memory on the device."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.device.drop(self._ring)
                for buffer in (*self._buffers, *(turn.readback for turn in self._ring)):
                    buffer.destroy()
                for held in (self._ring, self._dispatches, self._buffers, self._inputs):
                    held.clear()


class _Input:
    """Where an input goes, and how its array becomes bytes."""

    def __init__(self, buffer: Buffer, port: Port) -> None:
        self._buffer, self._port = buffer, port
        self._handle, self._offset = buffer.handle, port.slot.offset
        self._dtype, self._shape = port.numpy, port.shape
        self._odd = prod(port.shape) * self._dtype.itemsize % 4

    def write(self, array: Array) -> tuple[Any, int, Array]:
        """Returns: where it goes, and the array, contiguous, its bytes padded to a multiple of 4."""
        if array.dtype != self._dtype or array.shape != self._shape:
            raise InputMismatch(
                f"input {self._port.name} is {array.dtype}{list(array.shape)}, expected "
                f"{self._dtype}{list(self._shape)}"
            )
        array = np.ascontiguousarray(array)
        if self._odd:
            array = np.pad(array.reshape(-1).view(np.uint8), (0, 4 - self._odd))
        return self._handle, self._offset, array


def _copies(program: Program) -> tuple[list[tuple[int, int, int, int]], int]:
    """Returns: (buffer, offset, offset in the readback buffer, size) per output, and the latter's size."""
    found, total = [], 0
    for port in program.outputs:
        found.append((port.slot.buffer, port.slot.offset, total, port.slot.size))
        total += -(-port.slot.size // 16) * 16
    return found, total


def _fits(program: Program, device: Device) -> None:
    """Checks the features and limits that the program asks for."""
    for name in program.features:
        if name not in device.adapter.features:
            raise DeviceLimit(
                f"the program needs the feature {name}, which {device.adapter.name} does not have",
                hint="compile it on this device, or run it on the CPU",
            )
    for name, needed in program.requires.items():
        offered = device.adapter.limits.get(name, 0)
        if needed > offered:
            raise DeviceLimit(
                f"the program needs {name} {needed}, {device.adapter.name} offers {offered}",
                hint="compile it on this device, or run it on the CPU",
            )
