"""wgpu-native, which comes in the package ``wgpu``: the only file that knows that package.

Its Python classes are not used: importing them has cffi read the library's header, which takes longer than
loading a model. ``wgpu_tables.py`` is that header read before; it is used for the very version of the library
that it was made from. For any other the package's own reading is taken: slower, and right.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sanderling.engines.webgpu.driver.webgpu_h import Library
from sanderling.engines.webgpu.versions import version_of

TABLES_OF = 0x1D000101  # wgpuGetVersion() of the library whose header wgpu_tables.py is: 29.0.1.1
_FILES = {"win32": "wgpu_native-release.dll", "darwin": "libwgpu_native-release.dylib"}
_BACKENDS = {"Vulkan": 1, "OpenGL": 2, "Metal": 4, "D3D12": 8}  # WGPUInstanceBackend


class WgpuNative(Library):
    """wgpu-native.

    Args:
        opengl: look for OpenGL's adapters as well, which takes half a second.
    """

    name, package = "wgpu", "wgpu"
    keeps_commands = True  # 24 KB for 60 kernels

    def __init__(self, *, opengl: bool = False) -> None:
        ffi, lib = quick() or plain()
        super().__init__(ffi, lib, version_of(self.package))
        self.map_mode = lib.WGPUCallbackMode_AllowProcessEvents
        self._opengl, self._instance = opengl, ffi.NULL

    @property
    def features(self) -> Mapping[str, int]:
        lib = self.lib
        return {
            "shader-f16": lib.WGPUFeatureName_ShaderF16,
            "timestamp-query": lib.WGPUFeatureName_TimestampQuery,
            "subgroups": lib.WGPUNativeFeature_Subgroup,
        }

    @property
    def instance(self) -> Any:
        if self._instance == self.ffi.NULL:
            looked_for = sum(bit for name, bit in _BACKENDS.items() if name != "OpenGL" or self._opengl)
            extras = self.ffi.new(
                "WGPUInstanceExtras *",
                {"chain": {"sType": self.lib.WGPUSType_InstanceExtras}, "backends": looked_for},
            )
            chain = {"nextInChain": self.ffi.cast("WGPUChainedStruct *", extras)}
            self._instance = self.lib.wgpuCreateInstance(self.ffi.new("WGPUInstanceDescriptor *", chain))
        return self._instance

    def handles(self) -> list[Any]:
        count = self.lib.wgpuInstanceEnumerateAdapters(self.instance, self.ffi.NULL, self.ffi.NULL)
        found = self.ffi.new("WGPUAdapter[]", count)
        count = self.lib.wgpuInstanceEnumerateAdapters(self.instance, self.ffi.NULL, found)
        return [found[i] for i in range(count)]

    def new_submission(self) -> Any:
        return self.ffi.new("WGPUSubmissionIndex *")

    def submit(self, queue: Any, commands: Any, submission: Any) -> None:
        submission[0] = self.lib.wgpuQueueSubmitForIndex(queue, 1, commands)

    def poll(self, device: Any, submission: Any, *, wait: bool) -> None:
        self.lib.wgpuDevicePoll(device, wait, submission if wait else self.ffi.NULL)

    def tick_ns(self, queue: Any) -> float:
        return float(self.lib.wgpuQueueGetTimestampPeriod(queue))

    def objects(self) -> dict[str, int]:
        report = self.ffi.new("WGPUGlobalReport *")
        self.lib.wgpuGenerateReport(self.instance, report)
        fields = (name for name, _ in self.ffi.typeof("WGPUHubReport").fields)
        return {name: int(getattr(report.hub, name).numAllocated) for name in fields}


def quick() -> tuple[Any, Any] | None:
    """Returns: cffi's two by the tables; None where they are not this library's, or none is found."""
    path = _path()
    if path is None:
        return None
    from sanderling.engines.webgpu.driver.wgpu_tables import ffi

    try:
        lib = ffi.dlopen(str(path), ffi.RTLD_NOW)
        return (ffi, lib) if lib.wgpuGetVersion() == TABLES_OF else None
    except (OSError, AttributeError):
        return None


def plain() -> tuple[Any, Any]:
    """Returns: ``ffi`` and ``lib`` as the package reads its library's header.

    Raises:
        ImportError: the package is not installed or does not start here.
    """
    from wgpu.backends.wgpu_native import ffi, lib

    return ffi, lib


def _path() -> Path | None:
    """Returns: the library in the package, without importing the package."""
    if os.environ.get("WGPU_LIB_PATH") or os.environ.get("WGPU_DEBUG"):
        return None  # somebody wants another one, which the package knows how to find
    spec = find_spec("wgpu")
    if spec is None or not spec.origin:
        return None
    path = Path(spec.origin).parent / "resources" / _FILES.get(sys.platform, "libwgpu_native-release.so")
    return path if path.is_file() else None
