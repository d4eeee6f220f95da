"""The same computation with other operators, where litert-torch has no lowering, a slow or a wrong one.

Each function stands in the place of PyTorch's operator while litert-torch traces the program. What works on
[N,C,H,W] is written for [N,H,W,C] between two permutes, which cancel with those of the convolutions around.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from sanderling.convert.torch.layout import TO_FIRST, TO_LAST, is_image
from sanderling.convert.torch.shuffle import shuffle_channels, shuffled_groups

if TYPE_CHECKING:
    import torch
    from torch.fx import GraphModule, Node


def rewrite(module: GraphModule) -> None:
    """Replaces, in place, what is better said otherwise."""
    for node in list(module.graph.nodes):
        instead = _table().get(node.target)
        if instead is not None and _rank(node.args[0] if node.args else None) == 4 and is_image(node.args[0]):
            node.target = instead
        elif groups := shuffled_groups(node):
            node.target, node.args, node.kwargs = shuffle_channels, groups, {}
        elif _broadcasts_anyway(node):
            node.replace_all_uses_with(node.args[0])
        elif _weighs_pixels(node):
            node.args, node.target = (node.target, *node.args), channels_last
    module.graph.eliminate_dead_code()
    module.recompile()


@cache
def _table() -> dict[object, Callable[..., Any]]:
    """Returns: PyTorch's operator → what stands in its place."""
    import torch

    aten = torch.ops.aten
    return {
        aten.conv_transpose2d.input: conv_transpose2d,
        aten.avg_pool2d.default: avg_pool2d,
        aten.adaptive_avg_pool2d.default: adaptive_avg_pool2d,
        aten._adaptive_avg_pool2d.default: adaptive_avg_pool2d,
        aten.adaptive_max_pool2d.default: adaptive_max_pool2d,
        aten.upsample_nearest2d.vec: upsample_nearest2d,
        aten.group_norm.default: group_norm,
        aten.instance_norm.default: instance_norm,
        aten.upsample_bilinear2d.vec: upsample_bilinear2d,
        aten.elu.default: elu,
        aten.elu_.default: elu,
        aten.selu.default: selu,
        aten.celu.default: celu,
        aten.roll.default: roll,
        aten.pad.default: pad,
        aten.replication_pad2d.default: replication_pad2d,
        aten.linalg_vector_norm.default: linalg_vector_norm,
    }


def _rank(node: Any) -> int:
    return getattr(getattr(node, "meta", {}).get("val"), "ndim", 0)


def _broadcasts_anyway(node: Node) -> bool:
    """Returns: whether a value is repeated only for operators that would repeat it by themselves."""
    import torch

    aten = torch.ops.aten
    if node.target not in (aten.expand.default, aten.expand_as.default):
        return False
    arithmetic = {aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor}
    shape = node.meta["val"].shape
    return all(
        user.target in arithmetic
        and any(each is not node and each.meta["val"].shape == shape for each in user.all_input_nodes)
        for user in node.users
    )


def _weighs_pixels(node: Node) -> bool:
    """Returns: whether all channels of an image meet one value per pixel."""
    import torch

    aten = torch.ops.aten
    if node.target not in (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor) or node.kwargs:
        return False
    if len(node.all_input_nodes) != 2 or any(_rank(each) != 4 for each in node.all_input_nodes):
        return False
    a, b = (each.meta["val"].shape for each in node.all_input_nodes)
    return bool((a[1] == 1) != (b[1] == 1)) and is_image(node)


def channels_last(function: Callable[..., torch.Tensor], *images: torch.Tensor) -> torch.Tensor:
    """What a function of images gives, computed on [N,H,W,C]."""
    return function(*(image.permute(TO_LAST) for image in images)).permute(TO_FIRST)


def conv_transpose2d(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None, stride: Any = 1,
    padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> torch.Tensor:  # fmt: skip
    """The transposed convolution without padding, of which the padding cuts off the borders.

    litert-torch lowers it with the padding of its strides only. Rows beyond the full result, which a large
    output padding asks for, hold nothing but the bias.

    Args:
        x [N,C,H,W]; weight [C,O/groups,kH,kW]; bias [O].
    """
    import torch
    from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

    stride, padding, output_padding, dilation = map(_pair, (stride, padding, output_padding, dilation))
    each = x.shape[1] // groups
    pieces = [
        F.conv_transpose2d(
            x.narrow(1, start, each), weight.narrow(0, start, each), None, stride, 0, 0, 1, dilation
        )
        for start in range(0, x.shape[1], each)
    ]
    full = pieces[0] if groups == 1 else torch.cat(pieces, 1)
    for axis, pad, more in ((2, padding[0], output_padding[0]), (3, padding[1], output_padding[1])):
        size = full.shape[axis] - 2 * pad + more
        left = min(size, full.shape[axis] - pad)
        full = full.narrow(axis, pad, left)
        if left < size:
            full = F.pad(full, (0, size - left) if axis == 3 else (0, 0, 0, size - left))
    return full if bias is None else full + bias.view(1, -1, 1, 1)


def avg_pool2d(
    x: torch.Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> torch.Tensor:  # fmt: skip
    """Where zeros around the picture do not count: with them, times what that makes too little."""
    import torch

    steps = stride or kernel_size
    options = (kernel_size, steps, padding, ceil_mode)
    if count_include_pad or ceil_mode or divisor_override is not None or not any(_pair(padding)):
        return torch.ops.aten.avg_pool2d.default(x, *options, count_include_pad, divisor_override)
    pooled = torch.ops.aten.avg_pool2d.default(x, *options)
    rows, columns = (
        [window / (min(i * step - pad + window, size) - max(i * step - pad, 0)) for i in range(count)]
        for window, step, pad, size, count in zip(
            _pair(kernel_size), _pair(steps), _pair(padding), x.shape[2:], pooled.shape[2:], strict=True
        )
    )
    factors = torch.tensor([[row * column for column in columns] for row in rows], dtype=x.dtype)
    return (pooled.permute(TO_LAST) * factors[None, :, :, None]).permute(TO_FIRST)


def adaptive_avg_pool2d(x: torch.Tensor, output_size: Any) -> torch.Tensor:
    """Windows of one size as a pool; those of several sizes by rows, then by columns."""
    from torch.nn import functional as F  # noqa: N812

    return _pooled(x, output_size, F.avg_pool2d, lambda part, axis: part.mean(axis, keepdim=True))


def adaptive_max_pool2d(x: torch.Tensor, output_size: Any) -> tuple[torch.Tensor, None]:
    """The same for maxima. Their places, the second result, are not computed."""
    from torch.nn import functional as F  # noqa: N812

    return _pooled(x, output_size, F.max_pool2d, lambda part, axis: part.amax(axis, keepdim=True)), None


def _pooled(
    x: torch.Tensor,
    output_size: Any,
    pool: Callable[..., torch.Tensor],
    reduced: Callable[[torch.Tensor, int], torch.Tensor],
) -> torch.Tensor:
    import torch

    sizes = [
        have if want is None else want for want, have in zip(_pair(output_size), x.shape[2:], strict=True)
    ]
    if all(have % want == 0 for want, have in zip(sizes, x.shape[2:], strict=True)):
        return pool(x, [have // want for want, have in zip(sizes, x.shape[2:], strict=True)])
    last = x.permute(TO_LAST)
    for axis, want in ((1, sizes[0]), (2, sizes[1])):
        have = last.shape[axis]
        bounds = [(i * have // want, -(-(i + 1) * have // want)) for i in range(want)]
        last = torch.cat([reduced(last.narrow(axis, a, b - a), axis) for a, b in bounds], axis)
    return last.permute(TO_FIRST)


def upsample_nearest2d(x: torch.Tensor, output_size: Any, scale_factors: Any) -> torch.Tensor:
    """By slices or an index where RESIZE_NEAREST_NEIGHBOR takes other pixels, as it may for odd factors."""
    import torch

    sizes = torch.ops.aten.upsample_nearest2d.vec(x, output_size, scale_factors).shape[2:]
    for axis, (have, want) in enumerate(zip(x.shape[2:], sizes, strict=True), 2):
        # PyTorch forgets the factor where the size stays or doubles.
        exact = scale_factors is None or want in (have, 2 * have)
        taken = _before(have, want, have / want if exact else 1 / float(scale_factors[axis - 2]))
        if taken == _before(have, want, have / want):
            continue
        x = torch.cat([x.narrow(axis, i, 1) for i in taken], axis)
    return torch.ops.aten.upsample_nearest2d.vec(x, list(sizes), None)


def _before(have: int, want: int, step: float) -> list[int]:
    """Returns: for each pixel of the result the pixel at or before its place, in PyTorch's own precision."""
    import numpy as np

    places = np.arange(want, dtype=np.float32) * np.float32(step)
    return [min(int(place), have - 1) for place in places]


def upsample_bilinear2d(
    x: torch.Tensor, output_size: Any, align_corners: bool, scale_factors: Any
) -> torch.Tensor:
    """By two products with weights where the scale is not the ratio of sizes that RESIZE_BILINEAR takes."""
    import torch

    sizes = torch.ops.aten.upsample_bilinear2d.vec(x, output_size, align_corners, scale_factors).shape[2:]
    factors = [want / have for want, have in zip(sizes, x.shape[2:], strict=True)]
    if align_corners or scale_factors is None or [float(f) for f in scale_factors] == factors:
        return torch.ops.aten.upsample_bilinear2d.vec(x, list(sizes), align_corners, None)
    rows, columns = (
        torch.tensor(_between(have, want, float(factor)), dtype=x.dtype)
        for have, want, factor in zip(x.shape[2:], sizes, scale_factors, strict=True)
    )
    n, channels, height, width = x.shape
    last = (rows @ x.permute(TO_LAST).reshape(n, height, width * channels)).reshape(-1, width, channels)
    return (columns @ last).reshape(n, sizes[0], sizes[1], channels).permute(TO_FIRST)


def _between(have: int, want: int, factor: float) -> list[list[float]]:
    """Returns: for each pixel of the result, how much it takes of each pixel there is [want,have]."""
    table = []
    factor = 1.0 if want == have else factor  # as PyTorch does, whatever the factor
    for i in range(want):
        place = min(max((i + 0.5) / factor - 0.5, 0.0), have - 1.0)
        before = int(place)
        row = [0.0] * have
        row[before] += 1 - (place - before)
        row[min(before + 1, have - 1)] += place - before
        table.append(row)
    return table


def group_norm(
    x: torch.Tensor, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> torch.Tensor:  # fmt: skip
    """Means and variances by channel first, then by group, so that the image keeps its four dimensions."""
    last = x.permute(TO_LAST)
    centered = last - _by_group(last.mean((1, 2)), num_groups)
    variance = _by_group((centered * centered).mean((1, 2)), num_groups)
    scale = (variance + eps).rsqrt()
    scaled = centered * (scale if weight is None else scale * weight)
    return (scaled if bias is None else scaled + bias).permute(TO_FIRST)


def _by_group(values: torch.Tensor, groups: int) -> torch.Tensor:
    """Returns: the mean of each group of channels, [N,C] → [N,1,1,C]."""
    n, channels = values.shape
    if groups != channels:
        parts = values.reshape(n, groups, channels // groups).mean(2, keepdim=True)
        values = parts.expand(n, groups, channels // groups)
    return values.reshape(n, 1, 1, channels)


def instance_norm(
    x: torch.Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, use_input_stats: bool,
    momentum: float, eps: float, cudnn_enabled: bool,
) -> torch.Tensor:  # fmt: skip
    """A group for every channel; with statistics of its own it is a batch normalization."""
    from torch.nn import functional as F  # noqa: N812

    if not use_input_stats:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    return group_norm(x, x.shape[1], weight, bias, eps)


def elu(x: torch.Tensor, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> torch.Tensor:
    """ELU, SELU and CELU: scale · (x above zero, alpha · (exp(input_scale · x) − 1) below)."""
    below = (x.clamp(max=0) * input_scale).exp() - 1
    return (x.clamp(min=0) + below * alpha) * scale


def selu(x: torch.Tensor) -> torch.Tensor:
    """ELU with the two constants that keep mean and variance (Klambauer et al., 2017)."""
    return elu(x, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946)


def celu(x: torch.Tensor, alpha: float = 1.0) -> torch.Tensor:
    """ELU of x / alpha, scaled back."""
    return elu(x, alpha, 1.0, 1 / alpha)


def roll(x: torch.Tensor, shifts: Any, dims: Any = ()) -> torch.Tensor:
    """Two slices, one behind the other."""
    import torch

    if not dims:
        return torch.roll(x, shifts, dims)
    last = x.permute(TO_LAST)
    for shift, axis in zip(_list(shifts), _list(dims), strict=True):
        axis = TO_LAST.index(axis % 4)
        cut = -shift % last.shape[axis]
        if cut:
            size = last.shape[axis]
            last = torch.cat([last.narrow(axis, cut, size - cut), last.narrow(axis, 0, cut)], axis)
    return last.permute(TO_FIRST)


def pad(x: torch.Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> torch.Tensor:
    """Replicated borders of an image; all other kinds as they are."""
    import torch

    if mode == "replicate" and len(pad) == 4:
        return replication_pad2d(x, pad)
    return torch.ops.aten.pad.default(x, pad, mode, value)


def replication_pad2d(x: torch.Tensor, padding: Any) -> torch.Tensor:
    """The first and the last row and column, repeated."""
    import torch

    last = x.permute(TO_LAST)
    for axis, before, after in ((2, padding[0], padding[1]), (1, padding[2], padding[3])):
        first, end = last.narrow(axis, 0, 1), last.narrow(axis, last.shape[axis] - 1, 1)
        last = torch.cat([*[first] * before, last, *[end] * after], axis)
    return last.permute(TO_FIRST)


def linalg_vector_norm(
    x: torch.Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> torch.Tensor:
    """The length along the channels with these in the last place."""
    import torch

    if ord != 2 or not keepdim or dtype is not None or [axis % 4 for axis in _list(dim)] != [1]:
        return torch.ops.aten.linalg_vector_norm.default(x, ord, dim, keepdim, dtype=dtype)
    last = x.permute(TO_LAST)
    return (last * last).sum(3, keepdim=True).sqrt().permute(TO_FIRST)


def _pair(value: Any) -> tuple[Any, Any]:
    sizes = _list(value)
    return sizes[0], sizes[-1]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
