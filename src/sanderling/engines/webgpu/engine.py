"""The engine: says what it takes, and loads it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np

from sanderling.engines.webgpu import device as devices
from sanderling.engines.webgpu import precision, tuned
from sanderling.engines.webgpu.compile import Target
from sanderling.engines.webgpu.places import HELD
from sanderling.engines.webgpu.remember import Memory, hash_of, recall
from sanderling.engines.webgpu.runner import Options, WebGPURunner
from sanderling.engines.webgpu.shapes import at_shapes
from sanderling.engines.webgpu.state import STATE_OPS, lift
from sanderling.engines.webgpu.tune import Tell, tune
from sanderling.engines.webgpu.verdicts import checked_pins, known_by, verdict
from sanderling.errors import UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import YES, Array, Verdict, no
from sanderling.settings import settings

_OPTIONS = ("device", "pin", "precision", "samples", "trust", "tune")
_log = logging.getLogger("sanderling.webgpu")
_PRECISIONS = ("auto", "float32", "float16")


class WebGPU:
    """Our own kernels on any GPU that Vulkan, Metal or D3D12 reaches; what they cannot do, LiteRT does."""

    name = "webgpu"

    def available(self) -> Verdict:
        """Returns: whether there are ``wgpu`` and a GPU adapter."""
        try:
            found = devices.adapters()
        except (ImportError, OSError, RuntimeError) as error:
            return no(f"wgpu cannot be used ({error}); {devices.INSTALL}")
        return YES if found else no(f"there is no Vulkan, Metal or D3D12 adapter; {devices.NO_DRIVER}")

    def version(self) -> str:
        """Returns: the version of ``wgpu``."""
        from importlib.metadata import version

        return version("wgpu")

    def supports(self, model: Model) -> list[Verdict]:
        """Returns: for every node of the main graph, whether it can run on a GPU, or why it stays on the CPU,
        naming the tensor and the cause. Needs no GPU."""
        lifted = lift(model)
        fixed = lifted.model.main
        shapes = [fixed.tensors[i].shape for i in fixed.inputs]
        prepared, usual = at_shapes(lifted.model, shapes).main, Target()
        found = {
            known_by(node): verdict(prepared, node, usual.kernels, usual.binding_bytes)
            for node in prepared.nodes
            if node.outputs
        }
        stuck = no(lifted.reason or HELD)
        return [
            stuck if node.op in STATE_OPS else found.get(known_by(node), YES) for node in model.main.nodes
        ]

    def load(
        self, path: Path, model: Model, *, threads: int = 1, options: Mapping[str, object] | None = None
    ) -> WebGPURunner:
        """Loads a verified model: as much of it onto the GPU as is sensible, the rest into LiteRT.

        Args:
            path: the file, for messages and to remember what is found out.
            model: what ``tflite.read`` gives for it.
            threads: of the CPU.
            options: ``device``: number or part of the name of an adapter; ``precision``: ``"float32"``;
                ``"float16"`` (values between kernels and weights are stored in 16 bits); ``"auto"``, the
                same for every tensor where ``samples`` (a list of inputs, each a list of arrays; or
                ``"noise"``) lose little by it: found once, remembered, 32 bits without them;
                ``tune``: seconds to spend on timing the variants of its kernels, which is remembered and
                from then on used for every model; ``pin``: operators by number, output or kind → ``"cpu"``
                or ``"gpu"``; ``trust``: do not compare the GPU's first answer with LiteRT's.

        Raises:
            ModelError: an operator runs neither on the GPU nor in LiteRT, with the reason.
            UsageError: an option is unknown or has a wrong value, or there is no such device.
        """
        return load(path, model, threads=threads, options=options)


def load(
    path: Path,
    model: Model,
    *,
    threads: int = 1,
    options: Mapping[str, object] | None = None,
    tell: Tell | None = None,
) -> WebGPURunner:
    """``WebGPU.load``, which may tell people what it is at.

    Args:
        tell: is called with a line for every operator that is tuned.
    """
    wanted, half, how = checked(options, threads)
    given, device = options or {}, devices.open_device(wanted)
    memory = recall(hash_of(path), device.adapter, precision=given.get("precision", "auto"))
    target, reason = precise(path, model, device, half, given, memory, how, tell)
    return WebGPURunner(path, model, device, target, replace(how, precision=reason), memory)


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


def target_of(adapter: devices.Adapter, *, half: bool = False) -> Target:
    """Returns: what to compile for on an adapter."""
    limits = adapter.limits
    return Target(
        adapter.kernel_limits(), limits["max_storage_buffers_per_shader_stage"],
        limits["max_storage_buffer_binding_size"], limits["max_buffer_size"], half,
    )  # fmt: skip


def checked(options: Mapping[str, object] | None, threads: int) -> tuple[str | int | None, bool, Options]:
    """Returns: the device wanted, whether floats are stored as f16, and how to run.

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
    if threads < 1:
        raise UsageError(f"threads is {threads}, expected at least 1")
    trust = bool(given.get("trust", False)) or settings().trust
    how = Options(threads, checked_pins(given.get("pin")), trust)
    return wanted, stored == "float16", how
