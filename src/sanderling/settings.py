"""The environment variables that Sanderling reads, in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of this process.

    Attributes:
        debug: 0 (quiet) to 4: from 1 on errors come with tracebacks, and sessions say where every operator
            runs; from 3 on also what passes did and a GPU's plan after fusion; from 4 on its WGSL. All of it
            goes to stderr. From ``SANDERLING_DEBUG``.
        verify: verify the graph after every pass. From ``SANDERLING_VERIFY`` (default: off).
        trust: do not compare a GPU's first answers with LiteRT's. Where ``SANDERLING_VERIFY`` is 0.
        device: number or part of the name of the GPU adapter to use, "" for the fastest. From
            ``SANDERLING_DEVICE``.
        cache: folder for caches. From ``SANDERLING_CACHE`` (default: ``~/.cache/sanderling``).
        trace: file that ``profile`` writes a trace for Perfetto to, None for none. From
            ``SANDERLING_TRACE``.
        webgpu: WebGPU library to use, "" for the usual one. From ``SANDERLING_WEBGPU``.
        threads: number of CPU threads, None to have it measured (``engine="auto"``) or for one. From
            ``SANDERLING_THREADS``.
        engines: the engines that ``engine="auto"`` may choose beside LiteRT, empty for all that are
            installed. From ``SANDERLING_ENGINES``, with commas.
    """

    debug: int
    verify: bool
    trust: bool
    device: str
    cache: Path
    trace: Path | None
    webgpu: str
    threads: int | None
    engines: tuple[str, ...]


def _integer(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        return default


def settings() -> Settings:
    """Returns: the settings as the environment has them now."""
    cache = os.environ.get("SANDERLING_CACHE") or "~/.cache/sanderling"
    trace = os.environ.get("SANDERLING_TRACE")
    return Settings(
        debug=_integer("SANDERLING_DEBUG", 0),
        verify=_integer("SANDERLING_VERIFY", 0) > 0,
        trust=_integer("SANDERLING_VERIFY", -1) == 0,
        device=os.environ.get("SANDERLING_DEVICE", ""),
        cache=Path(cache).expanduser(),
        trace=Path(trace).expanduser() if trace else None,
        webgpu=os.environ.get("SANDERLING_WEBGPU", "").lower(),
        threads=_integer("SANDERLING_THREADS", 0) or None,
        engines=tuple(filter(None, os.environ.get("SANDERLING_ENGINES", "").replace(" ", "").split(","))),
    )


def cores() -> int:
    """Returns: the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
