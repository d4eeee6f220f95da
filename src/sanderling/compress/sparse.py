"""Zeros left out of the file: weights in the format's sparse encoding, wherever that is smaller.

The arithmetic stays dense: LiteRT unpacks such weights once, when it loads the model. Only its kernel of
FULLY_CONNECTED can skip zeros; other operators that read an encoded constant themselves give wrong answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sanderling.compress.applied import Applied
from sanderling.compress.eligible import DATA, WEIGHTS
from sanderling.compress.options import Options
from sanderling.compress.sparsity.zipped import sizes_told
from sanderling.compress.technique import Technique, Work
from sanderling.graph.constant import decode
from sanderling.graph.edit import compact
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.sparse import encode, sparsify
from sanderling.graph.types import DType

NAME = "sparse"
_UNPACKED_READERS = {
    "DEQUANTIZE": 0,
    **{op: WEIGHTS[op] for op in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")},
}


def apply(model: Model, settings: Mapping[str, Any], work: Work) -> tuple[Model, Applied]:
    """Encodes constants that are mostly zeros.

    Settings:
        kernel: ``dense``: operators read unpacked weights (default); ``sparse``: float FULLY_CONNECTED
            operators read the encoded ones, which skips zeros and pays where nearly all weights are zero.
    """
    direct = Options(NAME, settings, ("kernel",)).choice("kernel", ("dense", "sparse"), "dense") == "sparse"
    encoded, count = encoded_model(model, direct=direct)
    if not count:
        return model, Applied(notes=("no constant gets smaller by leaving out zeros",))
    notes = (
        f"{count} constants are stored without their zeros; LiteRT unpacks them when it loads the model, so "
        + ("only FULLY_CONNECTED skips zeros" if direct else "this saves room, not time"),
        sizes_told(model, encoded, work.folder),
    )
    return encoded, Applied(notes=notes)


def encoded_model(model: Model, *, direct: bool = False) -> tuple[Model, int]:
    """Encodes constants wherever that makes the file smaller.

    Args:
        model: any model.
        direct: float FULLY_CONNECTED operators read encoded weights without a DENSIFY.

    Returns: the model, and how many constants were encoded.
    """
    done = [_encoded(graph, direct) for graph in model.graphs]
    return compact(replace(model, graphs=tuple(graph for graph, _ in done))), sum(n for _, n in done)


def _encoded(graph: Graph, direct: bool) -> tuple[Graph, int]:
    tensors, unpacking, count = list(graph.tensors), [], 0
    for index in _candidates(graph):
        stored = sparsify(tensors[index])
        if stored is None:
            continue
        count += 1
        if direct and _is_skippable(graph, index):
            tensors[index] = _by_rows(stored)
            continue
        tensors.append(replace(stored, name=f"{stored.name}_sparse"))
        unpacking.append(Node("DENSIFY", (len(tensors) - 1,), (index,), options="DensifyOptions"))
        tensors[index] = replace(graph.tensors[index], data=None, sparsity=None)
    return replace(graph, tensors=tuple(tensors), nodes=(*unpacking, *graph.nodes)), count


def _candidates(graph: Graph) -> list[int]:
    """Returns: indices of dense constants that may as well be computed by a DENSIFY."""
    banned = {*graph.inputs, *graph.outputs, *(i for node in graph.nodes for i in node.outputs)}
    read: dict[int, None] = {}
    for node in graph.nodes:
        for position, index in enumerate(node.inputs):
            read[index] = None
            if not _takes_unpacked(graph, node, position):
                banned.add(index)
    return [i for i in read if i >= 0 and i not in banned and _is_dense(graph.tensors[i])]


def _is_dense(tensor: Tensor) -> bool:
    return tensor.is_constant and tensor.sparsity is None and not tensor.is_variable


def _takes_unpacked(graph: Graph, node: Node, position: int) -> bool:
    """Returns: whether an operator runs on LiteRT when an operand comes from a DENSIFY.

    Found by trying. LiteRT 2.3 does not load models in which FULLY_CONNECTED or operators of dynamic
    quantization read int8 weights that are unpacked.
    """
    if position != _UNPACKED_READERS.get(node.op):
        return False
    weights = graph.tensors[node.inputs[position]]
    if node.op == "DEQUANTIZE" or weights.dtype is not DType.INT8:
        return True
    data = graph.tensors[node.inputs[DATA.get(node.op, 0)]]
    return data.dtype is DType.INT16 or (data.dtype is DType.INT8 and node.op != "FULLY_CONNECTED")


def _is_skippable(graph: Graph, index: int) -> bool:
    """Returns: whether only kernels that skip zeros read a constant."""
    tensor = graph.tensors[index]
    readers = [node for node in graph.nodes if index in node.inputs]
    return tensor.dtype is DType.FLOAT32 and all(
        node.op == "FULLY_CONNECTED"
        and node.inputs.index(index) == 1
        and graph.tensors[node.inputs[0]].dtype is DType.FLOAT32
        for node in readers
    )


def _by_rows(stored: Tensor) -> Tensor:
    """Returns: the constant in the one encoding that LiteRT's FULLY_CONNECTED understands: row after row."""
    sparsity, data = encode(decode(stored), tuple(range(len(stored.shape))), 1)
    return replace(stored, sparsity=sparsity, data=data)


TECHNIQUE = Technique(NAME, "weights stored without their zeros: for size, not for speed", apply)
