"""Cross-layer equalisation: channels of very different size are made alike, and the answers stay the same.

A tensor has one int8 scale; a channel a hundred times smaller than its neighbours is left with two levels of
it. Where an operator is proportional (s · x gives s · f(x)), a channel can be divided by a factor where it is
made and multiplied where it is read: also through residual additions and concatenations, with one factor for
all channels that belong together. Factors are powers of two: float answers stay the same bit for bit.

Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", eqs. 9-11 (by
weights); Xiao et al., "SmoothQuant", eq. 4, moved into the weights that come before (by activations).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.compress.applied import Applied
from sanderling.compress.calibration import load_feeds
from sanderling.compress.eligible import require_float
from sanderling.compress.equalizing.absorb import absorb
from sanderling.compress.equalizing.scale_rules import BOUNDS, activation, scale_rules
from sanderling.compress.equalizing.scaling import Factors, Linear, linears, scaled
from sanderling.compress.fitting.observe import observe
from sanderling.compress.options import Options
from sanderling.compress.prepare import fold
from sanderling.compress.slimming.channels import trace
from sanderling.compress.slimming.tracer import ChannelMap
from sanderling.compress.technique import Technique, Work
from sanderling.errors import RecipeError, SampleError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array, DType

NAME = "equalize"
BY = ("activations", "weights")
BIASES = ("exact", "samples", "keep")
RELU6 = ("keep", "samples", "replace")
TOLERANCE = 1e-5  # of an output's largest value
_ROUNDS = 24
_SETTLED = 0.01
_LARGEST = 2.0**10
_CUT = 0.99  # a channel that comes this close to an activation's bound is cut off by it
_MARGIN = 4.0  # how far below the bound all others stay: inputs that nobody has seen may give more
_CHECKED = 4  # feeds
_SHOWN = 3

Extremes = Mapping[int, npt.NDArray[np.float64]]  # by tensor: [2, channels] lowest and highest values


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Balances channels between consecutive operators with weights.

    Settings:
        by: ``activations`` (when absent and there are samples): the channels of a tensor come to the same
            size, as far as the weights that read them allow; ``weights``: the weights that make a channel and
            those that read it come to the same range, which helps where weights have one scale per tensor.
        bias: ``exact`` (when absent): with samples, the results of operators without an activation are
            centred, and the biases of their readers make up for it; ``samples``: those of RELU, too, where it
            did nothing on the samples, which other inputs may undo; ``keep``.
        relu6: ``keep`` (when absent): channels behind RELU6 and its like keep their size; ``samples``: only
            those that come near the bound on the samples, which other inputs may do with more; ``replace``:
            as ``samples``, and RELU6 becomes RELU wherever no channel came near 6.

    Raises:
        RecipeError: a setting is wrong, no channel can be given another size, or answers would change.
        SampleError, InputMismatch: the feeds cannot be read or do not fit.
    """
    options = Options(NAME, settings, ("by", "bias", "relu6"))
    by = options.choice("by", BY, "activations" if work.calibration is not None else "weights")
    require_float(model, NAME)
    if by == "activations" and work.calibration is None:
        raise RecipeError(f"{NAME} by activations needs samples", hint="give --samples, or by: weights")
    biases = options.choice("bias", BIASES, "exact")
    bounded = options.choice("relu6", RELU6, "keep")
    folded = compact(fold(model))
    found = trace(folded.main, scale_rules(folded.main))
    if not found.groups:
        raise RecipeError(f"{NAME} finds no channels to balance{_why(found)}", where=model.name)
    seen = extremes(folded, found, work) if work.calibration is not None else {}
    graph, opened = _without_bounds(folded.main, seen) if bounded == "replace" else (folded.main, 0)
    factors = balance(graph, found, seen, by=by, through_bounds=bounded != "keep")
    changed = scaled(graph, found, factors)
    notes = [f"{np.count_nonzero(factors != 1)} of {found.count} channels have another size"]
    notes += [f"{opened} operators have RELU in place of RELU6, which never mattered"] if opened else []
    if biases != "keep" and seen:
        after = {index: pair / factors[found.slots[index]] for index, pair in seen.items()}
        changed, moved = absorb(changed, after, through_relu=biases == "samples")
        notes += [f"{moved} channels were moved towards zero"] if moved else []
    done = compact(folded.with_main(changed))
    if work.calibration is not None:
        _check(folded, done, work)
    return done, Applied(notes=tuple(notes))


def extremes(model: Model, found: ChannelMap, work: Work) -> dict[int, npt.NDArray[np.float64]]:
    """Runs a float model for the lowest and the highest value of every channel.

    Args:
        model: folded and compacted.
        found: its channels.
        work: with feeds.

    Returns: by tensor index, for every computed tensor that holds channels and finite values: [2, channels].

    Raises:
        SampleError, InputMismatch: the feeds cannot be read, do not fit, or lead to NaN.
    """
    assert work.calibration is not None
    made = [i for node in model.main.nodes for i in node.outputs if i in found.slots]
    wanted = [i for i in made if model.main.tensors[i].dtype is DType.FLOAT32]
    result: dict[int, npt.NDArray[np.float64]] = {}
    file = work.folder / "equalize.tflite"
    for values in observe(model, wanted, load_feeds(work.calibration), file, threads=work.threads):
        for index, value in values.items():
            rows = value.reshape(-1, value.shape[-1]) if value.ndim else value.reshape(1, 1)
            if rows.size == 0 or rows.shape[1] != found.slots[index].size:
                continue
            pair = np.array([rows.min(0), rows.max(0)], np.float64)
            if np.isnan(pair).any():
                raise SampleError(
                    f"the samples make tensor '{model.main.tensors[index].name}' NaN",
                    where=model.name,
                    hint="check that the samples are preprocessed as the model expects",
                )
            old = result.get(index, pair)
            result[index] = np.array([np.minimum(old[0], pair[0]), np.maximum(old[1], pair[1])])
    return {index: pair for index, pair in result.items() if np.isfinite(pair).all()}


def _without_bounds(graph: Graph, seen: Extremes) -> tuple[Graph, int]:
    """Returns: the graph with RELU for RELU6 where no value came near 6, and how many operators that are."""
    nodes = list(graph.nodes)
    for position, node in enumerate(nodes):
        if activation(node) != "RELU6" or node.outputs[0] not in seen:
            continue
        if seen[node.outputs[0]].max(initial=0.0) >= _CUT * BOUNDS["RELU6"]:
            continue
        attrs = {**node.attrs, "fused_activation_function": "RELU"}
        nodes[position] = replace(node, op="RELU") if node.op == "RELU6" else replace(node, attrs=attrs)
    opened = sum(a != b for a, b in zip(nodes, graph.nodes, strict=True))
    return replace(graph, nodes=tuple(nodes)), opened


@dataclass(frozen=True, slots=True, eq=False)
class _Limits:
    """[count] the smallest factor that each channel may have, and which must keep the factor 1."""

    least: Factors
    fixed: npt.NDArray[np.bool_]


def balance(
    graph: Graph, found: ChannelMap, seen: Extremes, *, by: str = "weights", through_bounds: bool = False
) -> Factors:
    """Chooses the factor of every channel.

    Args:
        graph: a folded float graph.
        found: its channels, by ``scale_rules``.
        seen: lowest and highest values; empty without samples.
        by: ``weights`` or ``activations``.
        through_bounds: also channels that RELU6 and its like did not cut off on the samples.

    Returns: [count] powers of two by which channels are to be divided; 1 where they must stay.
    """
    operators = linears(graph, found)
    limits = _limits(graph, found, seen if through_bounds else {}, operators)
    factors = np.ones(found.count)
    for _ in range(_ROUNDS):
        if by == "weights":
            made, read = _weights(operators, factors)
        else:
            made, read = _activations(found, seen, operators, factors)
        usable = ~limits.fixed & (made > 0) & (read > 0) & np.isfinite(made) & np.isfinite(read)
        step = np.sqrt(np.divide(made, read, out=np.ones_like(made), where=usable))
        new = np.clip(factors * np.where(usable, step, 1), limits.least, _LARGEST)
        moved = np.abs(np.log(new / factors)).max(initial=0.0)
        factors = new
        if moved < _SETTLED:
            break
    exponents = np.round(np.log2(factors))
    rounded = np.exp2(np.where(np.exp2(exponents) < limits.least, exponents + 1, exponents))
    return np.where(limits.fixed, 1.0, rounded)


def _limits(graph: Graph, found: ChannelMap, seen: Extremes, operators: Sequence[Linear]) -> _Limits:
    free = np.zeros(found.count, np.bool_)
    for group in found.groups:
        free[list(group.channels)] = True
    # Only what is made by weights and read by weights can change: nothing else takes the factor up.
    made, read = np.zeros_like(free), np.zeros_like(free)
    for operator in operators:
        made[operator.writes] = True
        read[operator.reads] = True
    least = np.full(found.count, 1 / _LARGEST)
    fixed = ~(free & made & read)
    for node in graph.nodes:
        bound = BOUNDS.get(activation(node))
        slots = found.slots.get(node.outputs[0]) if node.outputs else None
        if bound is None or slots is None:
            continue
        pair = seen.get(node.outputs[0])
        if pair is None:
            fixed[slots] = True
            continue
        size = np.abs(pair).max(0)
        fixed[slots[size >= _CUT * bound]] = True
        np.maximum.at(least, slots, size * _MARGIN / bound)
    return _Limits(np.minimum(least, 1.0), fixed)


def _weights(operators: Sequence[Linear], factors: Factors) -> tuple[Factors, Factors]:
    """Returns: [count] the largest weight that makes each channel, and the largest that reads it."""
    made, read = np.zeros_like(factors), np.zeros_like(factors)
    for operator in operators:
        np.maximum.at(made, operator.writes, operator.rows(factors))
        np.maximum.at(read, operator.reads, _columns(operator, factors, 1 / factors[operator.writes]))
    return made, read


def _activations(
    found: ChannelMap, seen: Extremes, operators: Sequence[Linear], factors: Factors
) -> tuple[Factors, Factors]:
    """Returns: [count] the size of each channel as a share of its tensor's, and that of the weights that read
    it as a share of all that go into one result. Depthwise weights have scales of their own."""
    made, read = np.zeros_like(factors), np.zeros_like(factors)
    for index, pair in seen.items():
        size = np.abs(pair).max(0) / factors[found.slots[index]]
        if size.max(initial=0.0) > 0:
            np.maximum.at(made, found.slots[index], size / size.max())
    for operator in operators:
        if operator.depthwise:
            continue
        rows = operator.rows(factors) * factors[operator.writes]
        inverse = np.divide(1.0, rows, out=np.zeros_like(rows), where=rows > 0)
        np.maximum.at(read, operator.reads, _columns(operator, factors, inverse))
    only_depthwise = np.zeros(factors.size, np.bool_)
    for operator in operators:
        if operator.depthwise:
            only_depthwise[operator.reads] = True
    read[only_depthwise & (read == 0)] = 1.0
    return made, read


def _columns(operator: Linear, factors: Factors, rows: Factors) -> Factors:
    """Returns: the largest weight of each column, rows multiplied by ``rows``."""
    if operator.depthwise:
        return np.asarray(operator.sizes * rows * factors[operator.reads])
    return np.asarray((operator.sizes * rows[:, None]).max(0) * factors[operator.reads])


def _check(before: Model, after: Model, work: Work) -> None:
    """Compares answers on a few feeds.

    Raises:
        RecipeError: an output differs by more than ``TOLERANCE``.
    """
    assert work.calibration is not None
    feeds = load_feeds(work.calibration)
    some = range(min(_CHECKED, len(feeds)))
    outputs = [
        [i for i in m.main.outputs if m.main.tensors[i].dtype is DType.FLOAT32] for m in (before, after)
    ]
    runs = [
        list(observe(m, o, feeds, work.folder / "check.tflite", threads=work.threads, only=some))
        for m, o in zip((before, after), outputs, strict=True)
    ]
    for a, b in zip(*outputs, strict=True):
        scale = max((float(np.abs(v[a]).max(initial=0.0)) for v in runs[0]), default=0.0)
        error = max(_largest_gap(v[a], w[b]) for v, w in zip(*runs, strict=True))
        if not error <= TOLERANCE * max(scale, 1e-30):
            share = error / max(scale, 1e-30)
            raise RecipeError(
                f"output '{before.main.tensors[a].name}' would change by {share:.2g} of its largest value",
                where=f"{before.name}: {NAME}",
                hint="set bias to false, or use another technique for this model",
            )


def _largest_gap(a: Array, b: Array) -> float:
    with np.errstate(invalid="ignore"):
        gap = np.where(a == b, 0.0, np.abs(a - b))  # equal infinities are equal
    return float(gap.max(initial=0.0))


def _why(found: ChannelMap) -> str:
    reasons = dict.fromkeys(f"'{frozen.name}' {frozen.reason}" for frozen in found.frozen)
    return f" ({'; '.join(list(reasons)[:_SHOWN])})" if reasons else ""


TECHNIQUE = Technique(NAME, "balances the sizes of channels in float, so that int8 rounds them less", apply)
