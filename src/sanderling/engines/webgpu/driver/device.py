"""A device of the process: what the executor needs of a GPU, whichever WebGPU library stands behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.engines.webgpu.driver.adapters import Adapter, choose
from sanderling.engines.webgpu.driver.gpu import (
    COPY_DST,
    COPY_SRC,
    MAP_READ,
    STORAGE,
    UNIFORM,
    Buffer,
    GpuError,
)
from sanderling.engines.webgpu.driver.native import SPIN_S, Native, Turn
from sanderling.engines.webgpu.driver.pipelines import Pipelines
from sanderling.errors import DeviceLost, RunError
from sanderling.graph.types import Array

_COPIED = 4 * 2**20  # bytes that are moved to measure what moving costs
_lock = threading.RLock()
_devices: dict[tuple[str, int], Device] = {}


def open_device(wanted: str | int | None = None, library: str | None = None) -> Device:
    """Returns: the process's device on the chosen adapter; sessions share it, and its compiled kernels.

    Raises:
        ImportError: the WebGPU library is not installed.
        RunError: the adapter gives no device.
        UsageError: there is no such adapter or library.
    """
    with _lock:
        adapter = choose(wanted, library)
        key = (adapter.identity, adapter.number)
        device = _devices.get(key)
        if device is None or device.lost:
            device = _devices[key] = Device(adapter)
        return device


class Device:
    """A logical device with its queue and compiled kernels. Safe to use from several threads.

    Attributes:
        adapter: what it runs on.
        lost: it went away; whatever was made on it is gone.
        pipelines: its compiled kernels.
        ahead: commands are encoded while the GPU works on the call before. Not on software adapters, where
            both compete for the processor and the last of them would run for nothing (see ``Native.spend``).
    """

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.lost = False
        self.ahead = not adapter.software
        limits = {name: value for name, value in adapter.limits.items() if name in _LIMITS}
        try:
            self._gpu = adapter.library.open(adapter.raw, adapter.features, limits)
        except GpuError as error:
            raise RunError(f"the GPU cannot be used: {error}", where=adapter.name) from None
        self.pipelines = Pipelines(self._gpu)
        self._copy_cost: tuple[float, float] | None = None
        spin = 0.0 if adapter.software else SPIN_S  # a software adapter needs the processor itself
        self._native = Native(self._gpu, spin_s=spin)
        self.tick_ns = self._native.tick_ns()  # of the GPU's clock, see ``clock.py``

    def buffer(self, size: int, *, uniform: bool = False, readback: bool = False) -> Buffer:
        """Returns: a new buffer of ``size`` bytes: for storage, for uniforms, or for reading results."""
        usage = MAP_READ | COPY_DST if readback else COPY_SRC | COPY_DST
        if not readback:
            usage |= UNIFORM if uniform else STORAGE | UNIFORM
        made: Buffer = self._call(self._gpu.buffer, size, usage)
        return made

    def write(self, buffer: Buffer, offset: int, data: Array) -> None:
        """Queues a write of a C-contiguous array whose bytes are a multiple of 4.

        Raises:
            DeviceLost: the device is gone.
        """
        self._check()
        try:
            self._gpu.write(buffer, offset, data)
        except GpuError as error:
            raise self._gone(error) from None

    def pipeline(self, text: str, bindings: tuple[str, ...], *, where: str = "") -> Any:
        """Returns: a compiled kernel, see ``Pipelines.get``.

        Raises:
            KernelError: the compiler refuses it; the message has its line.
        """
        return self.pipelines.get(text, bindings, where)

    def bind_group(self, bindings: tuple[str, ...], ranges: Sequence[tuple[Buffer, int, int]]) -> Any:
        """Returns: a bind group of (buffer, offset, size) for binding 0, 1, …"""
        return self._call(self._gpu.group, self.pipelines.layout(bindings), ranges)

    def turn(
        self,
        dispatches: Sequence[tuple[Any, Any, tuple[int, int, int]]],
        copies: Sequence[tuple[Buffer, int, Buffer, int, int]],
        readback: Buffer,
    ) -> Turn:
        """Returns: commands to encode for every start.

        Args:
            dispatches: (pipeline, bind group, workgroups) in order.
            copies: (source, offset, target, offset, size), done behind them.
            readback: the buffer that the last copies fill.
        """
        return self._native.turn(readback, self._native.record(dispatches, copies))

    def encode(self, turn: Turn) -> None:
        """Encodes a turn's commands for its next start.

        Raises:
            DeviceLost: the device is gone.
        """
        self._check()
        try:
            self._native.encode(turn)
        except GpuError as error:
            raise self._gone(error) from None

    def start(self, turn: Turn, writes: Sequence[tuple[Any, int, Array]]) -> None:
        """Writes inputs, (buffer, offset, C-contiguous array of a multiple of 4 bytes), and starts a turn.

        Raises:
            DeviceLost: the device is gone.
        """
        self._check()
        try:
            self._native.start(turn, writes)
        except GpuError as error:
            raise self._gone(error) from None

    def finish(self, turn: Turn, size: int) -> Array:
        """Waits for a turn that was started. Returns: a copy of its first bytes, uint8 [size].

        Raises:
            DeviceLost: the device went away meanwhile.
        """
        try:
            return self._native.finish(turn, size)
        except GpuError as error:
            raise self._gone(error) from None

    def drop(self, turns: Sequence[Turn]) -> None:
        """Frees turns that will not be started."""
        for turn in turns:
            if self.lost:
                self._native.drop(turn)
            else:
                self._native.spend(turn)

    def stamps(self, dispatches: Sequence[tuple[Any, Any, tuple[int, int, int]]]) -> Array:
        """Runs kernels one by one. Returns: ticks of the GPU's clock before and behind each, uint64 [2 n].

        Raises:
            RunError: the device refuses.
        """
        turn = self._call(self._native.stamped, dispatches)
        _, resolved = turn.recording.stamps
        self._call(self._native.encode, turn)
        self._call(self._native.start, turn, ())
        found: Array = self._call(self._native.finish, turn, turn.readback.size)
        for buffer in (resolved, turn.readback):
            buffer.destroy()
        return found.view(np.uint64)

    def copy_cost(self) -> tuple[float, float]:
        """Measures, once, what a call of the GPU costs that only moves values.

        Returns: milliseconds of the smallest call, and bytes to the GPU and back in a further millisecond.
        """
        with _lock:
            if self._copy_cost is None:
                small, large = self._copy_ms(256), self._copy_ms(_COPIED)
                self._copy_cost = small, _COPIED / max(large - small, 1e-3)
            return self._copy_cost

    def _copy_ms(self, size: int) -> float:
        there, back = self.buffer(size), self.buffer(size, readback=True)
        turn, data = self.turn((), [(there, 0, back, 0, size)], back), np.ones(size, np.uint8)
        times = []
        for _ in range(5):
            self.encode(turn)
            start = time.perf_counter()
            self.start(turn, [(there.handle, 0, data)])
            self.finish(turn, size)
            times.append(1e3 * (time.perf_counter() - start))
        there.destroy()
        back.destroy()
        return sorted(times)[2]

    def destroy(self) -> None:
        """Gives the device back. Whatever was made on it can no longer be used."""
        with _lock:
            if not self.lost:
                self.lost = True
                self._gpu.destroy()

    def _gone(self, error: Exception) -> DeviceLost:
        """Returns: the error to raise when the library refuses what was always right before."""
        self.lost = True
        cause = str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
        return DeviceLost(
            f"the GPU went away while it was in use ({cause})", where=self.adapter.name, hint=LOST_HINT
        )

    def _check(self) -> None:
        if self.lost:
            raise DeviceLost("the GPU went away", where=self.adapter.name, hint=LOST_HINT)

    def _call(self, make: Any, *arguments: Any) -> Any:
        self._check()
        try:
            return make(*arguments)
        except GpuError as error:
            raise RunError(f"the GPU refused: {error}", where=self.adapter.name) from None


LOST_HINT = "make a new Session; if it happens again, use engine='litert'"
_LIMITS = frozenset({
    "max_buffer_size", "max_compute_invocations_per_workgroup", "max_compute_workgroup_size_x",
    "max_compute_workgroup_size_y", "max_compute_workgroup_size_z", "max_compute_workgroup_storage_size",
    "max_compute_workgroups_per_dimension", "max_storage_buffer_binding_size",
    "max_storage_buffers_per_shader_stage", "max_uniform_buffer_binding_size",
})  # fmt: skip
