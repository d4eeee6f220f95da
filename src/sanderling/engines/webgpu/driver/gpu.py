"""A device of a WebGPU library: what is made on it, by ``webgpu.h``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sanderling.graph.types import Array

if TYPE_CHECKING:
    from sanderling.engines.webgpu.driver.webgpu_h import Library

MAP_READ, COPY_SRC, COPY_DST, UNIFORM, STORAGE, QUERY_RESOLVE = 1, 4, 8, 64, 128, 512  # WGPUBufferUsage
_COMPUTE = 4  # WGPUShaderStage
_BINDINGS = {"uniform": "Uniform", "storage": "Storage", "read-only-storage": "ReadOnlyStorage"}


class GpuError(Exception):
    """The library refuses a call."""


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory on the device."""

    handle: Any = field(repr=False)
    size: int
    lib: Any = field(repr=False)

    def destroy(self) -> None:
        """Frees the memory now."""
        self.lib.wgpuBufferDestroy(self.handle)


class Gpu:
    """A device: makes what calls need. Safe to use from several threads.

    Attributes:
        library: whose it is.
        handle, queue: the library's own.
    """

    def __init__(self, library: Library, handle: Any) -> None:
        self.library, self.handle = library, handle
        self._ffi, self._lib = library.ffi, library.lib
        self.queue = self._lib.wgpuDeviceGetQueue(handle)

    def buffer(self, size: int, usage: int) -> Buffer:
        """Returns: new memory of ``size`` bytes.

        Raises:
            GpuError: the library refuses.
        """
        description = self._ffi.new("WGPUBufferDescriptor *", {"size": size, "usage": usage})
        made = self._lib.wgpuDeviceCreateBuffer(self.handle, description)
        return Buffer(self.library.own("Buffer", made), size, self._lib)

    def write(self, buffer: Buffer, offset: int, data: Array) -> None:
        """Queues a write of a C-contiguous array whose bytes are a multiple of 4.

        Raises:
            GpuError: the library refuses.
        """
        view = self._ffi.from_buffer(data)
        self._lib.wgpuQueueWriteBuffer(self.queue, buffer.handle, offset, view, data.nbytes)
        refused = self.library.refusal()
        if refused:
            raise GpuError(refused)

    def group_layout(self, kinds: Sequence[str]) -> Any:
        """Returns: a bind group's layout, of buffers at binding 0, 1, …: uniform, storage, read-only-storage.

        Raises:
            GpuError: the library refuses.
        """
        lib = self._lib
        entries = self._ffi.new(
            "WGPUBindGroupLayoutEntry[]",
            [
                {
                    "binding": i,
                    "visibility": _COMPUTE,
                    "buffer": {"type": getattr(lib, f"WGPUBufferBindingType_{_BINDINGS[kind]}")},
                }
                for i, kind in enumerate(kinds)
            ],
        )
        counted = {"entryCount": len(entries), "entries": entries}
        description = self._ffi.new("WGPUBindGroupLayoutDescriptor *", counted)
        made = lib.wgpuDeviceCreateBindGroupLayout(self.handle, description)
        return self.library.own("BindGroupLayout", made)

    def group(self, layout: Any, ranges: Sequence[tuple[Buffer, int, int]]) -> Any:
        """Returns: a bind group of (buffer, offset, size) for binding 0, 1, …

        Raises:
            GpuError: the library refuses.
        """
        entries = self._ffi.new(
            "WGPUBindGroupEntry[]",
            [
                {"binding": i, "buffer": buffer.handle, "offset": offset, "size": size}
                for i, (buffer, offset, size) in enumerate(ranges)
            ],
        )
        described = {"layout": layout, "entryCount": len(entries), "entries": entries}
        description = self._ffi.new("WGPUBindGroupDescriptor *", described)
        made = self._lib.wgpuDeviceCreateBindGroup(self.handle, description)
        return self.library.own("BindGroup", made)

    def pipeline(self, wgsl: str, group_layout: Any) -> Any:
        """Returns: a kernel, compiled; its entry point is ``main``.

        Raises:
            GpuError: the compiler refuses it; the message has its line.
        """
        ffi, lib, library = self._ffi, self._lib, self.library
        groups = ffi.new("WGPUBindGroupLayout[1]", [group_layout])
        described = {"bindGroupLayoutCount": 1, "bindGroupLayouts": groups}
        made = lib.wgpuDeviceCreatePipelineLayout(
            self.handle, ffi.new("WGPUPipelineLayoutDescriptor *", described)
        )
        layout = library.own("PipelineLayout", made)
        text = library.text(wgsl).encode()
        code, name = ffi.from_buffer(text), ffi.from_buffer(b"main")
        chain = {"sType": lib.WGPUSType_ShaderSourceWGSL}
        source = ffi.new(
            "WGPUShaderSourceWGSL *", {"chain": chain, "code": {"data": code, "length": len(text)}}
        )
        described = {"nextInChain": ffi.cast("WGPUChainedStruct *", source)}
        made = lib.wgpuDeviceCreateShaderModule(
            self.handle, ffi.new("WGPUShaderModuleDescriptor *", described)
        )
        module = library.own("ShaderModule", made)
        compute = {"module": module, "entryPoint": {"data": name, "length": 4}}
        description = ffi.new("WGPUComputePipelineDescriptor *", {"layout": layout, "compute": compute})
        made = lib.wgpuDeviceCreateComputePipeline(self.handle, description)
        return library.own("ComputePipeline", made)

    def stamps(self, count: int) -> Any:
        """Returns: room for ``count`` time stamps.

        Raises:
            GpuError: the library refuses.
        """
        kind = {"type": self._lib.WGPUQueryType_Timestamp, "count": count}
        made = self._lib.wgpuDeviceCreateQuerySet(
            self.handle, self._ffi.new("WGPUQuerySetDescriptor *", kind)
        )
        return self.library.own("QuerySet", made)

    def destroy(self) -> None:
        """Gives the device back. Whatever was made on it can no longer be used."""
        self._lib.wgpuDeviceDestroy(self.handle)
