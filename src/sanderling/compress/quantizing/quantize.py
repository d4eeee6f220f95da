"""What the quantizing techniques share: prepare, choose, write, account."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial

from sanderling.compress.applied import Applied, FloatOperator, summarize
from sanderling.compress.calibration import load_feeds
from sanderling.compress.eligible import (
    NO_WEIGHTS,
    SILENT,
    WEIGHTS,
    Eligibility,
    check_names,
    judge,
    operator_name,
    require_float,
    weights_of,
)
from sanderling.compress.learning.pupils import trainable
from sanderling.compress.prepare import fold, nameless
from sanderling.compress.quantizing.bias_correction import correct_biases
from sanderling.compress.quantizing.choose_ranges import Choose
from sanderling.compress.quantizing.distil_quantized import distil_quantized
from sanderling.compress.quantizing.histogram import Range
from sanderling.compress.quantizing.integer_operators import BETWEEN, POSITIVE_ONLY, between_floats, why_float
from sanderling.compress.quantizing.ranges import Histograms, observe
from sanderling.compress.quantizing.rounding import Runs, Weights, learn_rounding
from sanderling.compress.quantizing.scales import assign_scales
from sanderling.compress.quantizing.scheme import Scheme, is_real
from sanderling.compress.quantizing.stored import representable
from sanderling.compress.quantizing.weights import (
    Method,
    WeightRange,
    rescalable,
    store_weights,
    weight_ranges,
)
from sanderling.compress.quantizing.write_integer import write_integer
from sanderling.compress.quantizing.write_weights import write_weights
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import DType
from sanderling.tflite import write
from sanderling.training.teach import Schedule


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for.

    Attributes:
        technique: for messages.
        keep_float: operators that the recipe keeps float.
        weights: how ranges of weights are chosen.
        four_bit: kinds of operators whose weights become int4.
        correct_bias: take back the shifts that rounding weights causes, where there are samples.
        eight_bit: operators, by the name of their first output, whose weights stay int8 all the same.
        learn: choose the integers by what the operators give on the samples (see ``rounding``).
        schedule: train the integer network towards the float one; None: not at all.
        one_scale: kinds of operators whose weights have one scale, and not one for each channel.
    """

    technique: str
    keep_float: Collection[str] = ()
    weights: Method = "minmax"
    four_bit: Collection[str] = ()
    correct_bias: bool = True
    eight_bit: Collection[str] = ()
    learn: bool = False
    schedule: Schedule | None = None
    one_scale: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Integers:
    """How activations become integers.

    Attributes:
        ranges: (graph, histograms) → range of each tensor.
        ports: the model's inputs and outputs become integers too.
        slow_too: integers wherever LiteRT has a kernel, and not only where they pay.
        dtype: INT8 or INT16.
        narrow_too: integers also for convolutions of images with few channels.
    """

    ranges: Choose
    ports: bool = False
    slow_too: bool = False
    dtype: DType = DType.INT8
    narrow_too: bool = True


def quantize(model: Model, plan: Plan, integers: Integers, work: Work) -> tuple[Model, Applied]:
    """Quantizes weights and activations of a float model.

    Raises:
        RecipeError: it is quantized already, has nothing to quantize, a name of ``keep_float`` is unknown,
            or feeds are missing.
    """
    folded = _folded(model, plan)
    if plan.schedule is not None:
        folded = trainable(folded)
    found, scheme = design(folded, plan, integers, work)
    graph = found.graph
    if plan.learn:
        scheme = replace(scheme, quants=assign_scales(graph, scheme).home)
        graph, weights = learn_rounding(
            folded, graph, scheme.nodes, scheme.weights, partial(_in_integers, scheme), _runs(work)
        )
        scheme = replace(scheme, weights=weights)
    notes: tuple[str, ...] = ()
    if plan.schedule is not None:
        graph, scheme, taught = distil_quantized(folded, graph, scheme, plan.schedule, work)
        notes = taught.told()
    done = compact(folded.with_main(write_integer(graph, scheme)))
    applied = _applied(folded.main, found.eligible)
    return done, replace(applied, notes=(*notes, *applied.notes))


def _in_integers(scheme: Scheme, graph: Graph, weights: Weights) -> Graph:
    """Returns: the graph in integers with other weights, its outputs in float."""
    return write_integer(graph, replace(scheme, weights=weights, integer_ports=False))


def _runs(work: Work) -> Runs:
    assert work.calibration is not None
    return Runs(load_feeds(work.calibration), work.folder, work.threads)


@dataclass(frozen=True, slots=True)
class Design:
    """A graph ready to be written (with corrected biases), and why each operator is or is not quantized."""

    graph: Graph
    eligible: Eligibility


def design(folded: Model, plan: Plan, integers: Integers, work: Work) -> tuple[Design, Scheme]:
    """Chooses what to quantize and how, without doing it: callers with weights of their own replace them.

    Args:
        folded: a float model as ``prepare.fold`` gives it, compacted.

    Raises:
        RecipeError: as for ``quantize``.
    """
    graph = folded.main
    reason = partial(
        why_float, slow_too=integers.slow_too, narrow_too=integers.narrow_too, activations=integers.dtype
    )
    eligible = judge(graph, reason, keep_float=plan.keep_float)
    _require_some(folded, plan, eligible)
    observed = histograms(folded, plan.technique, work)
    ranges = integers.ranges(graph, observed)
    eligible = _observed(graph, eligible, ranges)
    if not (integers.slow_too or integers.ports):
        eligible = _settled(graph, eligible)
    _require_some(folded, plan, eligible)
    scheme = Scheme(eligible.chosen, ranges, activations=integers.dtype, integer_ports=integers.ports)
    scheme, weights = _with_weights(graph, scheme, plan)
    if plan.correct_bias:
        bounds = {w.tensor: w.bounds for w in weights}
        graph = correct_biases(graph, eligible.chosen, bounds, observed, _four_bit(graph, plan))
    return Design(graph, eligible), scheme


def quantize_weights(
    model: Model, plan: Plan, operators: Collection[str], work: Work, *, dequantize: bool
) -> tuple[Model, Applied]:
    """Quantizes the weights of some kinds of operators; activations stay float.

    Args:
        dequantize: see ``write_weights``.

    Raises:
        RecipeError: as for ``quantize``; feeds may be missing.
    """
    folded = _folded(model, plan)
    graph = folded.main
    eligible = judge(
        graph,
        lambda _, node: "" if node.op in operators else NO_WEIGHTS,
        keep_float=plan.keep_float,
        weights_only=True,
    )
    _require_some(folded, plan, eligible)
    narrow = _four_bit(graph, plan)
    weights = weight_ranges(graph, eligible.chosen, plan.weights, four_bit=narrow)
    stored = store_weights(graph, eligible.chosen, weights, narrow)
    if plan.correct_bias and work.calibration is not None:
        observed = histograms(folded, plan.technique, work)
        bounds = {w.tensor: w.bounds for w in weights}
        graph = correct_biases(graph, eligible.chosen, bounds, observed, narrow)
    if plan.learn and work.calibration is not None:
        write = partial(_with_integers, eligible.chosen)
        graph, stored = learn_rounding(folded, graph, eligible.chosen, stored, write, _runs(work))
    written = write_weights(graph, eligible.chosen, stored, dequantize=dequantize)
    return compact(folded.with_main(written)), _applied(folded.main, eligible)


def _with_integers(nodes: Collection[int], graph: Graph, weights: Weights) -> Graph:
    """Returns: the graph with rounded weights and float activations."""
    return write_weights(graph, nodes, weights, dequantize=True)


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
    write(nameless(folded), file)
    return observe(file, folded, load_feeds(work.calibration), threads=work.threads)


def _folded(model: Model, plan: Plan) -> Model:
    check_names(model, plan.keep_float, plan.technique)
    folded = compact(fold(model))
    require_float(folded, plan.technique)
    return folded


def _observed(graph: Graph, eligible: Eligibility, ranges: Mapping[int, Range]) -> Eligibility:
    """Leaves operators float whose tensors were never computed, or hold what only float can answer."""
    reasons = list(eligible.reasons)
    for position in eligible.chosen:
        node = graph.nodes[position]
        tensors = [(i, graph.tensors[i]) for i in (*node.inputs, *node.outputs) if i >= 0]
        if any(is_real(t) and not t.is_constant and i not in ranges for i, t in tensors):
            reasons[position] = "its values were never computed on the calibration samples"
        elif node.op in POSITIVE_ONLY and ranges.get(node.inputs[0], (0.0, 0.0))[0] < 0:
            reasons[position] = "negative numbers come to it"
    return Eligibility(tuple(reasons))


def _settled(graph: Graph, eligible: Eligibility) -> Eligibility:
    back = between_floats(graph, set(eligible.chosen))
    return Eligibility(tuple(BETWEEN if p in back else r for p, r in enumerate(eligible.reasons)))


def _with_weights(graph: Graph, scheme: Scheme, plan: Plan) -> tuple[Scheme, list[WeightRange]]:
    """Chooses integers for the weights, and widens results that are too small for integer rescaling."""
    homes = assign_scales(graph, scheme).home
    settled = {i: representable(q, scheme.activations) for i, q in homes.items()}
    narrow = _four_bit(graph, plan)
    weights = weight_ranges(
        graph,
        scheme.nodes,
        plan.weights,
        four_bit=narrow,
        activations=settled,
        one_scale=plan.one_scale,
    )
    widened = rescalable(graph, scheme.nodes, settled, weights)
    ranges = dict(scheme.ranges) | {i: r for i, r in widened.items() if r != settled[i]}
    stored = store_weights(graph, scheme.nodes, weights, narrow)
    return replace(scheme, ranges=ranges, weights=stored), weights


def _four_bit(graph: Graph, plan: Plan) -> frozenset[int]:
    """Returns: positions of the nodes whose weights become int4."""
    return frozenset(
        position
        for position, node in enumerate(graph.nodes)
        if node.op in plan.four_bit and operator_name(graph, node) not in plan.eight_bit
    )


def _require_some(folded: Model, plan: Plan, eligible: Eligibility) -> None:
    if eligible.chosen:
        return
    graph = folded.main
    pairs = list(zip(graph.nodes, eligible.reasons, strict=True))
    weighted = [r for n, r in pairs if n.op in WEIGHTS and weights_of(graph, n) is not None]
    reasons = sorted({r for r in weighted or eligible.reasons if r and r not in SILENT})
    why = f" ({'; '.join(reasons[:3])})" if reasons else ""
    raise RecipeError(f"{plan.technique} finds no operator to quantize{why}", where=folded.name)


def _applied(graph: Graph, eligible: Eligibility) -> Applied:
    left = tuple(
        FloatOperator(operator_name(graph, node), node.kind, reason)
        for node, reason in zip(graph.nodes, eligible.reasons, strict=True)
        if reason and reason not in SILENT and node.outputs
    )
    return Applied("", tuple(summarize(left)), left)
