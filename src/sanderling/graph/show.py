"""A graph as text, one operator a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling.graph.graph import Graph, Node


def show(graph: Graph) -> str:
    """Returns: one line per input, operator and output, with types; constants as their type only."""
    lines = [f"input   %{i} {graph.tensors[i].type}  {graph.tensors[i].name}" for i in graph.inputs]
    lines += [_line(graph, node) for node in graph.nodes]
    lines += [f"output  %{i} {graph.tensors[i].type}  {graph.tensors[i].name}" for i in graph.outputs]
    return "\n".join(lines)


def _line(graph: Graph, node: Node) -> str:
    def operand(index: int) -> str:
        if index < 0:
            return "-"
        tensor = graph.tensors[index]
        return f"const {tensor.type}" if tensor.is_constant else f"%{index}"

    results = ", ".join(f"%{i} {graph.tensors[i].type}" for i in node.outputs)
    return f"{results} = {node.kind}({', '.join(map(operand, node.inputs))}){_attrs(node.attrs)}"


def _attrs(attrs: Mapping[str, Any]) -> str:
    shown = [f"{k}={v}" for k, v in attrs.items() if v not in (None, 0, False, "NONE")]
    return "  {" + ", ".join(shown) + "}" if shown else ""
