"""What every NPU for integers asks of a model: settled sizes, and arithmetic on stored integers."""

from __future__ import annotations

from collections.abc import Callable

from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import DType

_INTEGERS = frozenset({DType.INT8, DType.UINT8, DType.INT16, DType.UINT16})
# They convert or move numbers, and compute nothing.
_IDLE = frozenset({
    "QUANTIZE", "DEQUANTIZE", "CAST", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "PACK", "UNPACK",
    "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "GATHER", "CONCATENATION", "PAD", "PADV2",
})  # fmt: skip


def refusal(model: Model, target: str, processor: str) -> str:
    """Returns: why no such processor can run a model, "" where one may.

    Args:
        target: further arguments that make ``optimize`` work for it.
        processor: for people: ``an Ethos-U``.
    """
    if why := open_sizes(model, processor):
        return why
    graph = model.main
    if any(_computes_in(graph, node, _INTEGERS.__contains__) for node in graph.nodes):
        return ""
    floats = [node for node in graph.nodes if _computes_in(graph, node, lambda dtype: dtype.is_float)]
    if not floats:
        return f"no operator computes with stored 8- or 16-bit integers, which is all that {processor} does"
    more = f", and so do {len(floats) - 1} more operators" if len(floats) > 1 else ""
    return (
        f"{floats[0].kind} computes in floating point{more}; {processor} computes in 8- and 16-bit integers "
        f"(sanderling optimize MODEL{target} --samples PATH makes it so)"
    )


def open_sizes(model: Model, processor: str) -> str:
    """Returns: which input's sizes are open, in a sentence, "" where none are: a batch becomes the file's."""
    graph = model.main
    for index, name in zip(graph.inputs, model.input_names(), strict=True):
        signature = graph.tensors[index].shape_signature
        if -1 in signature[1:]:
            sizes = ", ".join("?" if size < 0 else str(size) for size in signature)
            return (
                f"input {name!r} is [{sizes}]: the memory of {processor} is laid out beforehand, so sizes "
                "must be known (sanderling convert MODEL --shape settles them)"
            )
    return ""


def _computes_in(graph: Graph, node: Node, fits: Callable[[DType], bool]) -> bool:
    """Returns: whether an operator computes, and takes and gives tensors of such types."""
    if node.kind in _IDLE or not node.outputs:
        return False
    data = next((t for t in graph.operands(node) if t is not None and not t.is_constant), None)
    return data is not None and fits(data.dtype) and fits(graph.tensors[node.outputs[0]].dtype)
