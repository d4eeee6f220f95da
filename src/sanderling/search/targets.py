"""What a model may be optimized for: which engines may run the winner there, and whether that is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sanderling.engines import registry
from sanderling.errors import MissingExtra, UsageError
from sanderling.measure.vela import NPUS
from sanderling.measure.vela import USUAL as USUAL_NPU
from sanderling.search.bench import USUAL


@dataclass(frozen=True, slots=True)
class Target:
    """A place where a winner runs.

    Attributes:
        elsewhere: what it is where it is not this machine: ``a Raspberry Pi``; "" where it is.
        engines: what may run the winner there beside LiteRT; None: all that auto may choose on the processor.
        runs_on: the engine that imitates what runs there, on which every candidate is run and judged.
        integers: only whole integers run there, inputs and outputs included.
        npu: whose compiler estimates times and memory; "" where they are measured.
    """

    elsewhere: str = ""
    engines: tuple[str, ...] | None = ()
    runs_on: str = USUAL
    integers: bool = False
    npu: str = ""


def _ethos_u(npu: str) -> Target:
    """What an NPU computes, TFLite Micro computes bit for bit."""
    return Target(f"an {npu}", runs_on="tflite_micro", integers=True, npu=npu)


TARGETS: Mapping[str, Target] = {
    "cpu": Target(engines=None),
    "gpu": Target(engines=("webgpu", "litert_gpu")),
    "openvino": Target(engines=("openvino",)),
    "raspberry-pi": Target("a Raspberry Pi"),
    "android": Target("an Android phone"),
    "ios": Target("an iPhone"),
    "web": Target("a browser"),
    "microcontroller": Target("a microcontroller", runs_on="tflite_micro", integers=True),
    "hexagon": Target("a Snapdragon's NPU", integers=True),
    "ethos-u": _ethos_u(USUAL_NPU),
    **{npu: _ethos_u(npu) for npu in NPUS},
}
_GPU = ("webgpu", "litert_gpu")


def others(target: str) -> tuple[str, ...]:
    """Returns: the variants, beside LiteRT's, in which a target may run a model here, as people write them.

    An engine that a target names takes part even where it would have to be named: whoever asks for a GPU
    wants to see what the one that there is can do.
    """
    named = TARGETS[target].engines
    if named is not None:
        return tuple(str(v) for v in registry.every_variant() if v.engine in named)
    return tuple(str(v) for v in registry.every_variant() if v.choose and v.engine not in (USUAL, *_GPU))


def missing(target: str) -> str:
    """Returns: why no other engine runs the winner."""
    named = TARGETS[target].engines
    if named is None:
        return "no other engine is installed"
    if not named:
        return f"on {TARGETS[target].elsewhere} LiteRT runs it"
    reasons = [f"{name}: {ready.reason}" for name in named if not (ready := registry.find(name).available())]
    return "; ".join(reasons)


def runs_on(target: str, local: bool) -> str:
    """Returns: the engine that candidates run on.

    Args:
        local: candidates run on this machine.

    Raises:
        UsageError: the engine that imitates the target is not on another machine.
        MissingExtra: it is not installed.
    """
    engine = TARGETS[target].runs_on
    if engine == USUAL:
        return engine
    if not local:
        raise UsageError(
            f"{TARGETS[target].elsewhere} is imitated on this machine only",
            where="device",
            hint="leave it out",
        )
    if not registry.find(engine).available():
        raise MissingExtra(f"optimizing for {TARGETS[target].elsewhere}", "micro")
    return engine
