"""Int8 weights that are dequantized before use: a quarter of the size, float arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.compress.eligible import WEIGHTS
from sanderling.compress.options import Options
from sanderling.compress.quantizing.quantize import Plan, quantize_weights
from sanderling.compress.quantizing.weights import METHODS, method
from sanderling.compress.technique import Technique, Work
from sanderling.graph.graph import Model

NAME = "weight_only_int8"


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Stores weights as int8 per channel behind DEQUANTIZE.

    Settings:
        weights: ``minmax``, ``percentile``, ``mse``, ``entropy`` or ``octav``: how the weights' scales are
            chosen, per channel.
        bias_correction: take back the shifts that rounding weights causes, where there are samples (on
            when absent).
        keep_float: operators to leave alone.
    """
    options = Options(NAME, settings, ("weights", "keep_float", "bias_correction"))
    plan = Plan(
        NAME,
        keep_float=options.names("keep_float") or (),
        weights=method(options.choice("weights", METHODS, "minmax")),
        correct_bias=options.flag("bias_correction", True),
    )
    return quantize_weights(model, plan, frozenset(WEIGHTS), work, dequantize=True)


TECHNIQUE = Technique(NAME, "int8 weights, float arithmetic: for size, not for speed", apply)
