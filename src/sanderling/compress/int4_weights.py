"""Int4 weights for convolutions and fully connected layers, int8 for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.compress.damage.four_bits import worst_in_four_bits
from sanderling.compress.eligible import WEIGHTS, operator_name, require_float
from sanderling.compress.options import Options
from sanderling.compress.quantizing.choose_ranges import CALIBRATIONS
from sanderling.compress.quantizing.quantize import Plan, quantize, quantize_weights
from sanderling.compress.quantizing.weights import METHODS, method
from sanderling.compress.static_int8 import KNOWN, integers, learns, one_scale, schedule
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Graph, Model

NAME = "int4_weights"
FOUR_BIT = ("CONV_2D", "FULLY_CONNECTED")
ENDS = ("none", "first", "both")
MODES = ("dynamic", "weight_only", "static")


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Stores the weights of CONV_2D and FULLY_CONNECTED as int4 per channel, all others as int8.

    Settings:
        mode: ``dynamic`` (activations quantized at run time), ``weight_only`` (float arithmetic) or
            ``static`` (int8 activations, needs calibration).
        weights: ``octav`` (when absent) or another of ``weights.METHODS``: how scales are chosen.
        calibration, percentile, io, everything, activations, one_scale: as for ``static_int8``, with ``mode``
            static.
        operators: ``CONV_2D``, ``FULLY_CONNECTED`` or both (when absent): whose weights have 4 bits.
        bias_correction: take back the shifts that rounding weights causes, where there are samples (on
            when absent).
        keep_float: operators to leave alone.
        rounding: as for ``static_int8``.
        minutes, steps, seed: as for ``static_int8``, with ``mode`` static.
        ends: which weights stay int8 because most depends on them: those of the ``first`` operator (when
            absent), of ``both`` the first and the last, or ``none``.
        eight_bit_share: of the other weights, so much stays int8, too, 0 to 1 (0 when absent): where 4 bits
            were measured to do most damage for their size. Needs samples.
    """
    options = Options(NAME, settings, ("mode", "ends", "eight_bit_share", "operators", *KNOWN))
    four_bit = _operators(options)
    mode = options.choice("mode", MODES, "dynamic")
    activations = integers(options, options.choice("calibration", CALIBRATIONS, "minmax"))
    weights = method(options.choice("weights", METHODS, "octav"))
    spared = _ends(model.main, options.choice("ends", ENDS, "first"), four_bit)
    share = options.number("eight_bit_share", 0.0, 0.0, 1.0)
    if share > 0:
        require_float(model, NAME)
        spared += worst_in_four_bits(model, four_bit, share, weights, work, spared)
    plan = Plan(
        NAME,
        keep_float=options.names("keep_float") or (),
        weights=weights,
        four_bit=four_bit,
        correct_bias=options.flag("bias_correction", True),
        eight_bit=spared,
        learn=learns(options, work),
        schedule=schedule(options),
        one_scale=one_scale(options),
    )
    if plan.schedule is not None and mode != "static":
        raise RecipeError(f"{NAME} trains with mode static only", hint="give mode static, or no minutes")
    if mode == "static":
        return quantize(model, plan, activations, work)
    return quantize_weights(model, plan, frozenset(WEIGHTS), work, dequantize=mode == "weight_only")


def _operators(options: Options) -> tuple[str, ...]:
    given = options.names("operators")
    if given is None:
        return FOUR_BIT
    if not given or not set(given) <= set(FOUR_BIT):
        raise RecipeError(f"{NAME}: operators is {list(given)}", hint=f"name some of {', '.join(FOUR_BIT)}")
    return tuple(given)


def _ends(graph: Graph, which: str, four_bit: Sequence[str]) -> list[str]:
    """Returns: the names of the operators at the ends of a graph."""
    names = [operator_name(graph, node) for node in graph.nodes if node.op in four_bit]
    if len(names) < 2:  # an only operator is what int4 is asked for
        return []
    return {"none": [], "first": names[:1], "both": [*names[:1], *names[-1:]]}[which]


TECHNIQUE = Technique(NAME, "int4 weights where LiteRT has kernels, int8 elsewhere: the smallest file", apply)
