"""Channel shuffles (ShuffleNet): they come as views of five dimensions and are one TRANSPOSE of channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sanderling.convert.torch.layout import TO_FIRST, TO_LAST

if TYPE_CHECKING:
    import torch
    from torch.fx import Node


def shuffle_channels(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Channel i of group g becomes channel i × groups + g.

    Said of pixels [N·H·W,groups,C/groups], it is one TRANSPOSE of channels and none of the layout.

    Args:
        x [N,C,H,W].
    """
    n, channels, height, width = x.shape
    pixels = x.permute(TO_LAST).reshape(n * height * width, groups, channels // groups)
    return pixels.transpose(1, 2).reshape(n, height, width, channels).permute(TO_FIRST)


def shuffled_groups(node: Node) -> tuple[Node, int] | None:
    """Finds a channel shuffle written as a view, a swap of two dimensions and a view back.

    Returns: the value [N,C,H,W] of which a node is the shuffled one, and the number of groups.
    """
    import torch

    if node.target is torch.ops.aten.channel_shuffle.default:
        return (node.args[0], node.args[1])
    if _kind(node) not in ("view", "reshape", "_unsafe_view", "flatten"):
        return None
    swap = _before(node, ("transpose", "permute", "clone", "contiguous"))
    while swap is not None and _kind(swap) in ("clone", "contiguous"):
        swap = _before(swap, ("transpose", "permute", "clone", "contiguous"))
    split = _before(swap, ("view", "reshape", "_unsafe_view"))
    source = split.args[0] if split is not None else None
    if swap is None or split is None or not hasattr(source, "meta"):
        return None
    whole, parts, result = (_shape(each) for each in (source, split, node))
    if whole is None or parts is None or len(whole) != 4 or len(parts) != 5 or result != whole:
        return None
    n, c, h, w = whole
    axes = {axis % 5 for axis in swap.args[1:3]} if _kind(swap) == "transpose" else None
    swapped = axes == {1, 2} if axes is not None else list(swap.args[1]) == [0, 2, 1, 3, 4]
    if not swapped or parts != (n, parts[1], c // max(parts[1], 1), h, w):
        return None
    return source, parts[1]


def _before(node: Node | None, kinds: tuple[str, ...]) -> Node | None:
    """Returns: what a node works on, if that is one of these operators and nobody else reads it."""
    before = node.args[0] if node is not None and node.args else None
    if before is None or not hasattr(before, "users") or len(before.users) != 1:
        return None
    return before if _kind(before) in kinds else None


def _kind(node: Node) -> str:
    return str(getattr(getattr(node.target, "overloadpacket", None), "__name__", ""))


def _shape(node: Any) -> tuple[int, ...] | None:
    value = node.meta.get("val")
    shape = tuple(getattr(value, "shape", ()))
    return shape if shape and all(isinstance(size, int) for size in shape) else None
