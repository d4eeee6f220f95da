"""In which order operators run, and which of them belong together on the CPU."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sanderling.engines.webgpu.graphs.state import STATE_OPS
from sanderling.graph.edit import producers
from sanderling.graph.graph import Graph
from sanderling.graph.types import DType

# They do something besides giving a value, so they stay in the order of the file among themselves.
_EFFECTS = STATE_OPS | {
    "IF",
    "WHILE",
    "CALL",
    "HASHTABLE",
    "HASHTABLE_IMPORT",
    "HASHTABLE_FIND",
    "HASHTABLE_SIZE",
}


def schedule(graph: Graph, on_cpu: Collection[int]) -> list[int]:
    """Orders nodes so that the device changes rarely.

    All that is ready on one device runs before anything on the other; within a device in the file's order.

    Args:
        graph: nodes in an execution order.
        on_cpu: positions of the nodes that cannot run elsewhere.

    Returns: positions, in an order that keeps every dependency.
    """
    waits = _dependencies(graph)
    followers: list[list[int]] = [[] for _ in waits]
    for position, needed in enumerate(waits):
        for other in needed:
            followers[other].append(position)
    missing = [len(needed) for needed in waits]
    ready: tuple[list[int], list[int]] = ([], [])  # on the GPU, on the CPU
    fixed = set(on_cpu)
    for position, count in enumerate(missing):
        if not count:
            ready[position in fixed].append(position)
    found: list[int] = []
    side = not ready[0]
    while ready[0] or ready[1]:
        side = side if ready[side] else not side
        position = min(ready[side])
        ready[side].remove(position)
        found.append(position)
        for other in followers[position]:
            missing[other] -= 1
            if not missing[other]:
                ready[other in fixed].append(other)
    return found


def _dependencies(graph: Graph) -> list[set[int]]:
    made = producers(graph)
    waits = [{made[i] for i in node.inputs if i in made} for node in graph.nodes]
    last = -1
    for position, node in enumerate(graph.nodes):
        if node.op in _EFFECTS:
            if last >= 0:
                waits[position].add(last)
            last = position
    return waits


def together(graph: Graph) -> list[set[int]]:
    """Returns: sets of positions that must run in one piece: they share a state that no tensor carries."""
    groups: list[set[int]] = []
    for position, node in enumerate(graph.nodes):
        tensors = {i for i in (*node.inputs, *node.outputs, *node.intermediates) if i >= 0}
        if node.op in STATE_OPS or any(
            graph.tensors[i].is_variable or graph.tensors[i].dtype in (DType.RESOURCE, DType.VARIANT)
            for i in tensors
        ):
            groups.append({position})
    return _merged(graph, groups)


def _merged(graph: Graph, groups: Sequence[set[int]]) -> list[set[int]]:
    """Joins what shares a variable tensor, and everything that works on resources."""
    owners: dict[object, set[int]] = {}
    found: list[set[int]] = []
    for group in groups:
        mine = set(group)
        for position in group:
            node = graph.nodes[position]
            keys: set[object] = {i for i in node.inputs if i >= 0 and graph.tensors[i].is_variable}
            if not keys:
                keys = {"resources"}
            for key in keys:
                mine |= owners.get(key, set())
            for key in keys:
                owners[key] = mine
        found = [other for other in found if not other & mine] + [mine]
        for key, owned in list(owners.items()):
            if owned & mine:
                owners[key] = mine
    return found
