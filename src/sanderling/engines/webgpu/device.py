"""Adapters and devices: the only file that knows the ``wgpu`` library.

``Device`` is as narrow as what the executor needs: another implementation of WebGPU could take its place.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sanderling.engines.webgpu.native import SPIN_S, Native, NativeError, Turn
from sanderling.engines.webgpu.pipelines import Pipelines
from sanderling.engines.webgpu.plan import UNIFORM_BYTES
from sanderling.engines.webgpu.quick_types import quicken
from sanderling.errors import DeviceLost, RunError, UsageError
from sanderling.graph.types import Array
from sanderling.ops.kernel import Limits
from sanderling.settings import settings

_THREADS = {"DiscreteGPU": 65536, "CPU": 64}  # see Limits.threads
BACKENDS = ("Vulkan", "Metal", "D3D12")
OPENGL = "OpenGL"
# WebGPU's name of a feature → the library's.
FEATURES = {"shader-f16": "shader-f16", "timestamp-query": "timestamp-query", "subgroups": "subgroup"}
INSTALL = "run: pip install 'wgpu>=0.32,<0.33'"
NO_DRIVER = "install a Vulkan driver (on Debian: apt-get install mesa-vulkan-drivers runs on the CPU)"
_RANK = {"DiscreteGPU": 0, "IntegratedGPU": 1, "VirtualGPU": 2, "Unknown": 3, "CPU": 4}
# WebGPU's own buffer usage flags.
_COPY_SRC, _COPY_DST, _MAP_READ, _UNIFORM, _STORAGE = 4, 8, 1, 64, 128
_COPIED = 4 * 2**20  # bytes that are moved to measure what moving costs
_lock = threading.RLock()


@dataclass(frozen=True, slots=True)
class Adapter:
    """One GPU, as one backend offers it.

    Attributes:
        name: as the driver says it.
        backend: Vulkan, Metal, D3D12 or OpenGL.
        kind: DiscreteGPU, IntegratedGPU, VirtualGPU, CPU (software) or Unknown.
        driver: vendor and driver version, as far as the driver says them.
        features: those of ``FEATURES`` that it has.
        limits: WebGPU's names, with underscores → what it offers.
        number: among ``adapters()``.
        raw: the library's own object.
    """

    name: str
    backend: str
    kind: str
    driver: str
    features: frozenset[str]
    limits: Mapping[str, int]
    number: int
    raw: Any = field(repr=False, compare=False, hash=False)

    @property
    def software(self) -> bool:
        """True when the processor does the work."""
        return self.kind == "CPU"

    @property
    def identity(self) -> str:
        """What tuned choices and checks are remembered under."""
        return f"{self.name} ({self.backend}, {self.driver})"

    def kernel_limits(self) -> Limits:
        """Returns: what kernels may ask of it."""
        return Limits(
            invocations=self.limits["max_compute_invocations_per_workgroup"],
            workgroup_bytes=self.limits["max_compute_workgroup_storage_size"],
            subgroups="subgroups" in self.features,
            software=self.software,
            threads=_THREADS.get(self.kind, 8192),
            uniform_bytes=UNIFORM_BYTES if self.software else 0,
            f16="shader-f16" in self.features,
        )


def library() -> Any:
    """Returns: the ``wgpu`` package.

    Raises:
        ImportError: it is not installed or does not start here.
    """
    with _quiet():
        import wgpu
        import wgpu.backends.wgpu_native
        from wgpu.backends.wgpu_native import ffi

    quicken(ffi)
    # The library logs what it raises as well; a caller sees it once, as an error.
    logging.getLogger("wgpu").setLevel(logging.CRITICAL)
    return wgpu


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Mesa from complaining on stderr that there is no desktop session."""
    if os.environ.get("XDG_RUNTIME_DIR"):
        yield
        return
    os.environ["XDG_RUNTIME_DIR"] = tempfile.gettempdir()
    try:
        yield
    finally:
        os.environ.pop("XDG_RUNTIME_DIR", None)


def _start(opengl: bool) -> None:
    """Starts the library, with OpenGL only where it is asked for: looking for it takes half a second."""
    from wgpu.backends.wgpu_native.extras import set_instance_extras

    if not _started:
        _started.append(opengl)
        if not opengl:
            set_instance_extras(backends=["Vulkan", "Metal", "DX12"])


_started: list[bool] = []  # whether the library was started with OpenGL, once it was
_found: list[Adapter] = []  # asked for once: looking costs, and drivers do not come and go


def adapters(*, opengl: bool = False) -> tuple[Adapter, ...]:
    """Returns: all adapters, the one expected to be fastest first, software adapters last.

    Args:
        opengl: those of OpenGL, too. Drivers' compute support there is poor.

    Raises:
        ImportError: ``wgpu`` is not installed.
    """
    with _lock, _quiet():
        if not _found:
            wgpu = library()
            _start(opengl or settings().device.lower() == OPENGL.lower())
            raws = wgpu.gpu.enumerate_adapters_sync()
            known = [raw for raw in raws if raw.info["backend_type"] in (*BACKENDS, OPENGL)]
            known.sort(key=_rank)
            _found.extend(_adapter(raw, number) for number, raw in enumerate(known))
    return tuple(a for a in _found if opengl or a.backend != OPENGL)


def _rank(raw: Any) -> tuple[bool, int]:
    return raw.info["backend_type"] == OPENGL, _RANK.get(raw.info["adapter_type"], 3)


def _adapter(raw: Any, number: int) -> Adapter:
    info = raw.info
    driver = " ".join(part for part in (info["vendor"], info["description"]) if part)
    limits = {name.replace("-", "_"): int(value) for name, value in raw.limits.items()}
    features = frozenset(name for name, theirs in FEATURES.items() if theirs in raw.features)
    kind = info["adapter_type"]
    return Adapter(info["device"], info["backend_type"], kind, driver, features, limits, number, raw)


def choose(wanted: str | int | None = None) -> Adapter:
    """Chooses an adapter.

    Args:
        wanted: a number in ``adapters()``, or a part of a name or backend; None takes the environment's
            ``SANDERLING_DEVICE``, else the fastest.

    Raises:
        UsageError: there is no such adapter, or none at all.
    """
    told = str(wanted) if wanted is not None else settings().device
    gl = told.lower() == OPENGL.lower()
    found = adapters(opengl=gl)
    if gl and _started == [False]:
        raise UsageError(
            "OpenGL was not looked for when the GPU library was started",
            hint="set SANDERLING_DEVICE=OpenGL before the program starts",
        )
    if not found:
        raise UsageError("there is no GPU adapter with Vulkan, Metal or D3D12", hint=NO_DRIVER)
    if not told:
        return found[0]
    if told.isdigit():
        matching = list(found[int(told) : int(told) + 1])
    else:
        matching = [a for a in found if told.lower() in f"{a.name} {a.driver} {a.backend}".lower()]
    if not matching:
        known = ", ".join(f"{i}: {a.name}" for i, a in enumerate(found))
        raise UsageError(f"there is no GPU adapter {told!r}", hint=f"choose one of: {known}")
    return matching[0]


_devices: dict[tuple[str, int], Device] = {}


def open_device(wanted: str | int | None = None) -> Device:
    """Returns: the process's device on the chosen adapter; sessions share it, and its compiled kernels."""
    with _lock:
        adapter = choose(wanted)
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
        features = sorted(FEATURES[name] for name in adapter.features)
        limits = {name: value for name, value in adapter.limits.items() if name in _LIMITS}
        with _quiet():
            self._raw = adapter.raw.request_device_sync(required_features=features, required_limits=limits)
        self._queue = self._raw.queue
        self._wgpu = library()
        self.pipelines = Pipelines(self._raw, (self._wgpu.GPUError, RuntimeError))
        self._copy_cost: tuple[float, float] | None = None
        from wgpu.backends.wgpu_native import _api, ffi, lib

        spin = 0.0 if adapter.software else SPIN_S  # a software adapter needs the processor itself
        self._native = Native(ffi, lib, _api.error_handler, self._raw, spin_s=spin)
        self.tick_ns = self._native.tick_ns()  # of the GPU's clock, see ``clock.py``

    @property
    def raw(self) -> Any:
        """The library's own device, for what is no part of a call: see ``clock.py``."""
        return self._raw

    def buffer(self, size: int, *, uniform: bool = False, readback: bool = False) -> Any:
        """Returns: a new buffer of ``size`` bytes: for storage, for uniforms, or for reading results."""
        usage = _MAP_READ | _COPY_DST if readback else _COPY_SRC | _COPY_DST
        if not readback:
            usage |= _UNIFORM if uniform else _STORAGE | _UNIFORM
        return self._call(self._raw.create_buffer, size=size, usage=usage)

    def write(self, buffer: Any, offset: int, data: Array) -> None:
        """Queues a write of a C-contiguous array whose bytes are a multiple of 4.

        Raises:
            DeviceLost: the device is gone.
        """
        self._check()
        try:
            self._queue.write_buffer(buffer, offset, data)
        except (self._wgpu.GPUError, RuntimeError) as error:
            raise self._gone(error) from None

    def pipeline(self, text: str, bindings: tuple[str, ...], *, where: str = "") -> Any:
        """Returns: a compiled kernel, see ``Pipelines.get``.

        Raises:
            KernelError: the compiler refuses it; the message has its line.
        """
        return self.pipelines.get(text, bindings, where)

    def bind_group(self, bindings: tuple[str, ...], ranges: Sequence[tuple[Any, int, int]]) -> Any:
        """Returns: a bind group of (buffer, offset, size) for binding 0, 1, …"""
        entries = [
            {"binding": i, "resource": {"buffer": buffer, "offset": offset, "size": size}}
            for i, (buffer, offset, size) in enumerate(ranges)
        ]
        return self._call(
            self._raw.create_bind_group, layout=self.pipelines.layout(bindings), entries=entries
        )

    def turn(
        self,
        dispatches: Sequence[tuple[Any, Any, tuple[int, int, int]]],
        copies: Sequence[tuple[Any, int, Any, int, int]],
        readback: Any,
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
        except NativeError as error:
            raise self._gone(error) from None

    def start(self, turn: Turn, writes: Sequence[tuple[Any, int, Array]]) -> None:
        """Writes inputs, (buffer, offset, C-contiguous array of a multiple of 4 bytes), and starts a turn.

        Raises:
            DeviceLost: the device is gone.
        """
        self._check()
        try:
            self._native.start(turn, writes)
        except NativeError as error:
            raise self._gone(error) from None

    def finish(self, turn: Turn, size: int) -> Array:
        """Waits for a turn that was started. Returns: a copy of its first bytes, uint8 [size].

        Raises:
            DeviceLost: the device went away meanwhile.
        """
        try:
            return self._native.finish(turn, size)
        except NativeError as error:
            raise self._gone(error) from None

    def drop(self, turns: Sequence[Turn]) -> None:
        """Frees turns that will not be started."""
        for turn in turns:
            if self.lost:
                self._native.drop(turn)
            else:
                self._native.spend(turn)

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
            self.start(turn, [(there._internal, 0, data)])
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
                self._raw.destroy()

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

    def _call(self, make: Any, **arguments: Any) -> Any:
        self._check()
        try:
            return make(**arguments)
        except (self._wgpu.GPUError, RuntimeError) as error:
            raise RunError(f"the GPU refused: {error}", where=self.adapter.name) from None


LOST_HINT = "make a new Session; if it happens again, use engine='litert'"
_LIMITS = frozenset({
    "max_buffer_size", "max_compute_invocations_per_workgroup", "max_compute_workgroup_size_x",
    "max_compute_workgroup_size_y", "max_compute_workgroup_size_z", "max_compute_workgroup_storage_size",
    "max_compute_workgroups_per_dimension", "max_storage_buffer_binding_size",
    "max_storage_buffers_per_shader_stage", "max_uniform_buffer_binding_size",
})  # fmt: skip
