"""Small edits of a graph, each giving a new one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor


def producers(graph: Graph) -> dict[int, int]:
    """Returns: tensor index → position of the node that writes it."""
    return {index: position for position, node in enumerate(graph.nodes) for index in node.outputs}


def consumers(graph: Graph) -> dict[int, list[int]]:
    """Returns: tensor index → positions of the nodes that read it (empty for none)."""
    found: dict[int, list[int]] = defaultdict(list)
    for position, node in enumerate(graph.nodes):
        for index in dict.fromkeys(node.inputs):
            if index >= 0:
                found[index].append(position)
    return found


def rewire(graph: Graph, mapping: Mapping[int, int], *, keep: Iterable[int] = ()) -> Graph:
    """Returns: the graph whose nodes (but those at ``keep``) read ``mapping[i]`` wherever they read ``i``.

    The graph's own outputs are rewired too.
    """
    kept = set(keep)
    nodes = tuple(
        node if position in kept else replace(node, inputs=tuple(mapping.get(i, i) for i in node.inputs))
        for position, node in enumerate(graph.nodes)
    )
    return replace(graph, nodes=nodes, outputs=tuple(mapping.get(i, i) for i in graph.outputs))


def without_nodes(graph: Graph, positions: Iterable[int]) -> Graph:
    """Returns: the graph without these nodes. Tensors stay: see ``compact``."""
    gone = set(positions)
    return replace(graph, nodes=tuple(n for p, n in enumerate(graph.nodes) if p not in gone))


@dataclass(slots=True)
class GraphBuilder:
    """Collects tensors and nodes in execution order; for passes that insert things."""

    tensors: list[Tensor] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    @classmethod
    def of(cls, graph: Graph) -> GraphBuilder:
        """Returns: a builder that starts with the graph's tensors and no nodes."""
        return cls(list(graph.tensors))

    def tensor(self, tensor: Tensor) -> int:
        """Adds a tensor. Returns: its index."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def node(self, node: Node) -> None:
        """Adds a node behind the others."""
        self.nodes.append(node)

    def build(self, graph: Graph, outputs: tuple[int, ...] | None = None) -> Graph:
        """Returns: ``graph`` with these tensors and nodes."""
        return replace(
            graph,
            tensors=tuple(self.tensors),
            nodes=tuple(self.nodes),
            outputs=graph.outputs if outputs is None else outputs,
        )


def compact(model: Model) -> Model:
    """Returns: the model without tensors that nothing uses, indices renumbered (signatures too)."""
    maps = [_used(graph) for graph in model.graphs]
    graphs = tuple(_renumber(g, m) for g, m in zip(model.graphs, maps, strict=True))
    signatures = tuple(_renumber_signature(s, maps[s.graph]) for s in model.signatures)
    return replace(model, graphs=graphs, signatures=signatures)


def _used(graph: Graph) -> dict[int, int]:
    used = set(graph.inputs) | set(graph.outputs)
    for node in graph.nodes:
        used.update(i for i in (*node.inputs, *node.outputs, *node.intermediates) if i >= 0)
    for index in list(used):
        quant = graph.tensors[index].quant
        if quant and quant.block:
            used.update(i for i in quant.block[:2] if i >= 0)
    return {old: new for new, old in enumerate(sorted(used))} | {-1: -1}


def _renumber(graph: Graph, new: Mapping[int, int]) -> Graph:
    def many(indices: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(new[i] for i in indices)

    nodes = tuple(
        replace(n, inputs=many(n.inputs), outputs=many(n.outputs), intermediates=many(n.intermediates))
        for n in graph.nodes
    )
    tensors = tuple(_renumber_block(graph.tensors[old], new) for old in sorted(new) if old >= 0)
    return replace(
        graph, tensors=tensors, nodes=nodes, inputs=many(graph.inputs), outputs=many(graph.outputs)
    )


def _renumber_block(tensor: Tensor, new: Mapping[int, int]) -> Tensor:
    quant = tensor.quant
    if quant is None or quant.block is None:
        return tensor
    scales, zero_points, size = quant.block
    block = (new[scales], new.get(zero_points, zero_points), size)
    return replace(tensor, type=replace(tensor.type, quant=replace(quant, block=block)))


def _renumber_signature(signature: Signature, new: Mapping[int, int]) -> Signature:
    def many(pairs: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        return tuple((name, new[index]) for name, index in pairs)

    return replace(signature, inputs=many(signature.inputs), outputs=many(signature.outputs))
