"""Writes ``engines/webgpu/driver/wgpu_tables.py``: cffi's tables for what we call of wgpu-native.

    python tools/make_wgpu_tables.py [OUT]

``wgpu`` has cffi read the library's whole header at every start, 0.15 s. cffi can do that once and write down
what it found. Here it is given the declarations of the functions that we call and of what these are made of.
Run it again when ``wgpu`` was upgraded; a test compares the file with the header that is installed.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from cffi import FFI

OUT = Path(__file__).parents[1] / "src/sanderling/engines/webgpu/driver/wgpu_tables.py"
MODULE = "sanderling.engines.webgpu.driver.wgpu_tables"
# What is asked for; what their declarations mention comes along.
WANTED = """
wgpuAdapterGetFeatures wgpuAdapterGetInfo wgpuAdapterGetLimits wgpuAdapterInfoFreeMembers wgpuAdapterRelease
wgpuAdapterRequestDevice wgpuBindGroupLayoutRelease wgpuBindGroupRelease wgpuBufferDestroy
wgpuBufferGetConstMappedRange wgpuBufferMapAsync wgpuBufferRelease wgpuBufferUnmap wgpuCommandBufferRelease
wgpuCommandEncoderBeginComputePass wgpuCommandEncoderCopyBufferToBuffer wgpuCommandEncoderFinish
wgpuCommandEncoderRelease wgpuCommandEncoderResolveQuerySet wgpuComputePassEncoderDispatchWorkgroups
wgpuComputePassEncoderEnd wgpuComputePassEncoderRelease wgpuComputePassEncoderSetBindGroup
wgpuComputePassEncoderSetPipeline wgpuComputePipelineRelease wgpuCreateInstance wgpuDeviceCreateBindGroup
wgpuDeviceCreateBindGroupLayout wgpuDeviceCreateBuffer wgpuDeviceCreateCommandEncoder
wgpuDeviceCreateComputePipeline wgpuDeviceCreatePipelineLayout wgpuDeviceCreateQuerySet
wgpuDeviceCreateShaderModule wgpuDeviceDestroy wgpuDeviceGetQueue wgpuDevicePoll wgpuDeviceRelease
wgpuGenerateReport wgpuGetVersion wgpuInstanceEnumerateAdapters wgpuInstanceProcessEvents
wgpuPipelineLayoutRelease wgpuQuerySetRelease wgpuQueueGetTimestampPeriod wgpuQueueSubmit
wgpuQueueSubmitForIndex wgpuQueueWriteBuffer wgpuShaderModuleRelease wgpuSupportedFeaturesFreeMembers
WGPUShaderSourceWGSL WGPUInstanceExtras WGPUNativeFeature WGPUNativeSType
""".split()  # noqa: SIM905
# Enumerations whose values we name; of others only the size matters.
NAMED = """
WGPUAdapterType WGPUBackendType WGPUBufferBindingType WGPUCallbackMode WGPUFeatureName WGPUMapAsyncStatus
WGPUNativeFeature WGPUNativeSType WGPUQueryType WGPURequestDeviceStatus WGPUSType
""".split()  # noqa: SIM905


def statements(header: str) -> list[str]:
    """Returns: the declarations of a header, in their order."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", header, flags=re.DOTALL)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "{(") - (letter in "})")
        if letter == ";" and depth == 0:
            found.append(" ".join(text[start:at].split()))
            start = at + 1
    return [one for one in found if one]


def name_of(statement: str) -> str:
    """Returns: what a declaration declares; "struct X" where it only says that there is one."""
    if pointer := re.search(r"typedef .*\(\*\s*(\w+)\)\s*\(", statement):
        return pointer[1]
    if statement.startswith("typedef"):
        return re.findall(r"\w+", statement)[-1]
    if constant := re.match(r"static const \w+ (\w+) =", statement):
        return constant[1]
    if function := re.match(r"[\w\s*]*?\b(wgpu\w+)\s*\(", statement):
        return function[1]
    return statement


def excerpt(header: str) -> str:
    """Returns: the declarations of what is wanted and of all that these mention.

    Raises:
        KeyError: the header has no such declaration.
    """
    order = [(name_of(statement), statement) for statement in statements(header)]
    known = dict(order)
    needed, waiting = set(), list(WANTED)
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        waiting += [word for word in re.findall(r"\w+", known[name]) if word in known]
        waiting += [f"struct {name}"] * (f"struct {name}" in known)
    return "\n".join(f"{shortened(name, statement)};" for name, statement in order if name in needed)


def shortened(name: str, statement: str) -> str:
    """Returns: a declaration; of an enumeration whose values are not used only the largest value."""
    if not statement.startswith("typedef enum") or name in NAMED:
        return statement
    return re.sub(r"\{.*, (?=\w+_Force32)", "{ ", statement)


def main() -> None:
    """Writes the file."""
    from wgpu.resources import __file__ as resources

    header = Path(resources).with_name("combined_header.h").read_text(encoding="utf-8")
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    ffi = FFI()
    ffi.cdef(excerpt(header))
    ffi.set_source(MODULE, None)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "tables.py"
        ffi.emit_python_code(str(made))
        text = made.read_text(encoding="utf-8")
    head = '"""What we call of wgpu-native, as cffi\'s tables. Made by tools/make_wgpu_tables.py."""\n'
    out.write_text(head + text, encoding="utf-8")


if __name__ == "__main__":
    main()
