"""Int8 weights and activations, with ranges found on samples; with ``keep_float``, mixed precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.compress.options import Options
from sanderling.compress.quantizing.choose_ranges import CALIBRATIONS, chooser
from sanderling.compress.quantizing.quantize import Integers, Plan, quantize
from sanderling.compress.quantizing.weights import AXIS, METHODS, method
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Model
from sanderling.graph.types import DType
from sanderling.training.teach import Schedule

NAME = "static_int8"
ROUNDINGS = ("nearest", "learned")
IO = ("float", "int8", "keep")
KNOWN = (
    "calibration", "percentile", "weights", "io", "keep_float", "bias_correction", "everything",
    "activations", "narrow", "rounding", "minutes", "steps", "seed", "one_scale",
)  # fmt: skip


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Quantizes weights (per channel) and activations (per tensor) to int8.

    Settings:
        calibration: how activations' ranges are chosen: ``minmax``; ``percentile`` (see below); ``mse``:
            the range of smallest squared error; ``entropy``: of least relative entropy; ``octav``:
            ``minmax`` with OCTAV's weight scales.
        percentile: for ``percentile``: the share of values to keep, in percent (99.99 when absent).
        weights: ``minmax``, ``percentile``, ``mse``, ``entropy`` or ``octav``: how the weights' scales are
            chosen, per channel.
        io: ``float`` or ``keep``: inputs and outputs stay as they are; ``int8``: they become int8.
        bias_correction: take back the shifts that rounding weights causes, where there are samples (on
            when absent).
        keep_float: operators to leave in float, by the name of their first output tensor.
        everything: integers wherever LiteRT has a kernel for them, for hardware without float arithmetic;
            false: float where LiteRT's integer kernel is slower than float with its conversions. True when
            absent and ``io`` is ``int8``, else false.
        narrow: false leaves convolutions of images with up to 4 channels in float: LiteRT's int8 kernel pads
            them to 8, which float does not (true when absent).
        rounding: ``nearest`` (when absent), or ``learned``: weights are rounded so that every operator's
            results stay close to the original's, at seconds per operator (see ``rounding``).
        one_scale: kinds of operators whose weights have one scale for all channels (none when absent): TFLite
            Micro keeps eight bytes of its arena for every channel that has its own.
        minutes: time for training the integer network towards the float one, which needs the extra
            ``train`` (0 when absent: not at all).
        steps: of training, instead of as many as ``minutes`` allow.
        seed: of training.
        activations: ``int8`` or ``int16`` (16-bit activations with int8 weights: exact but slow).
    """
    options = Options(NAME, settings, KNOWN)
    calibration = options.choice("calibration", CALIBRATIONS, "minmax")
    default_weights = "octav" if calibration == "octav" else "minmax"
    plan = Plan(
        NAME,
        keep_float=options.names("keep_float") or (),
        weights=method(options.choice("weights", METHODS, default_weights)),
        correct_bias=options.flag("bias_correction", True),
        learn=learns(options, work),
        schedule=schedule(options),
        one_scale=one_scale(options),
    )
    return quantize(model, plan, integers(options, calibration), work)


def one_scale(options: Options) -> tuple[str, ...]:
    """Reads which operators' weights have one scale.

    Raises:
        RecipeError: one is no operator with a scale for each channel.
    """
    kinds = tuple(options.names("one_scale") or ())
    if not set(kinds) <= set(AXIS):
        raise RecipeError(f"one_scale is {', '.join(kinds)}", hint=f"name some of {', '.join(AXIS)}")
    return kinds


def learns(options: Options, work: Work) -> bool:
    """Reads whether rounding is to be learned.

    Raises:
        RecipeError: it is, and there are no samples.
    """
    learned = options.choice("rounding", ROUNDINGS, "nearest") == "learned"
    if learned and work.calibration is None:
        raise RecipeError("rounding is to be learned, and there are no samples", hint="give --samples")
    return learned


def schedule(options: Options) -> Schedule | None:
    """Reads how long to train, None for not at all."""
    minutes = options.number("minutes", 0.0, 0.0, 10_000.0)
    if not minutes:
        return None
    steps = int(options.number("steps", 0, 0, 1e7))
    return Schedule(minutes, steps or None, seed=int(options.number("seed", 0, 0, 2**31)))


def integers(options: Options, calibration: str) -> Integers:
    """Reads how activations are to be quantized from a technique's settings."""
    ports = options.choice("io", IO, "keep") == "int8"
    wide = options.choice("activations", ("int8", "int16"), "int8") == "int16"
    return Integers(
        chooser(calibration, options.number("percentile", 99.99, 50.0, 100.0)),
        ports=ports,
        slow_too=options.flag("everything", ports),
        dtype=DType.INT16 if wide else DType.INT8,
        narrow_too=options.flag("narrow", True),
    )


TECHNIQUE = Technique(
    NAME, "int8 weights and activations with ranges from samples: the fastest on most CPUs", apply, True
)
