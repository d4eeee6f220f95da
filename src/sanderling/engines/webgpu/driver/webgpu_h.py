"""``webgpu.h`` as far as the engine needs it: the C interface of both libraries, wgpu-native and Dawn.

A library is a pair of cffi's ``ffi`` and ``lib``. What it does otherwise than the header says (how it lists
adapters, submits, waits) is in ``library_wgpu.py`` and ``library_dawn.py``, which alone know which it is.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sanderling.engines.webgpu.driver.gpu import Gpu, GpuError

_U32, _U64 = 2**32 - 1, 2**64 - 1  # a limit that nobody asks for


@dataclass(frozen=True, slots=True)
class Found:
    """An adapter as the library tells of it.

    Attributes:
        name, vendor, description: as the driver says.
        backend: Vulkan, Metal, D3D12, OpenGL or another name of the header's.
        kind: DiscreteGPU, IntegratedGPU, CPU or Unknown.
        features: names of ``Library.features`` that it has.
        limits: the header's names in snake case.
        handle: the library's own.
    """

    name: str
    vendor: str
    description: str
    backend: str
    kind: str
    features: frozenset[str]
    limits: Mapping[str, int]
    handle: Any = field(repr=False, compare=False)


class Library(ABC):
    """One of the libraries, loaded.

    Args:
        ffi, lib: cffi's.
        version: of its package.

    Attributes:
        name: by which a user chooses it.
        package: on PyPI, and whether it is installed tells ``importlib``.
        map_mode: when it may call back that a buffer is mapped (WGPUCallbackMode).
        keeps_commands: command buffers that were never submitted are never freed.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    map_mode: int
    keeps_commands = False

    def __init__(self, ffi: Any, lib: Any, version: str) -> None:
        self.ffi, self.lib, self.version = ffi, lib, version
        self._told = threading.local()
        # The library holds these for as long as it lives. A refusal is told in the thread that called.
        self._on_error = self._callback("WGPUUncapturedErrorCallbackInfo", self._note)
        self._on_loss = self._callback("WGPUDeviceLostCallbackInfo", lambda *_: None)

    @property
    @abstractmethod
    def features(self) -> Mapping[str, int]:
        """Feature → the library's number for it."""

    @abstractmethod
    def handles(self) -> list[Any]:
        """Returns: the library's handles of all adapters."""

    @abstractmethod
    def submit(self, queue: Any, commands: Any, submission: Any) -> None:
        """Submits an array of one command buffer; ``submission`` may take what waiting for it needs."""

    @abstractmethod
    def poll(self, device: Any, submission: Any, *, wait: bool) -> None:
        """Lets the library call back about what is done.

        Args:
            device: the handle.
            submission: what ``submit`` and mapping the result left.
            wait: sleep until that is done.
        """

    @abstractmethod
    def new_submission(self) -> Any:
        """Returns: room for what waiting for a submission needs."""

    @abstractmethod
    def tick_ns(self, queue: Any) -> float:
        """Returns: nanoseconds of one tick of a resolved time stamp."""

    @property
    @abstractmethod
    def instance(self) -> Any:
        """The library's instance, started at its first use."""

    def objects(self) -> dict[str, int]:
        """Returns: kind → number of objects alive, {} where the library does not count."""
        return {}

    def text(self, wgsl: str) -> str:
        """Returns: a kernel's text as the library's compiler wants it."""
        return wgsl

    def mapped(self, submission: Any, future: Any) -> None:  # noqa: B027 - most need nothing of it
        """Notes that a submission's result was asked for."""

    def device_chain(self) -> tuple[Any, list[Any]]:
        """Returns: what is added to the description of a device, and what must live meanwhile."""
        return self.ffi.NULL, []

    def adapters(self) -> list[Found]:
        """Returns: all adapters."""
        with _quiet():
            return [self._found(handle) for handle in self.handles()]

    def open(self, adapter: Any, features: Iterable[str], limits: Mapping[str, int]) -> Gpu:
        """Makes a device.

        Args:
            adapter: the handle.
            features: that it needs.
            limits: snake-case names of the header's → what it needs.

        Raises:
            GpuError: the adapter refuses.
        """
        ffi, lib = self.ffi, self.lib
        answer: list[tuple[int, Any, str]] = []

        def given(status: int, device: Any, message: Any, *_: Any) -> None:
            answer.append((status, device, self.string(message)))

        numbers = ffi.new("WGPUFeatureName[]", [self.features[name] for name in sorted(features)])
        wanted = ffi.new("WGPULimits *")
        for name, kind in ffi.typeof("WGPULimits").fields:
            if kind.type.kind == "primitive":
                unset = _U64 if ffi.sizeof(kind.type) == 8 else _U32
                setattr(wanted, name, limits.get(_snake(name), unset))
        chain, _keep = self.device_chain()
        description = ffi.new(
            "WGPUDeviceDescriptor *",
            {
                "nextInChain": chain, "requiredFeatureCount": len(numbers), "requiredFeatures": numbers,
                "requiredLimits": wanted, "uncapturedErrorCallbackInfo": {"callback": self._on_error},
                "deviceLostCallbackInfo": {
                    "mode": lib.WGPUCallbackMode_AllowSpontaneous, "callback": self._on_loss,
                },
            },
        )  # fmt: skip
        callback = self._callback("WGPURequestDeviceCallbackInfo", given)
        info = ffi.new(
            "WGPURequestDeviceCallbackInfo *",
            {"mode": lib.WGPUCallbackMode_AllowProcessEvents, "callback": callback},
        )
        with _quiet():
            lib.wgpuAdapterRequestDevice(adapter, description, info[0])
            while not answer:
                lib.wgpuInstanceProcessEvents(self.instance)
        status, device, message = answer[0]
        if status != lib.WGPURequestDeviceStatus_Success:
            raise GpuError(message or f"status {status}")
        return Gpu(self, ffi.gc(device, self._released("Device")))

    def refusal(self) -> str:
        """Returns: what the library refused of this thread's calls since the last question, or ""."""
        found = self._told.__dict__.pop("messages", None)
        return found[0] if found else ""

    def _note(self, _device: Any, kind: int, message: Any, *_: Any) -> None:
        told = self.string(message) or f"error {kind}"
        self._told.__dict__.setdefault("messages", []).append(told)

    def _callback(self, info: str, function: Any) -> Any:
        kind = dict(self.ffi.typeof(info).fields)["callback"].type
        return self.ffi.callback(kind, function)

    def _released(self, kind: str) -> Any:
        """Returns: what lets go of a handle, which keeps the library loaded until then."""
        lib, name = self.lib, f"wgpu{kind}Release"
        return lambda handle: getattr(lib, name)(handle)

    def own(self, kind: str, handle: Any) -> Any:
        """Returns: a new handle that is let go of when nobody knows it any more.

        Raises:
            GpuError: the library refused to make it.
        """
        if handle == self.ffi.NULL:
            raise GpuError(self.refusal() or "no reason is given")
        owned = self.ffi.gc(handle, self._released(kind))
        refused = self.refusal()
        if refused:
            raise GpuError(refused)
        return owned

    def string(self, view: Any) -> str:
        """Returns: a text of the library's."""
        if view.data == self.ffi.NULL:
            return ""
        count = view.length if view.length < 2**31 else -1
        raw: bytes = self.ffi.string(view.data) if count < 0 else self.ffi.buffer(view.data, count)[:]
        return raw.decode(errors="replace")

    def _named(self, prefix: str, number: int) -> str:
        """Returns: the header's name of a number, without what all of its kind begin with."""
        names = self.ffi.typeof(prefix).elements
        return str(names.get(number, "")).removeprefix(f"{prefix}_")

    def _found(self, handle: Any) -> Found:
        ffi, lib = self.ffi, self.lib
        info, limits, offered = (
            ffi.new(f"WGPU{kind} *") for kind in ("AdapterInfo", "Limits", "SupportedFeatures")
        )
        lib.wgpuAdapterGetInfo(handle, info)
        lib.wgpuAdapterGetLimits(handle, limits)
        lib.wgpuAdapterGetFeatures(handle, offered)
        texts = [self.string(text) for text in (info.device, info.vendor, info.description)]
        backend = self._named("WGPUBackendType", info.backendType)
        numbers = {offered.features[i] for i in range(offered.featureCount)}
        numeric = (n for n, kind in ffi.typeof("WGPULimits").fields if kind.type.kind == "primitive")
        found = Found(
            texts[0], texts[1], texts[2],
            {"OpenGLES": "OpenGL"}.get(backend, backend), self._named("WGPUAdapterType", info.adapterType),
            frozenset(name for name, number in self.features.items() if number in numbers),
            {_snake(name): int(getattr(limits, name)) for name in numeric},
            ffi.gc(handle, self._released("Adapter")),
        )  # fmt: skip
        lib.wgpuAdapterInfoFreeMembers(info[0])
        lib.wgpuSupportedFeaturesFreeMembers(offered[0])
        return found


def _snake(name: str) -> str:
    """Returns: ``maxBufferSize`` as ``max_buffer_size``."""
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


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
