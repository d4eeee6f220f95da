"""What the passes that take operators apart share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Model, Node
from sanderling.graph.types import Array
from sanderling.ops.registry import find
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes.rewrite import Pass

_FUSING = frozenset({"ADD", "CONCATENATION", "DIV", "MUL", "SUB"})


@dataclass(frozen=True, slots=True)
class Steps:
    """Emits what stands in the place of a node: operators on float32, each with one output."""

    editor: Editor
    node: Node

    @property
    def x(self) -> int:
        """The first operand."""
        return self.node.inputs[0]

    @property
    def shape(self) -> Shape:
        """The shape of the result, −1 for an open batch."""
        return self.editor.shapes[self.node.outputs[0]]

    @property
    def activation(self) -> str:
        """The node's fused activation."""
        return str(self.node.attrs.get("fused_activation_function", "NONE"))

    def number(self, value: float) -> int:
        """Returns: a constant number."""
        return self.constant(np.array(value, np.float32), "number")

    def constant(self, values: Array, name: str) -> int:
        """Returns: a constant that is named after the node."""
        return self.editor.constant(values, f"{self.editor.name(self.node)}/{name}")

    def shape_of(self, index: int) -> Shape:
        """Returns: a tensor's shape."""
        return self.editor.shapes[index]

    def __call__(self, op: str, *inputs: int, shape: Shape | None = None, **attrs: object) -> int:
        """Emits an operator, by default with a result of the node's shape. Returns: the result."""
        to = (self.shape if shape is None else shape, f"{self.editor.name(self.node)}/{op.lower()}")
        return self._emit(op, inputs, to, attrs)

    def last(self, op: str, *inputs: int, **attrs: object) -> None:
        """Emits the operator that writes the node's own result."""
        self._emit(op, inputs, self.node.outputs[0], attrs)

    def reduce(self, op: str, source: int, axes: Sequence[int]) -> int:
        """Emits a reduction that keeps the dimensions."""
        shape = self.shape_of(source)
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
        operand = self.editor.constant(np.array(axes, np.int32), "axes")
        return self(op, source, operand, shape=kept, keep_dims=True)

    def through(self, cut: Shape, order: Sequence[int]) -> None:
        """Emits RESHAPE to ``cut``, TRANSPOSE by ``order`` and RESHAPE to the node's own result."""
        name = self.editor.name(self.node)
        pieces = self.editor.reshape(self.x, cut, f"{name}/cut")
        turned = self.editor.transpose(pieces, cut, order, f"{name}/turned")
        self.editor.reshape(turned, self.shape, self.node.outputs[0])

    def _emit(
        self, op: str, inputs: Sequence[int], to: int | tuple[Shape, str], attrs: dict[str, object]
    ) -> int:
        known = find(op)
        if known is None:
            raise InvalidGraph(f"there is no operator {op}")
        if op in _FUSING:
            attrs = {"fused_activation_function": "NONE", **attrs}
        return self.editor.emit(op, inputs, to, known.options, attrs)


Lower = Callable[[Steps], bool]


def lowering(op: str, needs: Sequence[str], lower: Lower) -> Pass:
    """Returns: the pass that takes an operator on float32 apart.

    Args:
        op: TFLite's name.
        needs: the operators that may stand in its place.
        lower: emits these and returns True, or emits nothing and returns False.
    """

    def rewrite(editor: Editor, node: Node) -> str | None:
        shapes = [editor.shape(index) for index in (*node.inputs, *node.outputs) if index >= 0]
        if node.op != op or len(node.outputs) != 1 or None in shapes or not editor.is_float(*node.outputs):
            return None
        if not editor.is_float(node.inputs[2 if op == "TRANSPOSE_CONV" else 0]):
            return None
        return f"{op} {editor.name(node)!r} was taken apart" if lower(Steps(editor, node)) else None

    def apply(model: Model) -> tuple[Model, list[str]]:
        return rewrite_nodes(model, rewrite, (op,))

    summary = f"{', '.join(needs)} for {op}"
    return Pass(f"lower_{op.lower()}", summary, apply, grows=True, lowers=op, needs=tuple(needs))
