"""Merges and cancels TRANSPOSEs by computing what lies between them before they are transposed.

A TRANSPOSE is put off for as long as the operators that read it can as well work on the untransposed value:
elementwise ones, CONCATENATION, reductions and PAD, with axes and constants changed. Where the next TRANSPOSE
undoes it nothing is left; where somebody needs the transposed value it is transposed there. Groups of
TRANSPOSEs that belong together are only put off if fewer elements are transposed in the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from sanderling.graph.graph import Model, Node
from sanderling.passes._cones import ELEMENTWISE
from sanderling.passes._editor import Editor
from sanderling.passes.rewrite import Pass

Order = tuple[int, ...]

_ELEMENTWISE = ELEMENTWISE - {"PRELU", "SELECT"} | {"CAST", "DEQUANTIZE", "QUANTIZE"}
_REDUCTIONS = frozenset({"MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "SUM"})
_PADS = frozenset({"MIRROR_PAD", "PAD", "PADV2"})


def apply(model: Model) -> tuple[Model, list[str]]:
    """Cancels in the main graph."""
    if not any(node.op == "TRANSPOSE" for node in model.main.nodes):
        return model, []
    refused: set[int] = set()
    while True:
        flow = _Flow(Editor(model.main), refused)
        for node in model.main.nodes:
            flow.visit(node)
        for index in model.main.outputs:
            flow.needs(index)
        losing = flow.losing()
        if not losing:
            break
        refused |= losing
    notes = flow.notes()
    return (model.with_main(flow.editor.build()), notes) if notes else (model, [])


@dataclass(frozen=True, slots=True)
class _Twin:
    """A value that was put off: ``order`` transposes tensor ``source`` to it."""

    source: int
    order: Order


@dataclass(slots=True)
class _Flow:
    """One walk over the graph.

    Attributes:
        refused: outputs of TRANSPOSEs that are left as they are.
        twins: values that are not computed yet, as tensor index → twin.
        family: tensor index → an output of a TRANSPOSE; equal for those that belong together.
        done: values that were put off and have been transposed after all.
    """

    editor: Editor
    refused: set[int]
    twins: dict[int, _Twin] = field(default_factory=dict)
    family: dict[int, int] = field(default_factory=dict)
    done: dict[int, int] = field(default_factory=dict)
    moved: dict[int, str] = field(default_factory=dict)

    def visit(self, node: Node) -> None:
        """Puts a node off if that can be, or else computes all that it reads."""
        if node.op == "TRANSPOSE" and self._put_off(node):
            return
        if any(i in self.twins for i in node.inputs) and self._absorbed(node):
            return
        for index in node.inputs:
            self.needs(index)
        self.editor.builder.node(node)

    def needs(self, index: int) -> None:
        """Computes a value that was put off."""
        twin = self.twins.get(index)
        if twin is None or index in self.done:
            return
        self.done[index] = prod(abs(size) for size in self.editor.shapes[index])
        before = self.editor.shapes[twin.source]
        if twin.order == tuple(range(len(before))):
            self.editor.forward(twin.source, index)
            self.done[index] = 0
        else:
            self.editor.transpose(twin.source, before, twin.order, index)

    def root(self, index: int) -> int:
        """Returns: the family of a value."""
        while self.family[index] != index:
            index = self.family[index]
        return index

    def join(self, index: int, others: Iterable[int]) -> None:
        """Puts a value into the family of others, and these into one."""
        self.family.setdefault(index, index)
        for other in others:
            self.family[self.root(other)] = self.root(index)

    def _put_off(self, node: Node) -> bool:
        index = node.inputs[0] if node.inputs else -1
        order = _order(self.editor, node)
        if order is None or node.outputs[0] in self.refused:
            return False
        twin = self.twins.get(index)
        if twin is not None:
            order, index = tuple(twin.order[axis] for axis in order), twin.source
        if -1 in self.editor.shapes[index] and order[0] != 0:
            return False
        self.twins[node.outputs[0]] = _Twin(index, order)
        self.join(node.outputs[0], [node.inputs[0]] if twin is not None else [])
        return True

    def _absorbed(self, node: Node) -> bool:
        """Computes a node before its operands are transposed, if it can be."""
        taken = [i for i in dict.fromkeys(node.inputs) if i in self.twins]
        order = self.twins[taken[0]].order
        alike = all(self.twins[i].order == order for i in taken)
        if not alike or len(node.outputs) != 1 or not _is_plain(self.editor, node):
            return False
        found = _untransposed(self.editor, node, order, set(taken))
        if found is None:
            return False
        changed, after = found
        inputs = [self.twins[i].source if i in self.twins else i for i in changed.inputs]
        name, target = self.editor.name(node), node.outputs[0]
        shape = self.editor.shapes[target]
        before = tuple(shape[axis] for axis in np.argsort(after))
        if -1 in before[1:]:
            return False
        result = target
        if after != tuple(range(len(after))):
            result = self.editor.value(before, f"{name}/untransposed", target)
            self.twins[target] = _Twin(result, after)
        self.join(target, taken)
        self.moved[target] = node.op
        self.editor.builder.node(replace(changed, inputs=tuple(inputs), outputs=(result,)))
        return True

    def losing(self) -> set[int]:
        """Returns: the TRANSPOSEs of those families of which no less is left than there was."""
        old, new = self._costs()
        families = {root for root in old if new.get(root, (0, 0)) >= old[root] and not self._same(root)}
        return {node.outputs[0] for node in self._transposes() if self.root(node.outputs[0]) in families}

    def notes(self) -> list[str]:
        """Returns: a line for every family that changed."""
        old, new = self._costs()
        lines = []
        for root, (_, count) in old.items():
            left = new.get(root, (0, 0))[1]
            if self._same(root):
                continue
            between = sum(self.root(index) == root for index in self.moved)
            through = f" through {between} operators" if between else ""
            name = self.editor.graph.tensors[root].name.split(";")[0]
            lines.append(f"{count} TRANSPOSE became {left}{through} at {name!r}")
        return lines

    def _same(self, root: int) -> bool:
        """Returns: whether a family is one TRANSPOSE that stays what it is."""
        members = [index for index in self.family if self.root(index) == root]
        return len(members) == 1 and members[0] in self.done and self.done[members[0]] > 0

    def _transposes(self) -> list[Node]:
        return [n for n in self.editor.graph.nodes if n.op == "TRANSPOSE" and n.outputs[0] in self.family]

    def _costs(self) -> tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]]:
        """Returns: (elements, operators) that are transposed, by family, as it was and as it is now."""
        old: dict[int, tuple[int, int]] = {}
        new: dict[int, tuple[int, int]] = {}
        for node in self._transposes():
            size = prod(abs(s) for s in self.editor.shapes[node.outputs[0]])
            _count(old, self.root(node.outputs[0]), size)
        for index, size in self.done.items():
            if size:
                _count(new, self.root(index), size)
        return old, new


def _count(costs: dict[int, tuple[int, int]], root: int, size: int) -> None:
    elements, operators = costs.get(root, (0, 0))
    costs[root] = elements + size, operators + 1


def _order(editor: Editor, node: Node) -> Order | None:
    """Returns: the permutation of a TRANSPOSE."""
    order = editor.integers(node, 1)
    shape = editor.shapes.get(node.inputs[0]) if node.inputs else None
    if order is None or shape is None or order.size != len(shape) or not _is_plain(editor, node):
        return None
    return tuple(int(axis) % len(shape) for axis in order.ravel())


def _is_plain(editor: Editor, node: Node) -> bool:
    """Returns: whether no tensor is a state or has a scale per channel, and all shapes are known."""
    for index in (*node.inputs, *node.outputs):
        if index < 0:
            return False
        tensor = editor.graph.tensors[index]
        quant = tensor.quant
        if tensor.is_variable or (quant is not None and (quant.axis is not None or quant.block is not None)):
            return False
        if editor.shape(index) is None:
            return False
    return True


def _untransposed(editor: Editor, node: Node, order: Order, taken: set[int]) -> tuple[Node, Order] | None:
    """Returns: the node for operands before ``order`` transposes them, and what transposes its result."""
    if node.op in _ELEMENTWISE:
        return _elementwise(editor, node, order, taken)
    if node.op == "CONCATENATION":
        if set(node.inputs) != taken:
            return None
        axis = order[int(node.attrs.get("axis", 0)) % len(order)]
        return replace(node, attrs={**node.attrs, "axis": axis}), order
    if node.inputs[0] not in taken or len(taken) > 1:
        return None
    told = editor.integers(node, 1)
    if told is None:
        return None
    name = editor.name(node)
    if node.op in _PADS and told.shape == (len(order), 2):
        pads = editor.constant(told[np.argsort(order)], f"{name}/paddings")
        return replace(node, inputs=(node.inputs[0], pads, *node.inputs[2:])), order
    if node.op in _REDUCTIONS:
        axes = [int(axis) % len(order) for axis in told.ravel()]
        operand = editor.constant(np.array([order[axis] for axis in axes], np.int32), f"{name}/axes")
        if not node.attrs.get("keep_dims"):
            left = [order[axis] for axis in range(len(order)) if axis not in axes]
            order = tuple(sorted(left).index(axis) for axis in left)
        return replace(node, inputs=(node.inputs[0], operand)), order
    return None


def _elementwise(editor: Editor, node: Node, order: Order, taken: set[int]) -> tuple[Node, Order] | None:
    inputs: list[int] = []
    for position, index in enumerate(node.inputs):
        if index in taken:
            # An operand of another rank would be broadcast along other dimensions.
            if len(editor.shapes[index]) != len(editor.shapes[node.outputs[0]]):
                return None
            inputs.append(index)
            continue
        moved = _constant(editor, node, position, order)
        if moved is None:
            return None
        inputs.append(moved)
    return replace(node, inputs=tuple(inputs)), order


def _constant(editor: Editor, node: Node, position: int, order: Order) -> int | None:
    """Returns: a constant operand as it has to be before ``order``."""
    index = node.inputs[position]
    tensor, shape = editor.graph.tensors[index], editor.shapes[index]
    if (tensor.is_constant or editor.floats(node, position) is not None) and prod(shape) == 1:
        # One number for all; only its rank must not be the greater one.
        return index if len(shape) <= len(order) else None
    values = editor.floats(node, position)
    if values is None or values.ndim > len(order):
        return None
    full = values.reshape((1,) * (len(order) - values.ndim) + values.shape)
    return editor.constant(full.transpose(_inverse(order)), f"{editor.name(node)}/constant")


def _inverse(order: Sequence[int]) -> Order:
    return tuple(int(axis) for axis in np.argsort(order))


PASS = Pass("cancel_transposes", "merge and cancel TRANSPOSEs, also around other operators", apply)
