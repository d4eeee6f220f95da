"""Int8 weights, activations quantized at run time: needs no samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.compress.eligible import WEIGHTS
from sanderling.compress.options import Options
from sanderling.compress.quantizing.quantize import Plan, quantize_weights
from sanderling.compress.quantizing.weights import METHODS, method
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Model

NAME = "dynamic_int8"


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Quantizes weights to int8 per channel; LiteRT quantizes activations as it runs.

    Settings:
        operators: only these operators, by TFLite's names; all supported ones when absent. On CPUs with
            XNNPACK, ``["CONV_2D", "FULLY_CONNECTED"]`` is often faster: it has no dynamic depthwise kernel.
        weights: ``minmax``, ``percentile``, ``mse``, ``entropy`` or ``octav``: how the weights' scales are
            chosen, per channel.
        bias_correction: take back the shifts that rounding weights causes, where there are samples (on
            when absent).
        keep_float: operators to leave alone.
    """
    options = Options(NAME, settings, ("operators", "weights", "keep_float", "bias_correction"))
    operators = options.names("operators") or sorted(WEIGHTS)
    check_operators(NAME, operators, frozenset(WEIGHTS))
    plan = Plan(
        NAME,
        keep_float=options.names("keep_float") or (),
        weights=method(options.choice("weights", METHODS, "minmax")),
        correct_bias=options.flag("bias_correction", True),
    )
    return quantize_weights(model, plan, frozenset(operators), work, dequantize=False)


def check_operators(
    technique: str, operators: tuple[str, ...] | list[str], supported: frozenset[str]
) -> None:
    """Makes sure that a technique has all the operators that a recipe names.

    Raises:
        RecipeError: it has not.
    """
    for op in operators:
        if op not in supported:
            raise RecipeError(
                f"{technique} cannot quantize '{op}'", hint=f"it quantizes {', '.join(sorted(supported))}"
            )


TECHNIQUE = Technique(NAME, "int8 weights, activations quantized while running; no samples needed", apply)
