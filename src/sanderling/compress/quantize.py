"""What all techniques behind litert-quantizer share: prepare, choose, quantize, put back, account."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from sanderling.compress import _litert_quantizer as quantizer
from sanderling.compress.applied import Applied, FloatOperator, summarize
from sanderling.compress.bias_correction import correct_biases
from sanderling.compress.calibration import load_feeds
from sanderling.compress.choose_ranges import Choose
from sanderling.compress.eligible import (
    SILENT,
    Eligibility,
    check_names,
    judge,
    operator_name,
    require_float,
    weights_of,
)
from sanderling.compress.histogram import Range
from sanderling.compress.prepare import fold, given_names, origin, quantizer_name, restore
from sanderling.compress.quantizer_rules import Rule, keeping_float
from sanderling.compress.ranges import Histograms, observe
from sanderling.compress.technique import Work
from sanderling.compress.weights import Method, WeightRange, rescalable, weight_ranges
from sanderling.errors import RecipeError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import DType
from sanderling.tflite import read, write


@dataclass(frozen=True, slots=True)
class Plan:
    """What to ask of the quantizer.

    Attributes:
        technique: for messages.
        supported: operators that are to be quantized.
        rules: for the whole model; what stays float is added here.
        keep_float: operators that the recipe keeps float.
        weights_only: activations stay float.
        ranges: (graph, histograms) → range of each tensor, for static quantization.
        weights: how ranges of weights are chosen.
        four_bit: operators whose weights become int4.
        correct_bias: take back the shifts that rounding weights causes, where there are samples.
    """

    technique: str
    supported: Collection[str]
    rules: list[Rule]
    keep_float: Collection[str] = ()
    weights_only: bool = False
    ranges: Choose | None = None
    weights: Method = "minmax"
    four_bit: Collection[str] = ()
    correct_bias: bool = True


def quantize(model: Model, plan: Plan, work: Work) -> tuple[Model, Applied]:
    """Quantizes a float model.

    Raises:
        RecipeError: it is quantized already, has nothing to quantize, a name of ``keep_float`` is unknown,
            feeds are missing, or the quantizer failed.
    """
    check_names(model, plan.keep_float, plan.technique)
    folded = compact(fold(model))
    require_float(folded, plan.technique)
    eligible = judge(
        folded.main,
        plan.supported,
        keep_float=plan.keep_float,
        weights_only=plan.weights_only,
    )
    if not eligible.chosen:
        raise RecipeError(_nothing(folded, plan, eligible), where=model.name)
    observed, activations = None, None
    if plan.ranges is not None or (plan.correct_bias and work.calibration is not None):
        observed = histograms(folded, plan.technique, work)
    if plan.ranges is not None and observed is not None:
        activations = plan.ranges(folded.main, observed)
        eligible = _observed(folded.main, eligible, activations)
    weights = weight_ranges(
        folded.main, eligible.chosen, plan.weights, four_bit=plan.four_bit, activations=activations
    )
    ranges = _ranges(folded.main, eligible, weights, activations or {})
    if plan.correct_bias and observed is not None:
        bounds = {w.tensor: w.bounds for w in weights}
        graph = correct_biases(folded.main, eligible.chosen, bounds, observed, plan.four_bit)
        folded = folded.with_main(graph)
    left = [p for p, reason in enumerate(eligible.reasons) if reason]
    source, out = work.folder / "prepared.tflite", work.folder / "quantized.tflite"
    write(given_names(folded, left), source)
    rules = keeping_float(plan.rules, quantizer.all_operators())
    quantizer.quantize(source, out, rules, ranges)
    quantized = read(out)
    left_float = _left_float(folded, quantized, eligible, plan)
    return restore(quantized, folded), Applied("", tuple(summarize(left_float)), tuple(left_float))


def histograms(folded: Model, technique: str, work: Work) -> Histograms:
    """Observes the folded model's activations on the calibration feeds.

    Raises:
        RecipeError: there are no feeds.
    """
    if work.calibration is None:
        raise RecipeError(
            f"{technique} needs samples to find the ranges of the activations", hint="give --samples"
        )
    # Names of our own and no metadata: the cache then knows the model by what it computes alone.
    file = work.folder / "observed.tflite"
    write(given_names(folded), file)
    return observe(file, folded, load_feeds(work.calibration), threads=work.threads)


def _observed(graph: Graph, eligible: Eligibility, ranges: Mapping[int, Range]) -> Eligibility:
    """Moves operators whose tensors were never computed during calibration to those that stay float."""
    reasons = list(eligible.reasons)
    for position in eligible.chosen:
        node = graph.nodes[position]
        tensors = [(i, graph.tensors[i]) for i in (*node.inputs, *node.outputs) if i >= 0]
        if any(t.dtype is DType.FLOAT32 and not t.is_constant and i not in ranges for i, t in tensors):
            reasons[position] = "its values were never computed on the calibration samples"
    return Eligibility(tuple(reasons))


def _ranges(
    graph: Graph,
    eligible: Eligibility,
    weights: Collection[WeightRange],
    activations: Mapping[int, Range],
) -> dict[str, quantizer.ArrayRange]:
    """Returns: ranges of weights, and of activations where those are quantized, by the quantizer's names."""
    ranges: dict[int, quantizer.ArrayRange] = {w.tensor: (-w.bounds, w.bounds) for w in weights}
    for index, (low, high) in rescalable(graph, eligible.chosen, activations, weights).items():
        ranges[index] = (np.array([low]), np.array([high]))
    left = {t for p, reason in enumerate(eligible.reasons) if reason for t in graph.nodes[p].outputs}
    return {quantizer_name(0, i, stays_float=i in left): r for i, r in ranges.items()}


def _nothing(folded: Model, plan: Plan, eligible: Eligibility) -> str:
    graph = folded.main
    weighted = [
        r for n, r in zip(graph.nodes, eligible.reasons, strict=True) if weights_of(graph, n) is not None
    ]
    reasons = sorted({r for r in weighted or eligible.reasons if r and r not in SILENT})
    why = f" ({'; '.join(reasons[:3])})" if reasons else ""
    return f"{plan.technique} finds no operator to quantize{why}"


def _left_float(folded: Model, quantized: Model, eligible: Eligibility, plan: Plan) -> list[FloatOperator]:
    """Returns: operators with float results (or weights) that the technique might be expected to quantize."""
    graph = folded.main
    done = _quantized_tensors(quantized.main, weights=plan.weights_only)
    left = []
    for node, reason in zip(graph.nodes, eligible.reasons, strict=True):
        touched = any(t in done for t in (node.inputs if plan.weights_only else node.outputs))
        if reason in SILENT or (not reason and touched) or not node.outputs:
            continue
        if not reason and graph.tensors[node.outputs[0]].dtype is not DType.FLOAT32:
            continue
        kind = node.kind
        left.append(
            FloatOperator(operator_name(graph, node), kind, reason or "litert-quantizer left it alone")
        )
    return left


def _quantized_tensors(graph: Graph, *, weights: bool) -> set[int]:
    """Returns: the folded model's tensors that have an integer form in the quantized one."""
    found = set()
    for tensor in graph.tensors:
        came = origin(tensor.name)
        if came is not None and tensor.type.is_quantized and (tensor.is_constant or not weights):
            found.add(came.tensor)
    return found
