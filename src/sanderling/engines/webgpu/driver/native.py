"""The calls of a hot loop, made on the library itself.

Everything here repeats what ``device.py`` has made and validated before. Waiting involves no thread but the
caller's: two that wait for the same work hand Python's interpreter lock back and forth, at 5 ms a turn.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sanderling.engines.webgpu.driver.gpu import (
    COPY_DST,
    COPY_SRC,
    MAP_READ,
    QUERY_RESOLVE,
    Buffer,
    Gpu,
    GpuError,
)
from sanderling.graph.types import Array

SPIN_S = 100e-6  # a kernel's answer comes within it, or waking up later does not matter


@dataclass(slots=True)
class Recording:
    """What a command buffer does, as the C library's own handles.

    Attributes:
        dispatches: (pipeline or None where it stays, bind group, workgroups in x, y, z).
        copies: (source, offset, target, offset, size).
        stamps: room for time stamps, two of each dispatch, and the buffer that they go to; None for none.
        keep: the objects behind the handles.
    """

    dispatches: list[tuple[Any, Any, int, int, int]]
    copies: list[tuple[Any, int, Any, int, int]]
    stamps: tuple[Any, Buffer] | None
    keep: list[Any] = field(repr=False)


@dataclass(slots=True)
class Turn:
    """One readback buffer, the commands that fill it, and whether they have.

    Attributes:
        status: one number, 0 while the buffer is not mapped, else the library's status.
    """

    readback: Buffer
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
        gpu: the device.
        spin_s: seconds to look again and again before sleeping.
    """

    def __init__(self, gpu: Gpu, *, spin_s: float = SPIN_S) -> None:
        self._gpu, self._library, self._spin_s = gpu, gpu.library, spin_s
        self._ffi, self._lib = gpu.library.ffi, gpu.library.lib
        self._device, self._queue, self._null = gpu.handle, gpu.queue, gpu.library.ffi.NULL

    def record(
        self,
        dispatches: Sequence[tuple[Any, Any, tuple[int, int, int]]],
        copies: Sequence[tuple[Buffer, int, Buffer, int, int]],
    ) -> Recording:
        """Returns: what ``encode`` repeats: (pipeline, bind group, workgroups) in order, then copies."""
        found, last = [], None
        for pipeline, group, (x, y, z) in dispatches:
            found.append((None if pipeline is last else pipeline, group, x, y, z))
            last = pipeline
        moved = [(a.handle, at, b.handle, to, size) for a, at, b, to, size in copies]
        return Recording(found, moved, None, [*dispatches, *copies])

    def stamped(self, dispatches: Sequence[tuple[Any, Any, tuple[int, int, int]]]) -> Turn:
        """Returns: a turn, not yet encoded, that reads a time stamp before and one behind each dispatch.

        Raises:
            GpuError: the library has no room for them.
        """
        size = 16 * len(dispatches)
        resolved = self._gpu.buffer(size, QUERY_RESOLVE | COPY_SRC)
        readback = self._gpu.buffer(size, MAP_READ | COPY_DST)
        recording = self.record(dispatches, [(resolved, 0, readback, 0, size)])
        recording.stamps = self._gpu.stamps(2 * len(dispatches)), resolved
        return self.turn(readback, recording)

    def turn(self, readback: Buffer, recording: Recording) -> Turn:
        """Returns: a readback buffer with commands, not yet encoded, that end in it."""
        told = [0]  # by itself: a callback that knew its turn would be a cycle, freed late

        def mapped(status: int, _message: Any, _first: Any, _second: Any) -> None:
            told[0] = status

        made = Turn(readback, recording, None, told)
        kind = dict(self._ffi.typeof("WGPUBufferMapCallbackInfo").fields)["callback"].type
        made.callback = self._ffi.callback(kind, mapped)
        made.info = self._ffi.new("WGPUBufferMapCallbackInfo *")
        made.info.mode = self._library.map_mode
        made.info.callback = made.callback
        made.submission = self._library.new_submission()
        made.one = self._ffi.new("WGPUCommandBuffer [1]")
        return made

    def encode(self, turn: Turn) -> None:
        """Encodes a turn's commands, which can be submitted once.

        Raises:
            GpuError: the library refuses them.
        """
        lib, null, recording = self._lib, self._null, turn.recording
        encoder = lib.wgpuDeviceCreateCommandEncoder(self._device, null)
        if recording.stamps is None:
            self._pass(encoder, null, recording.dispatches)
        else:
            self._stamp(encoder, recording)
        for source, start, target, to, size in recording.copies:
            lib.wgpuCommandEncoderCopyBufferToBuffer(encoder, source, start, target, to, size)
        turn.commands = lib.wgpuCommandEncoderFinish(encoder, null)
        lib.wgpuCommandEncoderRelease(encoder)
        refused = self._library.refusal()
        if refused:
            self.drop(turn)
            raise GpuError(refused)

    def _pass(
        self, encoder: Any, description: Any, dispatches: Sequence[tuple[Any, Any, int, int, int]]
    ) -> None:
        lib, null = self._lib, self._null
        work = lib.wgpuCommandEncoderBeginComputePass(encoder, description)
        pipeline, bind = lib.wgpuComputePassEncoderSetPipeline, lib.wgpuComputePassEncoderSetBindGroup
        dispatch = lib.wgpuComputePassEncoderDispatchWorkgroups
        for wanted, group, x, y, z in dispatches:
            if wanted is not None:
                pipeline(work, wanted)
            bind(work, 0, group, 0, null)
            dispatch(work, x, y, z)
        lib.wgpuComputePassEncoderEnd(work)
        lib.wgpuComputePassEncoderRelease(work)

    def _stamp(self, encoder: Any, recording: Recording) -> None:
        """Encodes every dispatch as a pass of its own, between two time stamps."""
        assert recording.stamps is not None
        stamps, resolved = recording.stamps
        last = None
        for number, (pipeline, *rest) in enumerate(recording.dispatches):
            last = last if pipeline is None else pipeline
            writes = self._ffi.new(
                "WGPUPassTimestampWrites *",
                {
                    "querySet": stamps, "beginningOfPassWriteIndex": 2 * number,
                    "endOfPassWriteIndex": 2 * number + 1,
                },
            )  # fmt: skip
            described = self._ffi.new("WGPUComputePassDescriptor *", {"timestampWrites": writes})
            x, y, z = rest[1:]
            self._pass(encoder, described, [(last, rest[0], x, y, z)])
        count = 2 * len(recording.dispatches)
        self._lib.wgpuCommandEncoderResolveQuerySet(encoder, stamps, 0, count, resolved.handle, 0)

    def start(self, turn: Turn, writes: Sequence[tuple[Any, int, Array]]) -> None:
        """Writes inputs, submits a turn's commands and asks for their result.

        Args:
            turn: an encoded one.
            writes: (handle of a buffer, offset, C-contiguous array of a multiple of 4 bytes).

        Raises:
            GpuError: the library refuses: as a rule the device is gone.
        """
        lib, view, readback = self._lib, self._ffi.from_buffer, turn.readback
        for buffer, offset, array in writes:
            lib.wgpuQueueWriteBuffer(self._queue, buffer, offset, view(array), array.nbytes)
        turn.one[0] = turn.commands
        turn.status[0] = 0
        self._library.submit(self._queue, turn.one, turn.submission)
        lib.wgpuCommandBufferRelease(turn.commands)
        turn.commands = None
        asked = lib.wgpuBufferMapAsync(readback.handle, _MAP_READ, 0, readback.size, turn.info[0])
        self._library.mapped(turn.submission, asked)
        refused = self._library.refusal()
        if refused:
            raise GpuError(refused)

    def finish(self, turn: Turn, size: int) -> Array:
        """Waits for a started turn. Returns: a copy of its bytes, uint8 [size].

        Raises:
            GpuError: the result cannot be read: as a rule the device is gone.
        """
        poll, device, submission = self._library.poll, self._device, turn.submission
        status = turn.status
        poll(device, submission, wait=False)
        if not status[0] and self._spin_s:
            until = time.perf_counter() + self._spin_s
            while not status[0] and time.perf_counter() < until:
                poll(device, submission, wait=False)
        while not status[0]:
            poll(device, submission, wait=True)
        if status[0] != self._lib.WGPUMapAsyncStatus_Success:
            raise GpuError(f"a result could not be read (status {status[0]})")
        readback = turn.readback
        mapped = self._lib.wgpuBufferGetConstMappedRange(readback.handle, 0, readback.size)
        found = np.frombuffer(self._ffi.buffer(mapped, size), np.uint8).copy()
        self._lib.wgpuBufferUnmap(readback.handle)
        return found

    def spend(self, turn: Turn) -> None:
        """Gets rid of commands that nobody asked for; where the library never frees them, by running them."""
        if turn.commands is not None:
            if self._library.keeps_commands:
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
        return self._library.tick_ns(self._queue)


_MAP_READ = 1  # WGPUMapMode
