"""What this machine and this installation are: versions, processor, memory, engines, cache, environment."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.engines import registry
from sanderling.errors import UsageError
from sanderling.settings import settings

if TYPE_CHECKING:
    from sanderling.engines.webgpu.driver.adapters import Adapter

_NEEDED = (
    "sanderling", "numpy", "ai-edge-litert", "flatbuffers", "optuna", "pillow", "jinja2",
    "typer", "rich", "wgpu",
)  # fmt: skip
VARIABLES = ("DEBUG", "VERIFY", "CACHE", "THREADS", "DEVICE", "TRACE", "WEBGPU", "ENGINES")
# Instructions that decide how fast float and int8 kernels are, by the names that Linux gives them.
_FLAGS = (
    "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16",
    "amx_int8", "amx_bf16", "asimd", "asimddp", "fphp", "asimdhp", "i8mm", "bf16", "sve", "sve2",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cpu:
    """The processor.

    Attributes:
        name: as it calls itself.
        architecture: ``x86_64``, ``aarch64`` …
        cores: logical cores of the machine.
        usable: cores that this process may use (affinity and container limit); may be a fraction.
        flags: the instruction sets among those that matter here.
        load: processes waiting to run, averaged over a minute; None where the system does not tell.
        governor: frequency governor, "" where the system does not tell.
    """

    name: str
    architecture: str
    cores: int
    usable: float
    flags: tuple[str, ...]
    load: float | None
    governor: str


@dataclass(frozen=True, slots=True)
class EngineState:
    """An engine, and whether it can be used here or why not."""

    name: str
    available: bool
    reason: str
    version: str


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU adapter: what ``device=`` and ``SANDERLING_DEVICE`` choose from, by number or part of the name.

    Attributes:
        number: 0 is the one that is taken unless another is named.
        name, backend, driver: as the driver says them.
        kind: DiscreteGPU, IntegratedGPU, VirtualGPU, CPU (software) or Unknown.
        f16: its kernels can compute in 16 bits.
        chosen: it is the one in use, as the environment stands.
        limits: the most that it offers: bytes of a buffer, of a binding and of a workgroup's memory,
            threads of a workgroup, storage buffers of a kernel.
        library: the WebGPU library that reaches it, with its version.
    """

    number: int
    name: str
    backend: str
    kind: str
    driver: str
    f16: bool
    chosen: bool
    limits: Mapping[str, int]
    library: str


@dataclass(frozen=True, slots=True)
class Checkup:
    """All that ``sanderling doctor`` finds.

    Attributes:
        packages: package → version, None when it is not installed.
        memory_bytes: of the machine, or the container's limit where that is less; None when unknown.
        memory_available_bytes: of the machine; None when unknown.
        gpus: the GPU adapters, the fastest first, software last.
        no_gpu: why there are none, "" when there are.
        cache: folder for caches.
        environment: Sanderling's variables that are set.
        problems: what stops Sanderling from working, one sentence each.
        warnings: what makes figures less trustworthy, one sentence each.
    """

    python: str
    executable: str
    system: str
    packages: Mapping[str, str | None]
    cpu: Cpu
    memory_bytes: int | None
    memory_available_bytes: int | None
    engines: tuple[EngineState, ...]
    gpus: tuple[Gpu, ...]
    no_gpu: str
    cache: Path
    cache_bytes: int | None
    environment: Mapping[str, str]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return {**asdict(self), "cache": str(self.cache), "ok": self.ok}


def examine() -> Checkup:
    """Looks at this machine and this installation. Imports every engine's library, changes nothing."""
    packages = {name: _version(name) for name in _NEEDED}
    cpu, engines = examine_cpu(), tuple(_engine(name) for name in registry.names())
    gpus, no_gpu = examine_gpus()
    cache = settings().cache
    environment = {
        name: value for name, value in sorted(os.environ.items()) if name.startswith("SANDERLING_")
    }
    return Checkup(
        python=platform.python_version(),
        executable=sys.executable,
        system=f"{platform.system()} {platform.release()}",
        packages=packages,
        cpu=cpu,
        memory_bytes=_least(_meminfo("MemTotal"), _limit("memory.max")),
        memory_available_bytes=_meminfo("MemAvailable"),
        engines=engines,
        gpus=gpus,
        no_gpu=no_gpu,
        cache=cache,
        cache_bytes=_folder_bytes(cache),
        environment=environment,
        problems=tuple(_problems(packages, engines, cache)),
        warnings=tuple(_warnings(cpu, environment)),
    )


_LIMITS = (
    "max_buffer_size", "max_storage_buffer_binding_size", "max_compute_workgroup_storage_size",
    "max_compute_invocations_per_workgroup", "max_storage_buffers_per_shader_stage",
)  # fmt: skip


def examine_gpus() -> tuple[tuple[Gpu, ...], str]:
    """Returns: all GPU adapters, and why there are none, which is "" when there are."""
    from sanderling.engines.webgpu.driver import adapters

    try:
        found = adapters.adapters()
    except (ImportError, OSError, RuntimeError, UsageError) as error:
        return (), f"the WebGPU library cannot be used ({error}); {adapters.INSTALL}"
    if not found:
        return (), f"there is no Vulkan, Metal or D3D12 adapter; {adapters.no_adapter()}"
    try:
        return _gpus(found, adapters.choose().number), ""
    except UsageError as error:  # SANDERLING_DEVICE names none of them: they are listed all the same
        return _gpus(found, -1), str(error)


def _gpus(found: Sequence[Adapter], chosen: int) -> tuple[Gpu, ...]:
    return tuple(
        Gpu(
            a.number, a.name, a.backend, a.kind, a.driver, "shader-f16" in a.features, a.number == chosen,
            {name: a.limits[name] for name in _LIMITS}, f"{a.library.name} {a.library.version}",
        )
        for a in found
    )  # fmt: skip


def examine_cpu() -> Cpu:
    """Returns: what is known of the processor."""
    cores = os.cpu_count() or 1
    usable = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(cores)
    quota = _quota()
    return Cpu(
        name=processor_name(),
        architecture=platform.machine(),
        cores=cores,
        usable=min(usable, quota) if quota else usable,
        flags=_flags(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        governor=_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    )


def processor_name() -> str:
    """Returns: the processor as its maker calls it, else its architecture."""
    return _cpuinfo("model name") or _brand() or platform.processor() or platform.machine()


def _problems(packages: Mapping[str, str | None], engines: tuple[EngineState, ...], cache: Path) -> list[str]:
    found = [
        f"{name} is not installed: run pip install {name}"
        for name, installed in packages.items()
        if installed is None and name != "sanderling"
    ]
    if not any(engine.available for engine in engines):
        found.append("no engine can be used, so no model can be run: run pip install ai-edge-litert")
    if not _writable(cache):
        found.append(f"the cache folder {cache} cannot be written: set SANDERLING_CACHE to one that can")
    return found


def _warnings(cpu: Cpu, environment: Mapping[str, str]) -> list[str]:
    found = []
    if cpu.load is not None and cpu.load > 0.5 * cpu.usable:
        found.append(
            f"other work is running (load {cpu.load:.1f} on {cpu.usable:g} cores): timings will be noisy"
        )
    if cpu.governor == "powersave" and cpu.architecture != "x86_64":
        found.append("the processor's governor is 'powersave': timings will be slower than they could be")
    known = {f"SANDERLING_{name}" for name in VARIABLES}
    found += [
        f"the variable {name} is set, but nothing reads it (known: {', '.join(sorted(known))})"
        for name in environment
        if name not in known
    ]
    for name in ("DEBUG", "VERIFY", "THREADS"):
        value = environment.get(f"SANDERLING_{name}", "")
        if value and not value.removeprefix("-").isdigit():
            found.append(f"SANDERLING_{name} is {value!r}, expected a whole number: it is ignored")
    return found


def _engine(name: str) -> EngineState:
    engine = registry.find(name)
    verdict = engine.available()
    return EngineState(name, verdict.ok, verdict.reason, engine.version() if verdict else "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _text(path: str) -> str:
    """Returns: a small file's text, "" where there is none: the system does not tell."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _cpuinfo(*keys: str) -> str:
    for line in _text("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in keys:
            return value.strip()
    return ""


def _flags() -> tuple[str, ...]:
    words = set(_cpuinfo("flags", "Features").split())
    if sys.platform == "darwin" and platform.machine() == "arm64":
        words |= {"asimd", "asimddp", "fphp", "asimdhp"}  # every Apple M processor has them
    return tuple(flag for flag in _FLAGS if flag in words)


def _brand() -> str:
    if sys.platform != "darwin":
        return ""
    import subprocess

    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _quota() -> float | None:
    """Returns: cores that the container may use, None without a limit."""
    limit, _, period = _text("/sys/fs/cgroup/cpu.max").partition(" ")
    return int(limit) / int(period) if limit.isdigit() and period.isdigit() and int(period) else None


def _limit(name: str) -> int | None:
    text = _text(f"/sys/fs/cgroup/{name}")
    return int(text) if text.isdigit() else None


def _meminfo(key: str) -> int | None:
    for line in _text("/proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    if key == "MemTotal" and hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _writable(folder: Path) -> bool:
    """Returns: whether the folder can be written, or made where it is missing."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    return existing.is_dir() and os.access(existing, os.W_OK)


def _folder_bytes(folder: Path) -> int | None:
    if not folder.is_dir():
        return None
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
