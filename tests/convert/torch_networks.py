"""Networks to convert: what people write in PyTorch, in small."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


def block(before: int, after: int, *, stride: int = 1, groups: int = 1, act: type = nn.ReLU) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, groups=groups, bias=False), nn.BatchNorm2d(after), act()
    )


class UNet(nn.Module):
    """Down and up again, by a transposed convolution and by interpolation, with shortcuts."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep, self.deeper = block(3, 8), block(8, 16), block(16, 16, act=nn.ELU)
        self.up = nn.ConvTranspose2d(16, 16, 3, 2, 1, output_padding=1)
        self.merge, self.last, self.out = block(32, 8), block(16, 8, act=nn.Hardswish), nn.Conv2d(8, 2, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        a = self.down(image)
        b = self.deep(F.max_pool2d(a, 2))
        c = self.merge(torch.cat([self.up(self.deeper(F.max_pool2d(b, 2))), b], 1))
        c = F.interpolate(c, scale_factor=2, mode="bilinear")
        return self.out(self.last(torch.cat([c, a], 1)))


class Shuffle(nn.Module):
    """Grouped convolutions with their channels shuffled in between, once by hand and once by PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = block(3, 12, stride=2), block(12, 12, groups=3)
        self.third, self.shuffle = block(12, 12, groups=12), nn.ChannelShuffle(3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.second(self.first(image))
        n, c, h, w = x.shape
        x = x.view(n, 3, c // 3, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.second(self.shuffle(self.third(x))).mean((2, 3))


class Normalized(nn.Module):
    """Group, instance and batch normalization, weighing of channels, pools of odd sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.slopes = nn.Conv2d(3, 8, 3, 2, 1), nn.PReLU(8)
        self.group, self.instance = nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True)
        self.dilated = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4)
        self.weigh = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Hardsigmoid())

    def forward(self, image: torch.Tensor) -> dict[str, Any]:
        x = self.slopes(self.first(image))
        x = self.dilated(self.group(x)) + self.instance(x)
        x = self.dilated(F.normalize(x * self.weigh(x), dim=1).roll(3, 2))
        small = F.interpolate(self.dilated(F.pad(x, (1, 2, 0, 1), mode="replicate")), size=(11, 5))
        return {"map": x, "pools": (F.adaptive_avg_pool2d(small, (3, 4)), F.adaptive_max_pool2d(small, 1))}


class Vision(nn.Module):
    """A vision transformer of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.start = nn.Conv2d(3, 32, 8, 8), nn.Parameter(torch.randn(1, 1, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, activation="gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.scores = nn.Linear(32, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(image).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.start.expand(tokens.shape[0], -1, -1), tokens], 1)
        return self.scores(self.layers(tokens)[:, 0])


class Recommender(nn.Module):
    """Two numbers of things and a price: embeddings, einsum and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(20, 8), nn.Embedding(30, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.mix = nn.Parameter(torch.randn(2, 8, 5))

    def forward(self, user: torch.Tensor, item: torch.Tensor, price: torch.Tensor) -> dict[str, Any]:
        both = torch.stack([self.users(user), self.items(item)], 1)
        seen, weights = self.attention(both, both, both)
        return {"score": torch.einsum("bnd,hdk->bhk", seen, self.mix) * price, "weights": weights}


class Recurrent(nn.Module):
    """A recurrent layer that starts from zeros or from a given state."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(6, 10, batch_first=True, **options)

    def forward(self, sequence: torch.Tensor, *state: torch.Tensor) -> Any:
        return self.layer(sequence, state) if state else self.layer(sequence)


def settle(module: nn.Module, seed: int = 0) -> nn.Module:
    """Gives normalizations the statistics that a training would have left."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 1.5)
                part.weight.uniform_(0.5, 1.5)
            if isinstance(part, nn.PReLU):
                part.weight.uniform_(0.1, 0.4)
    return module
