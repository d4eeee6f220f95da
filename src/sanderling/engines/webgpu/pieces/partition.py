"""Who runs what: a plan is found by dynamic programming over the order of execution × {CPU, GPU}.

The cost of a plan is the operators' estimated time, the bytes of all values that are alive where the device
changes, and a fixed price for every change. Estimates propose; for ``engine="auto"`` timing decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from sanderling.engines.webgpu.pieces.order import schedule, together
from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Node
from sanderling.ops.registry import find_for

CPU, GPU = "cpu", "gpu"
MOST_PARTITIONS = 4  # pieces that run on the GPU


@dataclass(frozen=True, slots=True)
class Rates:
    """What things are expected to cost. The defaults are a current processor core and a current GPU.

    Attributes:
        cpu_macs, gpu_macs: multiply-accumulates in a millisecond.
        cpu_bytes, gpu_bytes: bytes moved in a millisecond.
        cpu_call_ms, gpu_call_ms: of every operator.
        copy_bytes: bytes that cross between CPU and GPU in a millisecond.
        switch_ms: of every change of the device.
        prefer_gpu: how many times its own time an operator on the CPU may cost; 1 is impartial.
    """

    cpu_macs: float = 30e6
    gpu_macs: float = 2e9
    cpu_bytes: float = 8e6
    gpu_bytes: float = 200e6
    cpu_call_ms: float = 0.002
    gpu_call_ms: float = 0.004
    copy_bytes: float = 5e6
    switch_ms: float = 0.05
    prefer_gpu: float = 1.0

    def times(self, graph: Graph, node: Node) -> tuple[float, float]:
        """Returns: the estimated milliseconds of a node on the CPU and on the GPU."""
        macs, moved = _work(graph, node)
        cpu = max(macs / self.cpu_macs, moved / self.cpu_bytes) + self.cpu_call_ms
        return cpu, max(macs / self.gpu_macs, moved / self.gpu_bytes) + self.gpu_call_ms


@dataclass(frozen=True, slots=True)
class Piece:
    """Nodes that run in one go on one device.

    Attributes:
        device: CPU or GPU.
        nodes: positions in the graph, in execution order.
        inputs: tensors that come from outside of the piece.
        outputs: tensors that are read outside of it.
    """

    device: str
    nodes: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Pieces in execution order, and what they are expected to cost."""

    pieces: tuple[Piece, ...]
    est_ms: float

    def device_of(self) -> dict[int, str]:
        """Returns: position of a node → its device."""
        return {position: piece.device for piece in self.pieces for position in piece.nodes}

    @property
    def partitions(self) -> int:
        """The number of pieces on the GPU."""
        return sum(piece.device == GPU for piece in self.pieces)


def plans(graph: Graph, refused: Mapping[int, str], wanted: Mapping[int, str], rates: Rates) -> list[Plan]:
    """Finds the best plan for every number of pieces on the GPU, 0 to ``MOST_PARTITIONS``.

    Args:
        graph: the graph; constants and shapes are known.
        refused: position → why it cannot run on the GPU.
        wanted: position → CPU or GPU, as the user says; a wish for the GPU is not among the refused.
        rates: what things cost.

    Returns: different plans, the cheapest first.
    """
    stuck = {p for group in together(graph) for p in group}
    order = schedule(graph, {*refused, *stuck, *(p for p, device in wanted.items() if device == CPU)})
    place = {position: at for at, position in enumerate(order)}
    held: set[int] = set()  # between the first and the last node of a state everything is on the CPU
    for group in together(graph):
        ends = [place[p] for p in group]
        held |= {order[at] for at in range(min(ends), max(ends) + 1)}
    times = []
    for position in order:
        cpu, gpu = rates.times(graph, graph.nodes[position])
        cpu *= rates.prefer_gpu
        barred = position in refused or position in held or wanted.get(position) == CPU
        times.append((inf if wanted.get(position) == GPU and not barred else cpu, inf if barred else gpu))
    crossing = [rates.switch_ms + b / rates.copy_bytes for b in _alive(graph, order)]
    found: dict[tuple[str, ...], Plan] = {}
    for devices, cost in _search(times, crossing, free_ends=rates.prefer_gpu > 1):
        found.setdefault(tuple(devices), Plan(pieces(graph, order, devices), cost))
    return sorted(found.values(), key=lambda plan: plan.est_ms)


def _search(
    times: Sequence[tuple[float, float]], crossing: Sequence[float], *, free_ends: bool
) -> list[tuple[list[str], float]]:
    """The dynamic program. Returns: (device per position, cost) for each number of GPU pieces.

    ``crossing[i]`` is the price of changing the device before position i (of returning, at the end). With
    ``free_ends`` the first piece is fed and the last one read for nothing.
    """
    count = len(times)
    # best[g][d]: cost so far with g pieces on the GPU, now on device d (0 CPU, 1 GPU).
    best = [[inf, inf] for _ in range(MOST_PARTITIONS + 1)]
    best[0][0] = 0.0
    back: list[list[list[tuple[int, int]]]] = []
    for at in range(count):
        price = 0.0 if free_ends and at == 0 else crossing[at]
        now = [[inf, inf] for _ in best]
        came = [[(0, 0), (0, 0)] for _ in best]
        for g in range(MOST_PARTITIONS + 1):
            for device in (0, 1):
                ways = [(best[g][device], (g, device))]
                if device == 0:
                    ways.append((best[g][1] + price, (g, 1)))
                elif g:
                    ways.append((best[g - 1][0] + price, (g - 1, 0)))
                cost, came[g][device] = min(ways)
                now[g][device] = cost + times[at][device]
        best = now
        back.append(came)
    found = []
    for g in range(MOST_PARTITIONS + 1):
        last = 0.0 if free_ends else crossing[count]
        cost, device = min((best[g][0], 0), (best[g][1] + last, 1))
        if cost < inf:
            found.append((_walk(back, g, device), cost))
    return found


def _walk(back: Sequence[list[list[tuple[int, int]]]], g: int, device: int) -> list[str]:
    devices = []
    for came in reversed(back):
        devices.append(GPU if device else CPU)
        g, device = came[g][device]
    return devices[::-1]


def _alive(graph: Graph, order: Sequence[int]) -> list[int]:
    """Returns: bytes of the values that are alive before each position of the order, and at the end."""
    count = len(order)
    born = dict.fromkeys(graph.inputs, 0)
    dies: dict[int, int] = dict.fromkeys(graph.outputs, count)
    for at, position in enumerate(order):
        node = graph.nodes[position]
        born |= dict.fromkeys(node.outputs, at + 1)
        for index in node.inputs:
            dies[index] = max(dies.get(index, 0), at)
    change = [0] * (count + 2)
    for index, start in born.items():
        end = dies.get(index, -1)
        if end >= start:
            change[start] += graph.tensors[index].type.nbytes
            change[end + 1] -= graph.tensors[index].type.nbytes
    total, found = 0, []
    for at in range(count + 1):
        total += change[at]
        found.append(total)
    return found


def pieces(graph: Graph, order: Sequence[int], devices: Sequence[str]) -> tuple[Piece, ...]:
    """Returns: neighbours on one device as pieces, with the tensors that enter and leave them."""
    runs: list[tuple[str, list[int]]] = []
    for position, device in zip(order, devices, strict=True):
        if runs and runs[-1][0] == device:
            runs[-1][1].append(position)
        else:
            runs.append((device, [position]))
    readers: dict[int, set[int]] = {}
    for number, (_, nodes) in enumerate(runs):
        for position in nodes:
            for index in graph.nodes[position].inputs:
                readers.setdefault(index, set()).add(number)
    for index in graph.outputs:
        readers.setdefault(index, set()).add(-1)
    found = []
    for number, (device, nodes) in enumerate(runs):
        made = dict.fromkeys(i for p in nodes for i in graph.nodes[p].outputs)
        read = dict.fromkeys(i for p in nodes for i in graph.nodes[p].inputs if i >= 0)
        entering = tuple(i for i in read if i not in made and _flows(graph, i))
        leaving = tuple(i for i in made if readers.get(i, set()) - {number})
        found.append(Piece(device, tuple(nodes), entering, leaving))
    return tuple(found)


def _flows(graph: Graph, index: int) -> bool:
    """Returns: whether a tensor's value is handed from piece to piece."""
    return not graph.tensors[index].is_constant and not graph.tensors[index].is_variable


def _work(graph: Graph, node: Node) -> tuple[float, float]:
    """Returns: multiply-accumulates and bytes of a node."""
    tensors = [t for t in (*graph.operands(node), *graph.results(node)) if t is not None]
    moved = float(sum(t.type.nbytes for t in tensors))
    op = find_for(node)
    if op is None:
        return 4.0 * moved, moved
    try:
        cost = op.cost(node, graph.operands(node), graph.results(node))
    except InvalidGraph:
        return 0.0, moved
    return float(cost.macs or 0), moved
