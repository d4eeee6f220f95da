"""Merges chains of RESHAPE and TRANSPOSE that a single one, or none, can do.

A value that is only moved is described by its atoms: what the dimensions of the first value were cut into,
each with its size and its distance in memory. RESHAPE regroups them, TRANSPOSE changes their order. Where
their order is the old one in the end (a channel shuffle and its inverse), only a RESHAPE remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sanderling.graph.graph import Model, Node
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes._known_shapes import Shape
from sanderling.passes.rewrite import Pass

MAX_RANK = 5  # to which every kernel can transpose
_MOVERS = ("RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH")


@dataclass(frozen=True, slots=True)
class _Atom:
    """A part of a dimension of the first value: its size, and the distance of its elements in memory."""

    size: int
    stride: int


_Dims = list[list[_Atom]]


def apply(model: Model) -> tuple[Model, list[str]]:
    """Merges in the main graph."""
    return rewrite_nodes(model, _rewrite, _MOVERS)


def _rewrite(editor: Editor, node: Node) -> str | None:
    chain = _chain(editor, node)
    # The longest first: a chain that begins with other operators may not come to an end that is simpler.
    for start in range(len(chain) - 1):
        done = _merged(editor, chain[start:])
        if done is not None:
            return done
    return None


def _chain(editor: Editor, node: Node) -> list[Node]:
    """Returns: the operators that do nothing but move, up to this one."""
    chain: list[Node] = []
    current: Node | None = node
    while current is not None and _moves(editor, current):
        chain.insert(0, current)
        current = editor.producers.get(current.inputs[0])
    return chain


def _moves(editor: Editor, node: Node) -> bool:
    if node.op not in _MOVERS or not node.inputs or node.inputs[0] < 0 or len(node.outputs) != 1:
        return False
    source, target = (editor.graph.tensors[i] for i in (node.inputs[0], node.outputs[0]))
    same = source.dtype is target.dtype and source.quant == target.quant
    per_tensor = source.quant is None or (source.quant.axis is None and source.quant.block is None)
    plain = not (source.is_constant or source.is_variable or target.is_variable)
    shapes = editor.shape(node.inputs[0]), editor.shape(node.outputs[0])
    return same and per_tensor and plain and None not in shapes


def _merged(editor: Editor, chain: list[Node]) -> str | None:
    node, root = chain[-1], chain[0].inputs[0]
    movers = [one for one in chain if one.op in ("TRANSPOSE", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH")]
    if not movers:
        return None  # for merge_reshapes
    before, after = editor.shapes[root], editor.shapes[node.outputs[0]]
    dims = _followed(editor, chain, before)
    if dims is None:
        return None
    atoms = _joined([atom for dim in dims for atom in dim])
    name = editor.name(node)
    if len(atoms) <= 1:
        if before == after:
            editor.forward(root, node.outputs[0])
        else:
            editor.reshape(root, after, node.outputs[0])
        return f"{len(chain)} operators that move elements to where they were are gone at {name!r}"
    open_batch = before[0] == -1
    transposes_only = all(one.op == "TRANSPOSE" for one in movers)
    fits = len(movers) > 1 and transposes_only and len(atoms) + open_batch <= MAX_RANK
    if not fits or len(chain) < 4 or not editor.hides(chain, node.outputs[0]):
        return None
    _emit(editor, node, root, atoms, open_batch)
    return f"{len(chain)} operators that move elements became one TRANSPOSE {name!r}"


def _emit(editor: Editor, node: Node, root: int, atoms: list[_Atom], open_batch: bool) -> None:
    name, like = editor.name(node), node.outputs[0]
    order = sorted(range(len(atoms)), key=lambda place: -atoms[place].stride)
    lead: Shape = (-1,) if open_batch else ()
    shape = (*lead, *(atoms[place].size for place in order))
    places = {place: axis + len(lead) for axis, place in enumerate(order)}
    turned = (*range(len(lead)), *(places[place] for place in range(len(atoms))))
    cut = editor.value(shape, f"{name}/cut", like)
    editor.reshape(root, shape, cut)
    moved = editor.value(tuple(shape[axis] for axis in turned), f"{name}/moved", like)
    editor.transpose(cut, shape, turned, moved)
    editor.reshape(moved, editor.shapes[node.outputs[0]], node.outputs[0])


def _followed(editor: Editor, chain: Sequence[Node], shape: Shape) -> _Dims | None:
    """Returns: the atoms of every dimension of the last value, without an open batch; None if unclear."""
    dims: _Dims = []
    stride = 1
    for size in reversed(shape):
        dims.insert(0, [_Atom(size, stride)] if size > 1 else [])
        stride *= max(size, 1)
    for node in chain:
        after = editor.shapes[node.outputs[0]]
        step = _transposed(editor, node, dims) if node.op == "TRANSPOSE" else _regrouped(dims, after)
        if node.op in ("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"):
            step = _blocks(node, dims, editor.shapes[node.inputs[0]], after)
        if step is None or (shape[0] == -1) != (after[0] == -1):
            return None
        dims = step
    return dims


def _transposed(editor: Editor, node: Node, dims: _Dims) -> _Dims | None:
    order = editor.integers(node, 1)
    if order is None or order.size != len(dims):
        return None
    axes = [int(axis) % len(dims) for axis in order.ravel()]
    if editor.shapes[node.inputs[0]][0] == -1 and axes[0] != 0:
        return None
    return [dims[axis] for axis in axes]


def _regrouped(dims: _Dims, shape: Shape) -> _Dims | None:
    """Cuts the atoms, in their order, into dimensions of these sizes; None where one does not divide."""
    left = [atom for dim in dims for atom in dim]
    result: _Dims = []
    for size in shape:
        taken: list[_Atom] = []
        needed = max(size, 1)
        while needed > 1:
            if not left:
                return None
            atom = left.pop(0)
            if needed % atom.size:
                if atom.size % needed:
                    return None
                rest = atom.size // needed
                left.insert(0, _Atom(rest, atom.stride))
                atom = _Atom(needed, atom.stride * rest)
            taken.append(atom)
            needed //= atom.size
        result.append(taken)
    return None if left else result


def _blocks(node: Node, dims: _Dims, before: Shape, after: Shape) -> _Dims | None:
    """Follows DEPTH_TO_SPACE and SPACE_TO_DEPTH, each a RESHAPE, a TRANSPOSE and a RESHAPE."""
    size = int(node.attrs.get("block_size", 0))
    if len(before) != 4 or size < 1:
        return None
    n = before[0]
    if node.op == "DEPTH_TO_SPACE":
        cut = _regrouped(dims, (n, before[1], before[2], size, size, after[3]))
        order = (0, 1, 3, 2, 4, 5)
    else:
        cut = _regrouped(dims, (n, after[1], size, after[2], size, before[3]))
        order = (0, 1, 3, 2, 4, 5)
    return None if cut is None else _regrouped([cut[axis] for axis in order], after)


def _joined(atoms: Sequence[_Atom]) -> list[_Atom]:
    """Returns: the atoms, neighbours that are neighbours in memory as one."""
    joined: list[_Atom] = []
    for atom in atoms:
        if joined and joined[-1].stride == atom.size * atom.stride:
            joined[-1] = _Atom(joined[-1].size * atom.size, atom.stride)
        else:
            joined.append(atom)
    return joined


PASS = Pass("merge_movements", "one TRANSPOSE, or none, for chains that move elements", apply, exact=True)
