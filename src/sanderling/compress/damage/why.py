"""Why a quantized model is less accurate than the float model that it was made from, operator by operator.

What the quantized model does to one tensor, or to one operator's weights, is put into the float model by
itself, and the outputs are compared. The cause is read off the values (see ``causes``); then the remedies
that one operator can be given are tried on it alone, in order of their price.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.compress.calibration import load_feeds
from sanderling.compress.damage.causes import PRECISION, Cause
from sanderling.compress.damage.evidence import Evidence
from sanderling.compress.damage.judging import Bench
from sanderling.compress.damage.one_operator import Trials
from sanderling.compress.damage.quantized_as import QuantizedAs, StoredWeights, quantized_as
from sanderling.compress.eligible import BIAS, WEIGHTS, operator_name, require_float
from sanderling.compress.equalizing.scale_rules import BOUNDS
from sanderling.compress.prepare import fold
from sanderling.compress.quantizing.choose_ranges import visible
from sanderling.compress.quantizing.fake_quantize import with_noise_at
from sanderling.compress.quantizing.quantize import histograms
from sanderling.compress.quantizing.ranges import Histograms
from sanderling.compress.quantizing.sites import cost_shares, passes_on
from sanderling.compress.quantizing.stored import representable, same_quant
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError
from sanderling.graph.constant import real
from sanderling.graph.edit import compact, producers
from sanderling.graph.graph import Graph
from sanderling.graph.types import DType
from sanderling.tflite import read

Progress = Callable[[int, int], None]
Change = tuple[str, int]
INPUT = "INPUT"
_EXPLAINED = 12  # operators
_LEAST_SHARE = 0.01  # of the damage: below it an operator has no cause worth a line
_OTHER_PART = 0.25
_FEW_OTHERS = 0.25  # of the operators with weights
_FOR_MEASURING = 0.7  # share of the time; the rest is for what helps
_FELT = 1e-4  # damage: outputs that are off by 1 %
_CUTS = frozenset({"RELU", *BOUNDS})  # operators that leave values as they are, or cut them off


@dataclass(frozen=True, slots=True)
class Help:
    """What one remedy does for one operator.

    Attributes:
        remedy: ``calibration mse``, ``weights octav``, ``equalize`` or ``float``.
        damage: what is left of the operator's damage.
    """

    remedy: str
    damage: float


@dataclass(frozen=True, slots=True)
class Culprit:
    """One operator that costs accuracy.

    Attributes:
        operator: name of its first output tensor (of the graph's input, with ``kind`` INPUT).
        kind: TFLite's name.
        damage: squared error of the outputs over their power when this operator alone is quantized: the sum
            of ``damage_weights`` and ``damage_activation``.
        share: of the sum over all operators.
        cause: one word, see ``causes``; "" where no single cause stands out.
        evidence: the figures behind it.
        helps: what was tried for it alone, cheapest first; "float" ends it. Empty where there was no time.
        cost_share: its share of the model's arithmetic, 0 to 1.
    """

    operator: str
    kind: str
    damage: float
    damage_weights: float
    damage_activation: float
    share: float
    cause: str
    evidence: str
    helps: tuple[Help, ...]
    cost_share: float

    @property
    def remedy(self) -> str:
        """The cheapest remedy that takes at least half of the damage away; "" where none was tried."""
        if not self.helps:
            return ""
        return next((h.remedy for h in self.helps if h.damage <= self.damage / 2), "float")


@dataclass(frozen=True, slots=True)
class Explanation:
    """Attributes:
    culprits: the worst operators first.
    total: damage of all that was found, put into the float model together.
    measured, planned: how many changes were measured before the time was up, and how many there are.
    others: operators whose weights are no rounded form of the float model's (equalized, trained).
    bits: of most of the quantized model's weights, 8 or 4.
    activations: whether activations are integers, too.
    samples: how many samples the outputs were compared on.
    seconds: what it took.
    """

    culprits: tuple[Culprit, ...]
    total: float
    measured: int
    planned: int
    others: tuple[str, ...]
    bits: int
    activations: bool
    samples: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values that ``from_json`` reads back equal."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Explanation:
        """Reads what ``to_json`` wrote."""
        culprits = tuple(
            Culprit(**{**row, "helps": tuple(Help(**h) for h in row["helps"])}) for row in value["culprits"]
        )
        return cls(**{**value, "culprits": culprits, "others": tuple(value["others"])})


def explain(
    source: Path,
    quantized: Path,
    calibration: Path,
    *,
    names: Mapping[str, str] | None = None,
    samples: int = 8,
    seconds: float = 60.0,
    threads: int = 1,
    helps: bool = True,
    progress: Progress | None = None,
) -> Explanation:
    """Finds the operators that cost accuracy, each one's cause, and what helps it.

    Args:
        source: the float model.
        quantized: what was made from it, its tensors of the same names.
        calibration: feeds as ``calibration.save_feeds`` wrote them.
        names: names of tensors that differ: the float model's → the quantized model's.
        samples: how many of the feeds to compare outputs on.
        seconds: the time it may take; what looks worst is measured first.
        threads: CPU threads.
        helps: also try what helps each operator.
        progress: called with (measurements done, measurements planned).

    Raises:
        RecipeError: the first model is quantized, or the second holds nothing of it as integers, or its
            weights are others.
        SampleError, InputMismatch: the feeds cannot be read or do not fit.
    """
    started = time.monotonic()
    folded = compact(fold(read(source)))
    require_float(folded, "explaining")
    held = _held(folded.main, quantized, names)
    with tempfile.TemporaryDirectory(prefix="sanderling-") as folder:
        work = Work(Path(folder), calibration, threads)
        observed = histograms(folded, "explaining", work)
        feeds = list(islice(iter(load_feeds(calibration)), samples))
        bench = Bench(folded, feeds, work)
        changes = _changes(folded.main, held, visible(folded.main, observed))
        until = started + seconds * (_FOR_MEASURING if helps else 1.0)
        damages = _measured(bench, folded.main, held, changes, until, progress)
        total = bench.measure(_everything(folded.main, held))
        evidence = Evidence(folded, held, observed, work)
        deadline = started + seconds if helps else 0.0
        trials = Trials(folded, held, observed, evidence, bench, deadline)
        culprits = _culprits(folded.main, damages, changes, evidence, trials)
    counts, took = (len(damages), len(changes)), time.monotonic() - started
    kind = _bits(held), bool(held.activations)
    return Explanation(culprits, total, *counts, held.others, *kind, len(feeds), took)


def _held(graph: Graph, quantized: Path, names: Mapping[str, str] | None) -> QuantizedAs:
    held = quantized_as(graph, read(quantized).main, names)
    if not held.activations and not held.weights:
        raise RecipeError(
            "no value of the float model is held as 8-bit integers of the same name",
            where=quantized.name,
            hint="give the float model that the quantized one was made from, first",
        )
    if len(held.others) > _FEW_OTHERS * (len(held.others) + len(held.weights)):
        raise RecipeError(
            f"{len(held.others)} operators have other weights than the float model, not rounded ones",
            where=quantized.name,
            hint="it was equalized, trained or made from another: give the float model behind it, first",
        )
    return held


def _measured(
    bench: Bench,
    graph: Graph,
    held: QuantizedAs,
    changes: Collection[Change],
    deadline: float,
    progress: Progress | None,
) -> dict[Change, float]:
    """Measures one change after another until the time is up."""
    damages: dict[Change, float] = {}
    for done, (what, where) in enumerate(changes):
        if time.monotonic() > deadline:
            break
        damages[what, where] = bench.measure(_changed(graph, held, what, where))
        if progress is not None:
            progress(done + 1, len(changes))
    return damages


def explain_in_worker(
    *, source: str, quantized: str, calibration: str, progress: Callable[[list[int]], None] | None = None,
    **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """``explain`` with JSON values on both sides, for the isolated worker."""
    told = None if progress is None else lambda done, planned: progress([done, planned])
    paths = Path(source), Path(quantized), Path(calibration)
    return explain(*paths, progress=told, **options).to_json()


def _changes(graph: Graph, held: QuantizedAs, observed: Histograms) -> dict[Change, float]:
    """Returns: (``activation``, tensor) and (``weights``, node) with their own relative squared error, what
    looks worst first."""
    made = producers(graph)
    expected: dict[Change, float] = {}
    for index, quant in held.activations.items():
        node = graph.nodes[made[index]] if index in made else None
        if node is not None and (node.op in _CUTS or passes_on(graph, node)):
            source = next((held.activations.get(i) for i in node.inputs if i in held.activations), None)
            if source is not None and same_quant(source, quant):
                continue  # rounded already, by the same scale
        if index in observed:
            expected["activation", index] = observed[index].noise(representable(quant, DType.INT8))
    for position, stored in held.weights.items():
        values = real(graph.tensors[graph.nodes[position].inputs[WEIGHTS[graph.nodes[position].op]]])
        power = float(np.square(values).sum()) or 1.0
        expected["weights", position] = float(np.square(stored.values - values).sum()) / power
    return dict(sorted(((k, e) for k, e in expected.items() if e > 0), key=lambda pair: -pair[1]))


def _changed(graph: Graph, held: QuantizedAs, what: str, where: int) -> Graph:
    if what == "activation":
        return with_noise_at(graph, {where: held.activations[where]})
    return with_stored_weights(graph, {where: held.weights[where]})


def _bits(held: QuantizedAs) -> int:
    four = sum(stored.bits == 4 for stored in held.weights.values())
    return 4 if 2 * four > len(held.weights) else 8


def _everything(graph: Graph, held: QuantizedAs) -> Graph:
    return with_noise_at(with_stored_weights(graph, held.weights), held.activations)


def with_stored_weights(graph: Graph, weights: Mapping[int, StoredWeights]) -> Graph:
    """Returns: the float graph in which some nodes have the weights and biases that integers hold."""
    tensors, nodes = list(graph.tensors), list(graph.nodes)
    for position, stored in weights.items():
        node = nodes[position]
        operands = list(node.inputs)
        places = {WEIGHTS[node.op]: stored.values}
        bias = BIAS.get(node.op, len(operands))
        if stored.bias is not None and bias < len(operands) and operands[bias] >= 0:
            places[bias] = stored.bias
        for place, values in places.items():
            old = tensors[operands[place]]
            if values.size == old.type.size:
                tensors.append(replace(old, data=values.reshape(old.shape), sparsity=None))
                operands[place] = len(tensors) - 1
        nodes[position] = replace(node, inputs=tuple(operands))
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes))


def _culprits(
    graph: Graph,
    damages: Mapping[Change, float],
    own: Mapping[Change, float],
    evidence: Evidence,
    trials: Trials,
) -> tuple[Culprit, ...]:
    made, shares = producers(graph), cost_shares(graph)
    parts: dict[int, list[float]] = {}  # by node, or −1 − tensor for an input: weights, activation
    tensors: dict[int, int] = {}
    for (what, where), damage in damages.items():
        key = where if what == "weights" else made.get(where, -1 - where)
        both = parts.setdefault(key, [0.0, 0.0])
        both[what == "activation"] += damage
        if what == "activation":
            tensors[key] = where
    whole = sum(sum(both) for both in parts.values()) or 1.0
    ordered = sorted(parts, key=lambda key: -sum(parts[key]))
    culprits = []
    for key in ordered[:_EXPLAINED]:
        weights, activation = parts[key]
        share = (weights + activation) / whole
        if share < _LEAST_SHARE:
            break
        by_weights = weights > activation
        cause = _cause(evidence, key, tensors.get(key, -1), weights, activation)
        if cause is None and weights + activation > _FELT:
            change = ("weights", key) if by_weights else ("activation", tensors[key])
            cause = _amplified(own[change], damages[change])
        helps = (
            trials.weights(key, activation) if by_weights else trials.activation(tensors[key], key, weights)
        )
        node = graph.nodes[key] if key >= 0 else None
        culprits.append(
            Culprit(
                operator_name(graph, node) if node else graph.tensors[-1 - key].name,
                node.op if node else INPUT,
                weights + activation,
                weights,
                activation,
                share,
                cause.word if cause else "",
                cause.evidence if cause else "",
                () if helps is None else (*(Help(*tried) for tried in helps), Help("float", 0.0)),
                shares[key] if key >= 0 else 0.0,
            )
        )
    return tuple(culprits)


def _cause(evidence: Evidence, position: int, tensor: int, weights: float, activation: float) -> Cause | None:
    """Returns: the main cause of the part that does most damage, else of the other if it does enough."""
    parts = [(weights, evidence.weights(position)), (activation, evidence.activation(tensor, position))]
    for damage, found in sorted(parts, key=lambda part: -part[0]):
        if found and damage >= _OTHER_PART * (weights + activation):
            return found[0]
    return None


def _amplified(own: float, damage: float) -> Cause:
    """Returns: the cause of an operator that is sound, and whose rounding the outputs feel all the same."""
    here, there = (-10 * np.log10(max(error, 1e-30)) for error in (own, damage))
    return Cause(PRECISION, f"256 steps: {here:.0f} dB here, {there:.0f} dB at the outputs", 1.0)
