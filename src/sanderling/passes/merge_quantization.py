"""Removes the way from stored integers to floats and back where nothing is computed in between.

DEQUANTIZE and QUANTIZE to the same scale cancel, also around operators that only move elements; to another
scale they become one QUANTIZE, which may round a tie the other way. QUANTIZE and DEQUANTIZE in this order
round the values: they stay.
"""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Model, Node
from sanderling.graph.types import DType, TensorType
from sanderling.passes._editor import Editor, rewrite_nodes
from sanderling.passes.rewrite import Pass

_STORED = (DType.INT8, DType.UINT8, DType.INT16)
_MOVERS = (
    "RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "SLICE", "STRIDED_SLICE", "DEPTH_TO_SPACE",
    "SPACE_TO_DEPTH",
)  # fmt: skip


def apply(model: Model) -> tuple[Model, list[str]]:
    """Merges in the main graph."""
    return rewrite_nodes(model, _rewrite, ("QUANTIZE",))


def _rewrite(editor: Editor, node: Node) -> str | None:
    if node.op != "QUANTIZE" or len(node.inputs) != 1:
        return None
    moved: list[Node] = []
    index = node.inputs[0]
    while mover := editor.made_by(index, *_MOVERS):
        if not editor.read_once(index) or editor.graph.tensors[mover.inputs[0]].dtype is not DType.FLOAT32:
            return None
        moved.insert(0, mover)
        index = mover.inputs[0]
    real = editor.made_by(index, "DEQUANTIZE")
    if real is None:
        return None
    before, after = editor.graph.tensors[real.inputs[0]], editor.graph.tensors[node.outputs[0]]
    if before.is_constant or not (_per_tensor(before.type) and _per_tensor(after.type)):
        return None
    same = before.dtype is after.dtype and _scale(before.type) == _scale(after.type)
    if (moved and not same) or any(editor.shape(m.outputs[0]) is None for m in moved):
        return None
    _emit(editor, node, real.inputs[0], moved, same)
    if not same:
        return f"DEQUANTIZE and QUANTIZE {editor.name(node)!r} became one QUANTIZE"
    between = f" around {', '.join(m.op for m in moved)}" if moved else ""
    return f"DEQUANTIZE and QUANTIZE {editor.name(node)!r} cancelled{between}"


def _emit(editor: Editor, node: Node, source: int, moved: list[Node], same: bool) -> None:
    if not same:
        editor.builder.node(replace(node, inputs=(source,)))
        return
    if not moved:
        editor.forward(source, node.outputs[0])
        return
    for mover in moved:
        shape = editor.shapes[mover.outputs[0]]
        last = mover is moved[-1]
        target = node.outputs[0] if last else editor.value(shape, f"{editor.name(mover)}/stored", source)
        version = (
            max(mover.version, 2) if mover.op in ("TRANSPOSE", "SLICE", "STRIDED_SLICE") else mover.version
        )
        editor.builder.node(
            replace(mover, inputs=(source, *mover.inputs[1:]), outputs=(target,), version=version)
        )
        source = target


def _per_tensor(kind: TensorType) -> bool:
    quant = kind.quant
    return kind.dtype in _STORED and quant is not None and quant.scale.size == 1 and quant.block is None


def _scale(kind: TensorType) -> tuple[float, int]:
    assert kind.quant is not None
    return float(kind.quant.scale[0]), int(kind.quant.zero_point[0]) if kind.quant.zero_point.size else 0


PASS = Pass("merge_quantization", "cancel DEQUANTIZE and QUANTIZE, or make them one", apply)
