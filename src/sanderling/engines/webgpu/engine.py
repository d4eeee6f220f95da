"""Loads a model: checks the options, opens the device, recalls what is known, and makes the runner."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sanderling.engines.webgpu import early, precision, tuned
from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.driver import adapters as gpus
from sanderling.engines.webgpu.driver import device as devices
from sanderling.engines.webgpu.graphs.shapes import at_shapes
from sanderling.engines.webgpu.graphs.state import lift
from sanderling.engines.webgpu.pieces.verdicts import checked_pins
from sanderling.engines.webgpu.remember import Memory, hash_of, recall
from sanderling.engines.webgpu.runner import Options, WebGPURunner
from sanderling.errors import UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.settings import settings

if TYPE_CHECKING:
    from sanderling.engines.webgpu.tune import Tell

_OPTIONS = ("device", "library", "pin", "precision", "samples", "trust", "tune")
_log = logging.getLogger("sanderling.webgpu")
_PRECISIONS = ("auto", "float32", "float16")


def load(
    path: Path,
    model: Model,
    *,
    threads: int = 1,
    options: Mapping[str, object] | None = None,
    tell: Tell | None = None,
) -> WebGPURunner:
    """``WebGPU.load``, which may tell people what it is at (see ``entry.py`` for the options).

    Args:
        tell: is called with a line for every operator that is tuned.
    """
    wanted, half, how = checked(options, threads)
    given, device = options or {}, devices.open_device(wanted.device, wanted.library)
    memory = recall(hash_of(path), device.adapter, precision=given.get("precision", "auto"))
    target, reason = precise(path, model, device, half, given, memory, how, tell)
    runner = WebGPURunner(path, model, device, target, replace(how, precision=reason), memory)
    early.keep(path, device, runner.loaded.kernels())
    return runner


def precise(
    path: Path,
    model: Model,
    device: devices.Device,
    half: bool,
    options: Mapping[str, object],
    memory: Memory,
    how: Options,
    tell: Tell | None = None,
) -> tuple[Target, str]:
    """Returns: what to compile for, with the fastest variants that are known and the precision that samples
    allow, and the reason for the latter, "" where nobody has looked.

    Args:
        half: everything is to be stored in 16 bits.
        options: of the engine.
        memory: what is known of the model; gets to know what samples show.
        how: it is going to be run.
        tell: is called with a line for every operator that is tuned.
    """
    samples, target = feeds(options), target_of(device.adapter, half=half)
    found = precision.remembered(memory) if samples is None and is_auto(options) else None
    if found is not None:
        target = found.apply(target)
    # What samples judge is what was tuned.
    target = replace(target, half=target.half or samples is not None)
    target = tuned_for(model, device, target, options.get("tune"), tell)
    if samples is not None:
        found = precision.choose(path, model, device, target, samples, how)
        memory.forget_answers()
        precision.remember(memory, found)
        target = found.apply(target)
    return target, "" if found is None else found.reason


def is_auto(options: Mapping[str, object]) -> bool:
    """Returns: whether the precision of every operator is left to what samples showed."""
    return options.get("precision", "auto") == "auto"


def feeds(options: Mapping[str, object]) -> list[Sequence[Array]] | None:
    """Returns: the samples that are to decide about the precision, [] for noise, None for no decision.

    Raises:
        UsageError: they are no lists of arrays, or none at all.
    """
    samples = options.get("samples")
    if samples is None or not is_auto(options):
        return None
    if samples == "noise":
        return []
    if not isinstance(samples, Sequence) or isinstance(samples, str) or not all(map(_is_feed, samples)):
        raise UsageError("samples are no list of inputs, each a list of arrays", hint="or say 'noise'")
    if not samples:
        raise UsageError("there are no samples in the list", hint="or say 'noise'")
    return list(samples)


def tuned_for(
    model: Model, device: devices.Device, target: Target, seconds: object, tell: Tell | None = None
) -> Target:
    """Returns: the target with the variants that are known to be fastest on this device.

    Args:
        seconds: to spend on finding out more, for this model; None for none.
        tell: is called with lines for people.

    Raises:
        UsageError: ``seconds`` is no positive number.
    """
    known = tuned.recall(device.adapter)
    if seconds is not None:
        from sanderling.engines.webgpu.tune import tune

        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < inf:
            raise UsageError(f"tune is {seconds!r}, expected seconds, more than 0")
        lifted = lift(model).model
        prepared = at_shapes(lifted, [lifted.main.tensors[i].shape for i in lifted.main.inputs])
        found = tune(prepared, device, target, budget_s=float(seconds), known=known, tell=tell)
        known |= found.fastest
        _log.info("%s", found)
        if tell is not None:
            tell(str(found))
        try:
            tuned.keep(device.adapter, found.fastest)
        except OSError as error:
            _log.warning("what was tuned cannot be kept (%s)", error.strerror)
    return replace(target, tuned=known)


def _is_feed(feed: object) -> bool:
    return isinstance(feed, (list, tuple)) and all(isinstance(array, np.ndarray) for array in feed)


def target_of(adapter: gpus.Adapter, *, half: bool = False) -> Target:
    """Returns: what to compile for on an adapter."""
    limits = adapter.limits
    return Target(
        adapter.kernel_limits(), limits["max_storage_buffers_per_shader_stage"],
        limits["max_storage_buffer_binding_size"], limits["max_buffer_size"], half,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which GPU: an adapter by number or a part of its name, and the library to reach it through."""

    device: str | int | None
    library: str | None


def checked(options: Mapping[str, object] | None, threads: int) -> tuple[Wanted, bool, Options]:
    """Returns: the GPU wanted, whether floats are stored as f16, and how to run.

    Raises:
        UsageError: an option is unknown or has a wrong value.
    """
    given = dict(options or {})
    unknown = sorted(set(given) - set(_OPTIONS))
    if unknown:
        raise UsageError(f"engine webgpu has no option {unknown[0]!r}", hint=f"it has: {', '.join(_OPTIONS)}")
    stored, wanted = given.get("precision", "auto"), given.get("device")
    if stored not in _PRECISIONS:
        raise UsageError(f"precision is {stored!r}", hint=f"choose one of: {', '.join(_PRECISIONS)}")
    if wanted is not None and (not isinstance(wanted, (str, int)) or isinstance(wanted, bool)):
        raise UsageError(f"device is {wanted!r}, expected a number or a part of a name")
    library = given.get("library")
    if library is not None and library not in gpus.LIBRARIES:
        raise UsageError(f"library is {library!r}", hint=f"choose one of: {', '.join(gpus.LIBRARIES)}")
    if threads < 1:
        raise UsageError(f"threads is {threads}, expected at least 1")
    trust = given.get("trust", False)
    if not isinstance(trust, bool):
        raise UsageError(f"trust is {trust!r}, expected True or False")
    how = Options(threads, checked_pins(given.get("pin")), trust or settings().trust)
    return Wanted(wanted, None if library is None else str(library)), stored == "float16", how
