"""The calls of a hot loop, made on wgpu-native itself: ``wgpu``'s Python layers cost more than the calls.

Everything here repeats what ``device.py`` has made and validated through the library's own objects before;
the C library comes from there as well. Waiting never involves the library's poll thread: two threads that
wait for the same work hand Python's interpreter lock back and forth, at 5 ms a turn.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sanderling.graph.types import Array

SPIN_S = 100e-6  # a kernel's answer comes within it, or waking up later does not matter
_MAP_READ = 1


class NativeError(Exception):
    """The library refused a call that was right before: as a rule the device is gone."""


@dataclass(slots=True)
class Recording:
    """What a command buffer does, as the C library's own handles.

    Attributes:
        dispatches: (pipeline or None where it stays, bind group, workgroups in x, y, z).
        copies: (source, offset, target, offset, size).
        keep: the objects behind the handles.
    """

    dispatches: list[tuple[Any, Any, int, int, int]]
    copies: list[tuple[Any, int, Any, int, int]]
    keep: list[Any] = field(repr=False)


@dataclass(slots=True)
class Turn:
    """One readback buffer, the commands that fill it, and whether they have.

    Attributes:
        status: one number, 0 while the buffer is not mapped, else the library's status.
    """

    readback: Any
    recording: Recording
    commands: Any
    status: list[int]
    submission: Any = field(default=None, repr=False)
    one: Any = field(default=None, repr=False)
    callback: Any = field(default=None, repr=False)
    info: Any = field(default=None, repr=False)


class Native:
    """One device's queue.

    Args:
        ffi, lib: the C library.
        errors: ``wgpu``'s collector of errors, which are told to a callback and not to the caller.
        device: the library's device object.
        spin_s: seconds to look again and again before sleeping.
    """

    def __init__(self, ffi: Any, lib: Any, errors: Any, device: Any, *, spin_s: float = SPIN_S) -> None:
        self._ffi, self._lib, self._errors = ffi, lib, errors
        self._object, self._device, self._queue = device, device._internal, device.queue._internal
        self._null, self._spin_s = ffi.NULL, spin_s

    def record(
        self,
        dispatches: Sequence[tuple[Any, Any, tuple[int, int, int]]],
        copies: Sequence[tuple[Any, int, Any, int, int]],
    ) -> Recording:
        """Returns: what ``encode`` repeats: (pipeline, bind group, workgroups) in order, then copies."""
        found, last = [], None
        for pipeline, group, (x, y, z) in dispatches:
            found.append((None if pipeline is last else pipeline._internal, group._internal, x, y, z))
            last = pipeline
        moved = [(a._internal, at, b._internal, to, size) for a, at, b, to, size in copies]
        return Recording(found, moved, [*dispatches, *copies])

    def turn(self, readback: Any, recording: Recording) -> Turn:
        """Returns: a readback buffer with commands, not yet encoded, that end in it."""
        told = [0]  # by itself: a callback that knew its turn would be a cycle, freed late

        def mapped(status: int, _message: Any, _first: Any, _second: Any) -> None:
            told[0] = status

        made = Turn(readback, recording, None, told)
        # Not the type as text, for which the whole header would be parsed: 0.4 s.
        kind = dict(self._ffi.typeof("WGPUBufferMapCallbackInfo").fields)["callback"].type
        made.callback = self._ffi.callback(kind, mapped)
        made.info = self._ffi.new("WGPUBufferMapCallbackInfo *")
        made.info.mode = self._lib.WGPUCallbackMode_AllowProcessEvents
        made.info.callback = made.callback
        made.submission = self._ffi.new("WGPUSubmissionIndex *")
        made.one = self._ffi.new("WGPUCommandBuffer [1]")
        return made

    def encode(self, turn: Turn) -> None:
        """Encodes a turn's commands, which can be submitted once."""
        lib, null = self._lib, self._null
        self._errors.capture("encode")
        try:
            encoder = lib.wgpuDeviceCreateCommandEncoder(self._device, null)
            work = lib.wgpuCommandEncoderBeginComputePass(encoder, null)
            pipeline = lib.wgpuComputePassEncoderSetPipeline
            bind, dispatch = (
                lib.wgpuComputePassEncoderSetBindGroup,
                lib.wgpuComputePassEncoderDispatchWorkgroups,
            )
            for wanted, group, x, y, z in turn.recording.dispatches:
                if wanted is not None:
                    pipeline(work, wanted)
                bind(work, 0, group, 0, null)
                dispatch(work, x, y, z)
            lib.wgpuComputePassEncoderEnd(work)
            lib.wgpuComputePassEncoderRelease(work)
            for source, start, target, to, size in turn.recording.copies:
                lib.wgpuCommandEncoderCopyBufferToBuffer(encoder, source, start, target, to, size)
            turn.commands = lib.wgpuCommandEncoderFinish(encoder, null)
            lib.wgpuCommandEncoderRelease(encoder)
        finally:
            found = self._errors.release("encode")
        if found is not None:
            self.drop(turn)
            raise NativeError(str(found[1]))

    def start(self, turn: Turn, writes: Sequence[tuple[Any, int, Array]]) -> None:
        """Writes inputs, submits a turn's commands and asks for their result.

        Args:
            turn: an encoded one.
            writes: (buffer, offset, C-contiguous array of a multiple of 4 bytes).
        """
        lib, view = self._lib, self._ffi.from_buffer
        self._errors.capture("start")
        try:
            for buffer, offset, array in writes:
                lib.wgpuQueueWriteBuffer(self._queue, buffer, offset, view(array), array.nbytes)
            turn.one[0] = turn.commands
            turn.status[0] = 0
            turn.submission[0] = lib.wgpuQueueSubmitForIndex(self._queue, 1, turn.one)
            lib.wgpuCommandBufferRelease(turn.commands)
            turn.commands = None
            handle = turn.readback._internal
            lib.wgpuBufferMapAsync(handle, _MAP_READ, 0, turn.readback.size, turn.info[0])
        finally:
            found = self._errors.release("start")
        if found is not None:
            raise NativeError(str(found[1]))

    def finish(self, turn: Turn, size: int) -> Array:
        """Waits for a started turn. Returns: a copy of its bytes, uint8 [size]."""
        poll, device, null = self._lib.wgpuDevicePoll, self._device, self._null
        status = turn.status
        poll(device, False, null)
        if not status[0] and self._spin_s:
            until = time.perf_counter() + self._spin_s
            while not status[0] and time.perf_counter() < until:
                poll(device, False, null)
        while not status[0]:
            poll(device, True, turn.submission)
        if status[0] != self._lib.WGPUMapAsyncStatus_Success:
            raise NativeError(f"a result could not be read (status {status[0]})")
        handle = turn.readback._internal
        mapped = self._lib.wgpuBufferGetConstMappedRange(handle, 0, turn.readback.size)
        found = np.frombuffer(self._ffi.buffer(mapped, size), np.uint8).copy()
        self._lib.wgpuBufferUnmap(handle)
        return found

    def spend(self, turn: Turn) -> None:
        """Gets rid of commands that nobody asked for, by running them: wgpu-native never frees a command
        buffer that was not submitted (24 KB for 60 kernels)."""
        if turn.commands is not None:
            turn.one[0] = turn.commands
            self._lib.wgpuQueueSubmit(self._queue, 1, turn.one)
            self.drop(turn)

    def drop(self, turn: Turn) -> None:
        """Lets go of commands: those of a device that is gone, or that were submitted."""
        if turn.commands is not None:
            self._lib.wgpuCommandBufferRelease(turn.commands)
            turn.commands = None

    def tick_ns(self) -> float:
        """Returns: nanoseconds of one tick of the GPU's clock."""
        return float(self._lib.wgpuQueueGetTimestampPeriod(self._queue))
