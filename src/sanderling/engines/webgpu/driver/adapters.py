"""The GPUs of this machine, as a WebGPU library offers them, and which one is taken."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from sanderling.engines.webgpu.compiler.plan import UNIFORM_BYTES
from sanderling.engines.webgpu.driver.webgpu_h import Found, Library
from sanderling.errors import UsageError
from sanderling.ops.kernel import Limits
from sanderling.settings import settings

_THREADS = {"DiscreteGPU": 65536, "CPU": 64}  # see Limits.threads
BACKENDS = ("Vulkan", "Metal", "D3D12")
OPENGL = "OpenGL"
LIBRARIES = {"wgpu": "wgpu>=0.32,<0.33", "dawn": "wgpudawn>=0.32,<0.33"}  # name → what pip installs
INSTALL = f"run: pip install '{LIBRARIES['wgpu']}'"
NO_DRIVER = "install a Vulkan driver (on Debian: apt-get install mesa-vulkan-drivers runs on the CPU)"
_RANK = {"DiscreteGPU": 0, "IntegratedGPU": 1, "VirtualGPU": 2, "Unknown": 3, "CPU": 4}
_lock = threading.RLock()


@dataclass(frozen=True, slots=True)
class Adapter:
    """One GPU, as one backend offers it.

    Attributes:
        name: as the driver says it.
        backend: Vulkan, Metal, D3D12 or OpenGL.
        kind: DiscreteGPU, IntegratedGPU, CPU (software) or Unknown.
        driver: vendor and driver version, as far as the driver says them.
        features: those of the library's ``features`` that it has.
        limits: WebGPU's names, with underscores → what it offers.
        number: among ``adapters()``.
        library: which offers it.
        raw: the library's own handle.
    """

    name: str
    backend: str
    kind: str
    driver: str
    features: frozenset[str]
    limits: Mapping[str, int]
    number: int
    library: Library = field(repr=False, compare=False, hash=False)
    raw: Any = field(repr=False, compare=False, hash=False)

    @property
    def software(self) -> bool:
        """True when the processor does the work."""
        return self.kind == "CPU"

    @property
    def identity(self) -> str:
        """What tuned choices and checks are remembered under."""
        through = f"{self.library.package} {self.library.version}"
        return f"{self.name} ({self.backend}, {self.driver}) through {through}"

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


_libraries: dict[str, Library] = {}
_opengl: dict[str, bool] = {}  # library → whether it was started with OpenGL, once it was
_found: dict[str, list[Adapter]] = {}  # asked for once: looking costs, and drivers do not come and go


def library_name(wanted: str | None = None) -> str:
    """Returns: the library to use: what is wanted, else what ``SANDERLING_WEBGPU`` says, else wgpu.

    Raises:
        UsageError: there is no such library.
    """
    name = wanted or settings().webgpu or "wgpu"
    if name not in LIBRARIES:
        raise UsageError(
            f"there is no WebGPU library {name!r}", hint=f"choose one of: {', '.join(LIBRARIES)}"
        )
    return name


def library(wanted: str | None = None, *, opengl: bool = False) -> Library:
    """Returns: a WebGPU library, loaded.

    Args:
        wanted: its name, see ``library_name``.
        opengl: it is to look for OpenGL's adapters, too, if it was not started yet.

    Raises:
        ImportError: it is not installed or does not start here.
        UsageError: there is no such library.
    """
    name = library_name(wanted)
    with _lock:
        if name not in _libraries:
            if name == "dawn":
                if find_spec("wgpudawn") is None:
                    raise UsageError(
                        "the WebGPU library dawn is not installed",
                        hint=f"run: pip install '{LIBRARIES[name]}'",
                    )
                from sanderling.engines.webgpu.driver.library_dawn import Dawn

                _libraries[name] = Dawn()
            else:
                from sanderling.engines.webgpu.driver.library_wgpu import WgpuNative

                _libraries[name] = WgpuNative(opengl=opengl)
            _opengl[name] = opengl and name == "wgpu"
        return _libraries[name]


def no_adapter(wanted: str | None = None) -> str:
    """Returns: what to do where a library finds no adapter."""
    if library_name(wanted) == "dawn":
        return "Dawn takes fewer drivers than wgpu: use library='wgpu'"
    return NO_DRIVER


def adapters(wanted: str | None = None, *, opengl: bool = False) -> tuple[Adapter, ...]:
    """Returns: all adapters, the one expected to be fastest first, software adapters last.

    Args:
        wanted: the library's name, see ``library_name``.
        opengl: those of OpenGL, too. Drivers' compute support there is poor.

    Raises:
        ImportError: the library is not installed.
        UsageError: there is no such library.
    """
    name = library_name(wanted)
    with _lock:
        if name not in _found:
            found = library(name, opengl=opengl or settings().device.lower() == OPENGL.lower())
            known = [one for one in found.adapters() if one.backend in (*BACKENDS, OPENGL)]
            known.sort(key=_rank)
            _found[name] = [_adapter(one, number, found) for number, one in enumerate(known)]
        return tuple(a for a in _found[name] if opengl or a.backend != OPENGL)


def _rank(found: Found) -> tuple[bool, int]:
    return found.backend == OPENGL, _RANK.get(found.kind, 3)


def _adapter(found: Found, number: int, by: Library) -> Adapter:
    driver = " ".join(part for part in (found.vendor, found.description) if part)
    return Adapter(
        found.name, found.backend, found.kind, driver, found.features, found.limits, number, by, found.handle
    )


def choose(wanted: str | int | None = None, library: str | None = None) -> Adapter:
    """Chooses an adapter.

    Args:
        wanted: a number in ``adapters()``, or a part of a name or backend; None takes the environment's
            ``SANDERLING_DEVICE``, else the fastest.
        library: the library's name, see ``library_name``.

    Raises:
        ImportError: the library is not installed.
        UsageError: there is no such adapter, or none at all.
    """
    told = str(wanted) if wanted is not None else settings().device
    gl = told.lower() == OPENGL.lower()
    found = adapters(library, opengl=gl)
    if gl and not _opengl[library_name(library)]:
        raise UsageError(
            "OpenGL was not looked for when the GPU library was started",
            hint="set SANDERLING_DEVICE=OpenGL before the program starts, and use the library wgpu",
        )
    if not found:
        raise UsageError("there is no GPU adapter with Vulkan, Metal or D3D12", hint=no_adapter(library))
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
