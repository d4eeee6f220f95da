"""Which engine runs which operator, and why."""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.engines import registry
from sanderling.graph.graph import Model


@dataclass(frozen=True, slots=True)
class Placed:
    """One operator's place.

    Attributes:
        index: position among the main graph's nodes.
        operator: what a person calls it: ``CONV_2D``.
        output: name of its first output tensor.
        engine: the engine that runs it.
        reason: why it runs there.
        est_ms: estimated milliseconds per call; None when nothing was measured.
    """

    index: int
    operator: str
    output: str
    engine: str
    reason: str
    est_ms: float | None = None


def choose_engine(model: Model) -> tuple[str, str]:
    """Chooses the engine for ``engine="auto"``.

    Returns: the engine's name and the reason.
    """
    return "litert", "LiteRT on the CPU is the default engine"


def place(model: Model, engine: str, reason: str) -> tuple[Placed, ...]:
    """Returns: a row per node of the main graph for a model that one engine runs as a whole."""
    verdicts = registry.find(engine).supports(model)
    graph = model.main
    return tuple(
        Placed(
            index,
            node.kind,
            graph.tensors[node.outputs[0]].name if node.outputs else "",
            engine,
            reason if verdict else verdict.reason,
        )
        for index, (node, verdict) in enumerate(zip(graph.nodes, verdicts, strict=True))
    )
