"""Why an operator cannot run on the GPU, and what a user wishes."""

from __future__ import annotations

from collections.abc import Mapping

from sanderling.engines.webgpu.graphs.shapes import sized
from sanderling.engines.webgpu.pieces.partition import CPU, GPU
from sanderling.errors import UsageError
from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import YES, Verdict, no
from sanderling.ops.kernel import Limits

Pins = Mapping[str | int, str]


def verdict(graph: Graph, node: Node, limits: Limits, binding_bytes: int) -> Verdict:
    """Returns: whether a node of a graph with fixed shapes runs on a GPU; a refusal says why."""
    from sanderling.engines.webgpu.compiler.lower import variants

    for index in (*node.inputs, *node.outputs):
        if index < 0:
            continue
        tensor = graph.tensors[index]
        if not (known := sized(tensor)):
            return known
        if not tensor.is_constant and tensor.type.nbytes > binding_bytes:
            return no(
                f"{tensor.name or 'a tensor'} is {tensor.type}: it takes {tensor.type.nbytes} bytes, the"
                f" device binds at most {binding_bytes}"
            )
    found = variants(graph, node, limits)
    return _named(graph, node, found) if isinstance(found, Verdict) else YES


def _named(graph: Graph, node: Node, verdict: Verdict) -> Verdict:
    """Returns: the verdict, with the tensor that the operator writes where it names none."""
    if not node.outputs or verdict:
        return verdict
    names = {graph.tensors[i].name for i in (*node.inputs, *node.outputs) if i >= 0} - {""}
    if any(name in verdict.reason for name in names):
        return verdict
    out = graph.tensors[node.outputs[0]]
    return no(f"{verdict.reason} (it writes {out.name or 'a tensor'}, {out.type})")


def known_by(node: Node) -> int:
    """Returns: the first tensor that a node writes, by which it is recognised in the file's graph and in the
    one that runs, where it may write more; −1 where it writes none."""
    return node.outputs[0] if node.outputs else -1


def checked_pins(pin: object) -> dict[str | int, str]:
    """Checks what a user wishes.

    Raises:
        UsageError: it is no mapping from names, numbers or operators to "cpu" or "gpu".
    """
    if pin is None:
        return {}
    if not isinstance(pin, Mapping):
        raise UsageError(f"pin is {pin!r}, expected for example {{'CONV_2D': 'cpu', 3: 'gpu'}}")
    for key, device in pin.items():
        if device not in (CPU, GPU):
            raise UsageError(f"pin[{key!r}] is {device!r}", hint="choose one of: cpu, gpu")
        if not isinstance(key, (str, int)) or isinstance(key, bool):
            raise UsageError(f"pin has the key {key!r}, expected a tensor's name, a number or an operator")
    return dict(pin)


def pinned(graph: Graph, pins: Pins) -> dict[int, str]:
    """Finds the nodes that are meant.

    Args:
        graph: the main graph as the file has it.
        pins: position of a node, name of a tensor that it writes, or kind of operator → "cpu" or "gpu".
            A position wins over a name, a name over a kind.

    Returns: what a node is ``known_by`` → its device.

    Raises:
        UsageError: a key means no node.
    """
    found: dict[int, tuple[int, str]] = {}
    for key, device in pins.items():
        number = int(key) if isinstance(key, int) or key.isdigit() else None
        hits: list[tuple[Node, int]] = []
        for position, node in enumerate(graph.nodes):
            names = {graph.tensors[i].name for i in node.outputs}
            if number is not None:
                hits += [(node, 3)] if position == number else []
            elif key in names:
                hits.append((node, 2))
            elif str(key).upper() == node.kind.upper():
                hits.append((node, 1))
        if not hits:
            raise UsageError(
                f"pin has {key!r}, which is no operator of the model",
                hint=f"it has {len(graph.nodes)}: name one by number, by its output or by its kind",
            )
        for node, weight in hits:
            if weight >= found.get(known_by(node), (0, ""))[0]:
                found[known_by(node)] = (weight, device)
    return {key: device for key, (_, device) in found.items()}
