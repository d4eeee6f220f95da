"""Where every operator of a file runs, in which precision, and why: what ``Session.placement`` tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.graphs.state import STATE_OPS, Lifted
from sanderling.engines.webgpu.pieces.loaded import Loaded
from sanderling.engines.webgpu.pieces.partition import CPU, GPU, Rates
from sanderling.engines.webgpu.pieces.verdicts import known_by
from sanderling.graph.graph import Graph, Node

FOLDED = "its value never changes, so it is computed once, at loading"
HELD = "its state is kept by the session and handed over with every call"
CROSSING = "moving values to the GPU and back would cost more than it saves"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one operator of the file's main graph runs, why, and its estimated milliseconds."""

    engine: str
    reason: str
    est_ms: float | None = None


def places(
    graph: Graph,
    loaded: Loaded,
    lifted: Lifted,
    target: Target,
    pins: Mapping[int, str],
    rates: Rates,
    precision: str,
) -> list[Place]:
    """Returns: a row per node of the file's main graph.

    Args:
        graph: as the file has it.
        loaded, lifted, target: what became of it.
        pins: what a node is ``known_by`` → its device, as the user wishes.
        rates: what operators are expected to cost.
        precision: why nothing is stored in 16 bits, "" where nobody has looked.
    """
    at = {known_by(node): position for position, node in enumerate(loaded.graph.nodes)}

    def place(node: Node) -> Place:
        if node.op in STATE_OPS and not lifted.reason:
            return Place("session", HELD)
        if known_by(node) not in at:
            return Place("session", FOLDED)
        position, pin = at[known_by(node)], pins.get(known_by(node))
        cpu, gpu = rates.times(loaded.graph, node)
        if loaded.plan.device_of()[position] == GPU:
            why = "pinned to the GPU" if pin == GPU else "it has a GPU kernel"
            return Place("webgpu", why + stored(loaded.graph, node, target, precision), gpu)
        if pin == CPU:
            return Place("litert", "pinned to the CPU", cpu)
        if node.op in STATE_OPS:
            return Place("litert", lifted.reason, cpu)
        return Place("litert", loaded.refused.get(position, CROSSING), cpu)

    return [place(node) for node in graph.nodes]


def stored(graph: Graph, node: Node, target: Target, precision: str) -> str:
    """Returns: how the floats are stored that a node on the GPU writes, and why so; "" where it writes none,
    or all are in 32 bits and nobody has looked for more."""
    floats = [graph.tensors[i].name for i in node.outputs if graph.tensors[i].dtype.is_float]
    if not floats:
        return ""
    if not target.half:
        return f"; float32: {precision}" if precision else ""
    wide = [target.wide[name] for name in floats if name in target.wide]
    return f"; float32: {wide[0]}" if wide else "; float16"
