"""Which weights 4 bits would hurt most for their size: those that stay in 8 when both are mixed.

Each operator's weights are rounded to 4 bits by themselves in the float model, and the outputs are compared
with the float ones. Bytes are given where they buy most: by damage per weight.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

from sanderling.compress.calibration import load_feeds
from sanderling.compress.damage.judging import Bench
from sanderling.compress.eligible import WEIGHTS, operator_name
from sanderling.compress.prepare import fold
from sanderling.compress.quantizing.fake_quantize import with_rounded_weights
from sanderling.compress.quantizing.weights import Method, weight_ranges
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model

_SAMPLES = 16


def worst_in_four_bits(
    model: Model, kinds: Collection[str], share: float, how: Method, work: Work, spared: Collection[str] = ()
) -> list[str]:
    """Chooses the operators whose weights stay in 8 bits.

    Args:
        model: a float model.
        kinds: of operators whose weights become int4.
        share: of all their weights, that may stay int8, 0 to 1.
        how: how ranges of weights are chosen.
        work: with feeds to compare outputs on.
        spared: names of operators that stay int8 anyway; they do not count.

    Returns: names of operators' first outputs, the most damage per weight first. One that does not fit into
        what is left of ``share`` is passed over for smaller ones.

    Raises:
        RecipeError: there are no feeds.
    """
    if work.calibration is None:
        raise RecipeError("mixing 4 and 8 bits needs samples to measure the damage", hint="give --samples")
    folded = compact(fold(model))
    graph = folded.main
    places = _places(graph, kinds, spared)
    sizes = {
        name: graph.tensors[graph.nodes[p].inputs[WEIGHTS[graph.nodes[p].op]]].type.size for name, p in places
    }
    bench = Bench(folded, list(islice(iter(load_feeds(work.calibration)), _SAMPLES)), work)
    damage = {}
    for name, position in places:
        ranges = weight_ranges(graph, [position], how, four_bit=[position])
        damage[name] = bench.measure(
            with_rounded_weights(graph, {w.tensor: w.bounds for w in ranges}, bits=4)
        )
    left, chosen = share * sum(sizes.values()), []
    for name in sorted(sizes, key=lambda name: -damage[name] / sizes[name]):
        if sizes[name] <= left:
            left -= sizes[name]
            chosen.append(name)
    return chosen


def _places(graph: Graph, kinds: Collection[str], spared: Collection[str]) -> list[tuple[str, int]]:
    """Returns: name and position of each operator with constant weights of its own."""
    found: dict[int, tuple[str, int]] = {}
    for position, node in enumerate(graph.nodes):
        if node.op not in kinds or operator_name(graph, node) in spared:
            continue
        index = node.inputs[WEIGHTS[node.op]]
        if graph.tensors[index].is_constant:
            found.setdefault(index, (operator_name(graph, node), position))
    return list(found.values())
