"""What stands in the place of PyTorch's operators gives what these give, whatever their options."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from sanderling.convert.torch import rewrites
from sanderling.convert.torch.shuffle import shuffle_channels, shuffled_groups

few = settings(max_examples=60)
sizes, small = st.integers(1, 13), st.integers(0, 3)


def image(channels: int = 4, height: int = 6, width: int = 5, batch: int = 2) -> torch.Tensor:
    torch.manual_seed(channels * 1000 + height * 50 + width)
    return torch.randn(batch, channels, height, width)


def same(found: torch.Tensor, wanted: torch.Tensor) -> None:
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@few
@given(st.data())
def test_transposed_convolutions(data: st.DataObject) -> None:
    draw = data.draw
    groups, kernel = draw(st.sampled_from([1, 2])), (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    padding = (draw(small), draw(small))
    more = (draw(small), draw(small))
    assume(all(each < max(stride, dilation) for each in more))
    x, weight = image(4), torch.randn(4, 3, *kernel)
    bias = draw(st.sampled_from([None, torch.randn(3 * groups)]))
    ends = [
        (size - 1) * stride + dilation * (k - 1) + 1 - 2 * pad + out
        for size, k, pad, out in zip(x.shape[2:], kernel, padding, more, strict=True)
    ]
    assume(min(ends) > 0)
    given_ = (x, weight, bias, stride, padding, more, groups, dilation)
    same(rewrites.conv_transpose2d(*given_), F.conv_transpose2d(*given_))


@few
@given(sizes, sizes, sizes, sizes)
def test_adaptive_pools(height: int, width: int, tall: int, wide: int) -> None:
    x = image(3, height, width)
    same(rewrites.adaptive_avg_pool2d(x, [tall, wide]), F.adaptive_avg_pool2d(x, (tall, wide)))
    same(rewrites.adaptive_max_pool2d(x, [tall, wide])[0], F.adaptive_max_pool2d(x, (tall, wide)))


@few
@given(
    st.tuples(sizes, sizes), st.tuples(st.integers(1, 4), st.integers(1, 4)), st.integers(1, 3),
    st.tuples(small, small), st.booleans(), st.booleans(),
)  # fmt: skip
def test_pools_that_do_not_count_their_padding(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    padding: tuple[int, int],
    ceil: bool,
    count: bool,
) -> None:
    assume(all(2 * pad <= window for pad, window in zip(padding, kernel, strict=True)))
    assume(all(n + 2 * pad >= k for n, pad, k in zip(size, padding, kernel, strict=True)))
    x = image(3, *size)
    given_ = (list(kernel), [stride, stride], list(padding), ceil, count)
    same(rewrites.avg_pool2d(x, *given_), F.avg_pool2d(x, *given_))


@few
@given(sizes, sizes, st.floats(0.3, 3.7), st.floats(0.3, 3.7), st.booleans())
def test_interpolation_by_a_factor(height: int, width: int, down: float, across: float, align: bool) -> None:
    assume(int(height * down) and int(width * across))
    x, factors = image(2, height, width), [down, across]
    wanted = torch.ops.aten.upsample_bilinear2d.vec(x, None, align, factors)
    same(rewrites.upsample_bilinear2d(x, None, align, factors), wanted)
    nearest = torch.ops.aten.upsample_nearest2d.vec(x, None, factors)
    same(rewrites.upsample_nearest2d(x, None, factors), nearest)


@few
@given(st.sampled_from([(4, 2), (4, 1), (6, 3), (6, 6)]), st.booleans(), sizes, sizes)
def test_normalizations(channels: tuple[int, int], affine: bool, height: int, width: int) -> None:
    assume(height * width > 1)
    count, groups = channels
    x = image(count, height, width) * 3 + 1
    weight, bias = (torch.randn(count), torch.randn(count)) if affine else (None, None)
    same(rewrites.group_norm(x, groups, weight, bias, 1e-3), F.group_norm(x, groups, weight, bias, 1e-3))
    wanted = F.instance_norm(x, weight=weight, bias=bias, eps=1e-3)
    same(rewrites.instance_norm(x, weight, bias, None, None, True, 0.1, 1e-3, False), wanted)


def test_instance_normalization_with_statistics_of_its_own() -> None:
    layer = nn.InstanceNorm2d(4, track_running_stats=True)
    layer(image())
    layer.eval()
    arguments = (layer.weight, layer.bias, layer.running_mean, layer.running_var, False, 0.1, 1e-5, False)
    same(rewrites.instance_norm(image(), *arguments), layer(image()))


@few
@given(st.lists(st.tuples(st.integers(-9, 9), st.sampled_from([-1, 0, 1, 2, 3])), min_size=1, max_size=3))
def test_rolls(steps: list[tuple[int, int]]) -> None:
    shifts, axes = [list(each) for each in zip(*steps, strict=True)]
    same(rewrites.roll(image(), shifts, axes), torch.roll(image(), shifts, axes))


@few
@given(st.tuples(small, small, small, small))
def test_replicated_borders(padding: tuple[int, int, int, int]) -> None:
    same(rewrites.pad(image(), list(padding), "replicate"), F.pad(image(), padding, mode="replicate"))


def test_functions() -> None:
    x = image() * 3
    same(rewrites.elu(x, 0.7), F.elu(x, 0.7))
    same(rewrites.selu(x), F.selu(x))
    same(rewrites.celu(x, 0.6), F.celu(x, 0.6))
    same(rewrites.roll(x, [3], []), torch.roll(x, 3))
    same(rewrites.pad(x, [1, 0, 2, 1], "constant", 0.5), F.pad(x, (1, 0, 2, 1), value=0.5))
    same(rewrites.linalg_vector_norm(x, 2, [1], True), x.norm(dim=1, keepdim=True))
    same(rewrites.linalg_vector_norm(x, 1, [1], True), x.norm(1, dim=1, keepdim=True))


class Views(nn.Module):
    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        return x.view(n, 3, c // 3, h, w).permute(self.order).reshape(n, c, h, w)


@pytest.mark.parametrize("order, shuffles", [((0, 2, 1, 3, 4), True), ((0, 1, 2, 4, 3), False)])
def test_shuffles_are_told_from_other_views(order: tuple[int, ...], shuffles: bool) -> None:
    x = image(6, 5, 5)
    program = torch.export.export(Views(order), (x,))
    found = [each for each in map(shuffled_groups, program.graph.nodes) if each]
    assert bool(found) == shuffles
    if shuffles:
        assert found[0][1] == 3
        same(shuffle_channels(x, 3), Views(order)(x))
        same(shuffle_channels(x, 2), F.channel_shuffle(x, 2))
