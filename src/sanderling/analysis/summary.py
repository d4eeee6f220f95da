"""A model in a few numbers: what ``sanderling analyze`` says first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sanderling.analysis.cost import Row, rows
from sanderling.analysis.memory import memory
from sanderling.analysis.weights import Place, Weights, fixed_tensors, weights
from sanderling.graph.graph import Graph, Model, Node, Tensor

FLOAT = {"float32", "float16"}


@dataclass(frozen=True, slots=True)
class Summary:
    """A model's totals. ``parameters`` is defined in ``analysis/weights.py``, live memory in ``memory.py``.

    Attributes:
        parameters: weights and biases, elements, each constant once.
        macs: multiply-accumulates of one call of the main graph.
        ops: its other arithmetic.
        weight_bytes: bytes of the parameters as stored.
        peak_live_bytes: live memory of the main graph at its peak.
        operators: (kind, count) over all graphs, most frequent first.
        dtypes: (dtype, count) of the tensors that the main graph computes, most frequent first.
        precisions: the arithmetic of the operators with MACs: ``float32``, ``float16`` (weights
            stored in 16 bits), ``int8``, ``uint8``, ``int16x8``, ``dynamic int8`` (integer weights, float
            activations), ``weight-only int8`` (weights dequantized before use) …; most frequent first.
        unknown: kinds whose cost is not known, so that ``macs`` and ``ops`` are too low.
        stateful: it keeps values between calls.
    """

    parameters: int
    macs: int
    ops: int
    weight_bytes: int
    peak_live_bytes: int
    operators: tuple[tuple[str, int], ...]
    dtypes: tuple[tuple[str, int], ...]
    precisions: tuple[str, ...]
    unknown: tuple[str, ...]
    stateful: bool

    @property
    def precision(self) -> str:
        """One word for ``precisions``: the only one, or ``mixed``."""
        return self.precisions[0] if len(self.precisions) == 1 else "mixed"

    @property
    def is_float(self) -> bool:
        """True where nothing is quantized: all arithmetic and all weights are floating point."""
        return set(self.precisions) <= FLOAT


def summarize(model: Model) -> Summary:
    """Summarizes a verified model. Never raises for one."""
    main = model.main
    table = rows(main, model)
    found = list(_parameters(model))
    fixed = fixed_tensors(main)
    return Summary(
        parameters=sum(tensor.type.size for tensor in found),
        macs=sum(row.macs or 0 for row in table),
        ops=sum(row.ops or 0 for row in table),
        weight_bytes=sum(tensor.stored_nbytes for tensor in found),
        peak_live_bytes=memory(main, fixed).peak_bytes,
        operators=_counted(node.kind for graph in model.graphs for node in graph.nodes),
        dtypes=_counted(tensor.dtype.value for tensor in _computed(main, fixed)),
        precisions=_precisions(main, table, fixed),
        unknown=tuple(sorted({row.kind for row in table if row.macs is None})),
        stateful=any(t.is_variable for t in main.tensors) or any(n.op == "VAR_HANDLE" for n in main.nodes),
    )


def _counted(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0])))


def _parameters(model: Model) -> Iterator[Tensor]:
    """Yields: every parameter once. Graphs that only set variables before the first call hold none."""
    initial = {node.attrs.get("init_subgraph_index") for node in model.main.nodes if node.op == "CALL_ONCE"}
    seen: set[Place] = set()
    for number, graph in enumerate(model.graphs):
        if number and number in initial:
            continue
        for behind in weights(graph, fixed_tensors(graph), seen):
            yield from (graph.tensors[index] for index in behind.new)


def _computed(graph: Graph, fixed: frozenset[int]) -> list[Tensor]:
    """Returns: the graph's inputs and all that is computed in every call."""
    written = dict.fromkeys(i for node in graph.nodes for i in node.outputs)
    return [graph.tensors[i] for i in (*graph.inputs, *written) if i not in fixed]


def _precisions(graph: Graph, table: list[Row], fixed: frozenset[int]) -> tuple[str, ...]:
    """Returns: the arithmetic of all operators with MACs; without any, the dtypes of all real numbers."""
    behind = weights(graph, fixed)
    found = [_precision(graph, graph.nodes[row.index], behind[row.index], fixed) for row in table if row.macs]
    if not found:
        real = (t for t in _computed(graph, fixed) if t.dtype.is_float or t.type.is_quantized)
        found = [tensor.dtype.value for tensor in real]
    return tuple(name for name, _ in _counted(found)) or ("float32",)


def _precision(graph: Graph, node: Node, behind: Weights, fixed: frozenset[int]) -> str:
    activations = [graph.tensors[i].dtype.value for i in node.inputs if i >= 0 and i not in fixed]
    results = [tensor.dtype.value for tensor in graph.results(node)]
    activation = next(iter((*activations, *results)), "float32")
    heaviest = max(behind.used, key=lambda use: graph.tensors[use[2]].type.size, default=None)
    if heaviest is None:
        return activation
    read, stored = heaviest[1].dtype.value, graph.tensors[heaviest[2]].dtype.value
    if activation == "float32":
        if stored in FLOAT:
            return stored
        return f"dynamic {stored}" if read == stored else f"weight-only {stored}"
    return f"{activation}x{stored.removeprefix('int')}" if activation == "int16" else activation
