"""Matching of patterns that a converter writes for one operator, from their last node upwards."""

from __future__ import annotations

from dataclasses import dataclass, field

from sanderling.graph.graph import Node
from sanderling.passes._editor import Editor

_RENAMING = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")


@dataclass(slots=True)
class Match:
    """The nodes of a pattern, collected on the way up from the one that writes its result."""

    editor: Editor
    nodes: list[Node] = field(default_factory=list)

    def above(self, index: int, *ops: str) -> Node | None:
        """Returns: the plain node of one of ``ops`` that writes a float value."""
        node = self.editor.made_by(index, *ops)
        plain = node is not None and node.attrs.get("fused_activation_function", "NONE") == "NONE"
        if node is None or not plain or not self.editor.is_float(index):
            return None
        if node not in self.nodes:
            self.nodes.append(node)
        return node

    def reduced(self, index: int, op: str) -> int | None:
        """Returns: what was reduced along its last dimension to a value that still has that dimension."""
        node = self.editor.made_by(index, *_RENAMING)
        while node is not None:
            self.nodes.append(node)
            index = node.inputs[0]
            node = self.editor.made_by(index, *_RENAMING)
        last = self.above(index, op)
        shape = self.editor.shape(last.inputs[0]) if last else None
        axes = self.editor.integers(last, 1) if last else None
        if (
            last is None
            or not shape
            or axes is None
            or {int(a) % len(shape) for a in axes.ravel()} != {len(shape) - 1}
        ):
            return None
        return last.inputs[0]

    def ends(self, node: Node) -> bool:
        """Returns: whether nobody else needs what the pattern no longer computes."""
        return self.editor.hides([*self.nodes, node], node.outputs[0])


def keeps_dimension(editor: Editor, node: Node, reduced: int) -> bool:
    """Returns: whether a reduced operand lines up with the rows of a node's result."""
    whole, part = editor.shape(node.outputs[0]), editor.shape(reduced)
    return whole is not None and part is not None and part == (*whole[:-1], 1)


def scalar(editor: Editor, node: Node) -> tuple[float, int] | None:
    """Returns: the constant number among two operands, and the other operand."""
    for place in (0, 1):
        values = editor.floats(node, place)
        if values is not None and values.size == 1:
            return float(values.flat[0]), node.inputs[1 - place]
    return None
