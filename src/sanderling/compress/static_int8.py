"""Int8 weights and activations, with ranges found on samples; with ``keep_float``, mixed precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling.compress import _litert_quantizer as quantizer
from sanderling.compress import quantizer_rules as rules
from sanderling.compress.applied import Applied
from sanderling.compress.choose_ranges import CALIBRATIONS, chooser
from sanderling.compress.options import Options
from sanderling.compress.quantize import Plan, quantize
from sanderling.compress.technique import Technique, Work
from sanderling.compress.weights import METHODS, method
from sanderling.graph.graph import Model

NAME = "static_int8"
IO = ("float", "int8", "keep")


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Quantizes weights (per channel) and activations (per tensor) to int8.

    Settings:
        calibration: how activations' ranges are chosen: ``minmax``; ``percentile`` (see below); ``mse``:
            the range of smallest squared error; ``octav``: ``minmax`` with OCTAV's weight scales.
        percentile: for ``percentile``: the share of values to keep, in percent (99.99 when absent).
        weights: ``minmax``, ``mse`` or ``octav``: how the weights' scales are chosen.
        io: ``float`` or ``keep``: inputs and outputs stay as they are; ``int8``: they become int8.
        bias_correction: take back the shifts that rounding weights causes, where there are samples (on
            when absent).
        keep_float: operators to leave in float, by the name of their first output tensor.
    """
    options = Options(
        NAME, settings, ("calibration", "percentile", "weights", "io", "keep_float", "bias_correction")
    )
    supported = quantizer.supported("static_wi8_ai8")
    calibration = options.choice("calibration", CALIBRATIONS, "minmax")
    default_weights = "octav" if calibration == "octav" else "minmax"
    weights = method(options.choice("weights", METHODS, default_weights))
    plan = Plan(
        NAME,
        supported=supported,
        rules=rules.static(float_io=options.choice("io", IO, "keep") != "int8"),
        keep_float=options.names("keep_float") or (),
        weights=weights,
        correct_bias=options.flag("bias_correction", True),
        ranges=chooser(calibration, options.number("percentile", 99.99, 50.0, 100.0)),
    )
    return quantize(model, plan, work)


TECHNIQUE = Technique(
    NAME, "int8 weights and activations with ranges from samples: the fastest on most CPUs", apply, True
)
