"""Int4 weights for convolutions and fully connected layers, int8 for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling.compress import _litert_quantizer as quantizer
from sanderling.compress import quantizer_rules as rules
from sanderling.compress.applied import Applied
from sanderling.compress.choose_ranges import CALIBRATIONS, chooser
from sanderling.compress.options import Options
from sanderling.compress.quantize import Plan, quantize
from sanderling.compress.static_int8 import IO
from sanderling.compress.technique import Technique, Work
from sanderling.compress.weights import METHODS, method
from sanderling.graph.graph import Model

NAME = "int4_weights"
FOUR_BIT = ("CONV_2D", "FULLY_CONNECTED")
MODES = ("dynamic", "weight_only", "static")


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Stores the weights of CONV_2D and FULLY_CONNECTED as int4 per channel, all others as int8.

    Settings:
        mode: ``dynamic`` (activations quantized at run time), ``weight_only`` (float arithmetic) or
            ``static`` (int8 activations, needs calibration).
        weights: ``octav`` (when absent), ``mse`` or ``minmax``: how the weights' scales are chosen.
        calibration, percentile, io: as for ``static_int8``, with ``mode`` static.
        bias_correction: take back the shifts that rounding weights causes, where there are samples (on
            when absent).
        keep_float: operators to leave alone.
    """
    options = Options(
        NAME,
        settings,
        ("mode", "weights", "calibration", "percentile", "io", "keep_float", "bias_correction"),
    )
    mode = options.choice("mode", MODES, "dynamic")
    weights = method(options.choice("weights", METHODS, "octav"))
    calibration = options.choice("calibration", CALIBRATIONS, "minmax")
    percent = options.number("percentile", 99.99, 50.0, 100.0)
    io = options.choice("io", IO, "keep")
    shared: dict[str, Any] = {
        "keep_float": options.names("keep_float") or (),
        "weights": weights,
        "four_bit": FOUR_BIT,
        "correct_bias": options.flag("bias_correction", True),
    }
    if mode == "static":
        asked = rules.static(float_io=io != "int8", four_bit=FOUR_BIT)
        supported = quantizer.supported("static_wi8_ai8")
        plan = Plan(NAME, supported, asked, ranges=chooser(calibration, percent), **shared)
        return quantize(model, plan, work)
    dynamic = mode == "dynamic"
    supported = quantizer.supported("dynamic_wi8_afp32" if dynamic else "weightonly_wi8_afp32")
    operators = [quantizer.quantizer_operator(op) for op in sorted(supported)]
    make = rules.dynamic if dynamic else rules.weight_only
    plan = Plan(NAME, supported, make(operators, four_bit=FOUR_BIT), weights_only=True, **shared)
    return quantize(model, plan, work)


TECHNIQUE = Technique(NAME, "int4 weights where LiteRT has kernels, int8 elsewhere: the smallest file", apply)
