"""Dawn, Chromium's WebGPU, which comes in the package ``wgpudawn``: the only file that knows that package.

Of the package only its compiled module is loaded, which is cffi's as well; its Python classes are not used.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from sanderling.engines.webgpu.driver.webgpu_h import Library
from sanderling.engines.webgpu.versions import version_of

_MODULE = "wgpudawn._lib._wgpu_dawn"
_FOREVER_NS = 2**63 - 1


class Dawn(Library):
    """Dawn."""

    name, package = "dawn", "wgpudawn"

    def __init__(self) -> None:
        module = _compiled()
        super().__init__(module.ffi, module.lib, version_of(self.package))
        self.map_mode = self.lib.WGPUCallbackMode_WaitAnyOnly
        self._instance = self.ffi.NULL

    @property
    def features(self) -> Mapping[str, int]:
        lib = self.lib
        return {
            "shader-f16": lib.WGPUFeatureName_ShaderF16,
            "timestamp-query": lib.WGPUFeatureName_TimestampQuery,
            "subgroups": lib.WGPUFeatureName_Subgroups,
            # Sessions share a device, and may be called from several threads.
            "threads": lib.WGPUFeatureName_ImplicitDeviceSynchronization,
        }

    @property
    def instance(self) -> Any:
        if self._instance == self.ffi.NULL:
            wanted = [
                self.lib.WGPUInstanceFeatureName_TimedWaitAny,
                self.lib.WGPUInstanceFeatureName_MultipleDevicesPerAdapter,  # after one was lost
            ]
            numbers = self.ffi.new("WGPUInstanceFeatureName[]", wanted)
            described = {"requiredFeatureCount": len(numbers), "requiredFeatures": numbers}
            self._instance = self.lib.wgpuCreateInstance(self.ffi.new("WGPUInstanceDescriptor *", described))
        return self._instance

    def handles(self) -> list[Any]:
        list_them, options = (
            self.lib.wgpu_dawn_enumerate_adapters,
            self.ffi.new("WGPURequestAdapterOptions *"),
        )
        count = list_them(self.instance, options, self.ffi.NULL, 0)
        found = self.ffi.new("WGPUAdapter[]", count)
        count = min(count, list_them(self.instance, options, found, count))
        return [found[i] for i in range(count)]

    def device_chain(self) -> tuple[Any, list[Any]]:
        # Time stamps in steps of 0.1 ms are for pages that nobody trusts.
        name = self.ffi.new("char[]", b"timestamp_quantization")
        names = self.ffi.new("const char *[1]", [name])
        off = self.ffi.new(
            "WGPUDawnTogglesDescriptor *",
            {
                "chain": {"sType": self.lib.WGPUSType_DawnTogglesDescriptor},
                "disabledToggleCount": 1,
                "disabledToggles": names,
            },
        )
        return self.ffi.cast("WGPUChainedStruct *", off), [name, names, off]

    def new_submission(self) -> Any:
        return self.ffi.new("WGPUFutureWaitInfo *")

    def submit(self, queue: Any, commands: Any, submission: Any) -> None:
        self.lib.wgpuQueueSubmit(queue, 1, commands)

    def mapped(self, submission: Any, future: Any) -> None:
        submission.future, submission.completed = future, 0

    def poll(self, device: Any, submission: Any, *, wait: bool) -> None:
        self.lib.wgpuInstanceWaitAny(self.instance, 1, submission, _FOREVER_NS if wait else 0)

    def tick_ns(self, queue: Any) -> float:
        return 1.0  # resolved time stamps are nanoseconds

    def text(self, wgsl: str) -> str:
        # Tint wants to be told, which naga refuses; and it cannot see that a workgroup returns as a whole.
        if "quadBroadcast" in wgsl or "subgroup" in wgsl:
            return f"enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n{wgsl}"
        return wgsl


def _compiled() -> Any:
    """Returns: the package's compiled module, by itself: the package's own import takes five times as long.

    Raises:
        ImportError: the package is not installed or does not load here.
    """
    if _MODULE in sys.modules:
        return sys.modules[_MODULE]
    spec = find_spec("wgpudawn")
    if spec is None or not spec.origin:
        raise ImportError("No module named 'wgpudawn'", name="wgpudawn")
    folder = Path(spec.origin).parent / "_lib"
    for path in sorted(folder.glob("_wgpu_dawn*")):
        if path.suffix in (".so", ".pyd"):
            found = spec_from_file_location(_MODULE, path, loader=ExtensionFileLoader(_MODULE, str(path)))
            assert found is not None
            assert found.loader is not None
            module = module_from_spec(found)
            found.loader.exec_module(module)
            return sys.modules.setdefault(_MODULE, module)
    from wgpudawn import _lib

    return _lib
