"""Whether sparse constants are what LiteRT takes them for: it follows their indices unchecked."""

from __future__ import annotations

from sanderling.errors import InvalidGraph
from sanderling.graph.constant import decode
from sanderling.graph.graph import Graph, Node, Sparsity, Tensor

# Kernels of FULLY_CONNECTED that skip zeros: single weights, and blocks of 4 or 16 of a row.
_BLOCKS = frozenset({4, 16})
_SKIPS_ZEROS = 8  # the version of FULLY_CONNECTED that does


def fault_of_constant(tensor: Tensor) -> str:
    """Returns: what is wrong with a sparse constant's indices, "" when nothing is."""
    if tensor.sparsity is None or tensor.data is None:
        return ""
    try:
        decode(tensor)
    except InvalidGraph as error:
        return error.what
    except TypeError:
        return f"{tensor.dtype.value} cannot be sparse"
    return "" if _sizes_fit(tensor, tensor.sparsity) else "its sparse levels do not add up to its shape"


def _sizes_fit(tensor: Tensor, sparsity: Sparsity) -> bool:
    rank = len(tensor.shape)
    sizes = dict(zip(sparsity.traversal_order, sparsity.dims, strict=True))
    blocks = [1] * rank
    for number, dimension in enumerate(sparsity.block_map):
        blocks[dimension] = sizes[rank + number][0]
    return all(
        segments is not None or size * blocks[dimension] == tensor.shape[dimension]
        for dimension, (size, segments, _) in sizes.items()
        if dimension < rank
    )


def fault_of_reader(graph: Graph, node: Node) -> str:
    """Returns: why an operator must not read a sparse constant itself, "" where it may or does not.

    LiteRT 2.3 checks for none but FULLY_CONNECTED, and takes what it is given for dense weights.
    """
    if node.op == "DENSIFY":
        return ""
    for position, index in enumerate(node.inputs):
        tensor = graph.tensors[index] if index >= 0 else None
        if tensor is None or tensor.sparsity is None or not tensor.is_constant:
            continue
        if node.op != "FULLY_CONNECTED" or position != 1:
            return f"it reads tensor {index}, which is sparse, without a DENSIFY"
        if node.version < _SKIPS_ZEROS:
            return f"it reads tensor {index}, which is sparse, in version {node.version}, for dense weights"
        if not _is_by_rows(tensor, tensor.sparsity):
            return f"it reads tensor {index}, which is sparse, but not row by row"
    return ""


def _is_by_rows(tensor: Tensor, sparsity: Sparsity) -> bool:
    levels = [segments is not None for _, segments, _ in sparsity.dims]
    if len(tensor.shape) != 2 or sparsity.dims[0][0] != tensor.shape[0]:
        return False
    if sparsity.traversal_order == (0, 1) and not sparsity.block_map:
        return levels == [False, True]
    blocks = sparsity.traversal_order == (0, 1, 2) and sparsity.block_map == (1,)
    return blocks and levels == [False, True, False] and sparsity.dims[2][0] in _BLOCKS
