"""Which values of a program are pictures, and the order of their dimensions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.fx import Graph, Node

TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # NCHW → NHWC and back

# Operators whose operand of rank 4 is [N,C,H,W] by definition.
_SPATIAL = frozenset({
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "batch_norm", "channel_shuffle",
    "conv2d", "conv_transpose2d", "convolution", "grid_sampler", "group_norm", "instance_norm",
    "max_pool2d", "max_pool2d_with_indices", "max_unpool2d", "pixel_shuffle", "pixel_unshuffle",
    "prelu", "reflection_pad2d", "replication_pad2d", "upsample_bicubic2d", "upsample_bilinear2d",
    "upsample_nearest2d", "upsample_nearest_exact2d", "_native_batch_norm_legit_no_training",
    "native_group_norm", "_adaptive_avg_pool2d",
})  # fmt: skip
# Operators behind which a dimension is no longer what it was before.
_MOVING = frozenset({
    "bmm", "einsum", "expand", "flatten", "index_select", "linear", "matmul", "movedim", "mT",
    "numpy_T", "permute", "reshape", "scaled_dot_product_attention", "squeeze", "swapaxes", "t",
    "transpose", "unflatten", "unfold", "unsqueeze", "view", "_unsafe_view",
})  # fmt: skip


def image_values(graph: Graph) -> set[Node]:
    """Returns: the inputs that reach, and the results that come from, an operator on [N,C,H,W]."""
    found: set[Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" and _reaches(node, forward=True):
            found.add(node)
        if node.op == "output":
            found |= {each for each in node.all_input_nodes if _reaches(each, forward=False)}
    return found


def is_image(node: Node) -> bool:
    """Returns: whether a value comes from, or goes to, an operator on [N,C,H,W], its dimensions as they are.

    Values of rank 4 need not: attention has [N,heads,tokens,tokens].
    """
    return _reaches(node, forward=False) or _reaches(node, forward=True)


def _reaches(start: Node, *, forward: bool) -> bool:
    """Looks along values of rank 4 whose dimensions keep their meaning."""
    seen, ahead = {start}, [start]
    if not _has_rank_4(start):
        return False
    while ahead:
        node = ahead.pop()
        steps: Iterable[Node] = node.users if forward else [node]
        for user in steps:
            name = _name(user)
            if name in _SPATIAL and any(map(_has_rank_4, user.all_input_nodes[:1])):
                return not forward or user.all_input_nodes[0] is node
            if name in _MOVING or user.op != "call_function":
                continue
            following = [user] if forward else user.all_input_nodes
            new = [each for each in following if each not in seen and _has_rank_4(each)]
            seen.update(new)
            ahead += new
    return False


def _name(node: Node) -> str:
    """Returns: an operator's name without namespace and overload, and without the ``_`` of one in place."""
    packet = getattr(node.target, "overloadpacket", None)
    name = str(getattr(packet, "__name__", getattr(node.target, "__name__", "")))
    return name.removesuffix("_") if not name.startswith("__") else name


def _has_rank_4(node: Node) -> bool:
    value = node.meta.get("val")
    if isinstance(value, list | tuple) and value:
        value = value[0]
    return getattr(value, "ndim", 0) == 4
