"""The blocks of networks for pictures and sounds, and how a plan becomes a module."""

from __future__ import annotations

import torch
from torch import nn

from sanderling.architectures.plan import Plan, Stage, whole

ACTIVATIONS = {
    "relu": nn.ReLU, "relu6": nn.ReLU6, "silu": nn.SiLU, "hardswish": nn.Hardswish, "sigmoid": nn.Sigmoid,
    "hardsigmoid": nn.Hardsigmoid,
}  # fmt: skip
Shape = tuple[int, int, int]  # channels, height, width


class SamePad(nn.Module):
    """Zeros around a picture as TensorFlow's SAME has them: the odd row and column come last."""

    def __init__(self, kernel: tuple[int, int], stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pads: list[int] = []
        for size, kernel in ((x.shape[3], self.kernel[1]), (x.shape[2], self.kernel[0])):
            total = max((-(-size // self.stride) - 1) * self.stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return nn.functional.pad(x, pads)


def convolution(
    plan: Plan, before: int, after: int, kernel: int, stride: int, activation: str, groups: int = 1
) -> nn.Sequential:
    """Returns: convolution, batch normalization and, unless it is "", activation."""
    same = plan.same and stride > 1
    layers: list[nn.Module] = [SamePad((kernel, kernel), stride)] if same else []
    padding = 0 if same else (kernel - 1) // 2
    layers += [
        nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(after, eps=plan.epsilon),
    ]
    if activation:
        layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


class SqueezeExcite(nn.Module):
    """Weighs channels by what is seen anywhere (Hu et al., arXiv 1709.01507)."""

    def __init__(self, channels: int, squeezed: int, activation: str, gate: str) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            ACTIVATIONS[activation](),
            nn.Conv2d(squeezed, channels, 1),
            ACTIVATIONS[gate](),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weigh(x)


class Residual(nn.Module):
    """What a path computes, added to its input or to a projection of it."""

    def __init__(
        self, path: nn.Module, shortcut: nn.Module | None = None, after: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.path = path
        self.shortcut = shortcut or nn.Identity()
        self.after = after or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        after: torch.Tensor = self.after(self.path(x) + self.shortcut(x))
        return after


def _separable(plan: Plan, stage: Stage, before: int, stride: int) -> nn.Module:
    activation = stage.activation or plan.activation
    return nn.Sequential(
        convolution(plan, before, before, stage.kernel, stride, activation, before),
        convolution(plan, before, stage.channels, 1, 1, activation),
    )


def _inverted(plan: Plan, stage: Stage, before: int, stride: int) -> nn.Module:
    activation = stage.activation or plan.activation
    hidden = stage.hidden or before * stage.expand
    layers: list[nn.Module] = []
    if hidden != before:
        layers.append(convolution(plan, before, hidden, 1, 1, activation))
    layers.append(convolution(plan, hidden, hidden, stage.kernel, stride, activation, hidden))
    if stage.squeeze == "hidden":
        layers.append(SqueezeExcite(hidden, whole(hidden / 4), "relu", plan.gate))
    elif stage.squeeze == "input":
        layers.append(SqueezeExcite(hidden, max(1, before // 4), activation, plan.gate))
    layers.append(convolution(plan, hidden, stage.channels, 1, 1, ""))
    path = nn.Sequential(*layers)
    return Residual(path) if stride == 1 and before == stage.channels else path


_BLOCKS = {"separable": _separable, "inverted": _inverted}


class Classifier(nn.Module):
    """Features, their mean over the picture, scores. ``example`` is the tuple of its inputs."""

    def __init__(self, features: nn.Module, head: nn.Module, shape: Shape) -> None:
        super().__init__()
        self.features, self.head, self.shape = features, head, shape

    @property
    def example(self) -> tuple[torch.Tensor]:
        return (torch.zeros(1, *self.shape),)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.features(image).mean((2, 3)))
        return scores


def assemble(plan: Plan, shape: Shape, classes: int) -> Classifier:
    """Returns: the network of a plan, image [N,C,H,W] → scores [N,classes]."""
    layers: list[nn.Module] = [convolution(plan, shape[0], plan.stem, 3, 2, plan.activation)]
    channels = plan.stem
    for stage in plan.stages:
        for number in range(stage.repeats):
            stride = stage.stride if number == 0 else 1
            layers.append(_BLOCKS[plan.block](plan, stage, channels, stride))
            channels = stage.channels
    if plan.head:
        layers.append(convolution(plan, channels, plan.head, 1, 1, plan.activation))
        channels = plan.head
    head: list[nn.Module] = []
    if plan.dense:
        head += [nn.Linear(channels, plan.dense), ACTIVATIONS[plan.activation]()]
        channels = plan.dense
    head += [nn.Dropout(plan.dropout), nn.Linear(channels, classes)]
    return Classifier(nn.Sequential(*layers), nn.Sequential(*head), shape)


def ds_cnn(channels: int, blocks: int, classes: int, shape: Shape) -> Classifier:
    """Returns: a convolution of 10 × 4 with stride 2, then depthwise separable ones."""
    layers: list[nn.Module] = [
        SamePad((10, 4), 2), nn.Conv2d(shape[0], channels, (10, 4), 2), nn.BatchNorm2d(channels), nn.ReLU(),
        nn.Dropout(0.2),
    ]  # fmt: skip
    for _ in range(blocks):
        for kernel, groups in ((3, channels), (1, 1)):
            layers += [
                nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=groups),
                nn.BatchNorm2d(channels),
                nn.ReLU(),
            ]
    return Classifier(nn.Sequential(*layers, nn.Dropout(0.4)), nn.Linear(channels, classes), shape)


def resnet(stages: list[tuple[int, int]], repeats: int, classes: int, shape: Shape) -> Classifier:
    """Returns: residual blocks of two 3 × 3 convolutions, with biases and TensorFlow's padding."""
    channels = stages[0][0]
    layers: list[nn.Module] = [
        nn.Conv2d(shape[0], channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
    ]  # fmt: skip
    for after, first in stages:
        for number in range(repeats):
            stride = first if number == 0 else 1
            path = nn.Sequential(
                SamePad((3, 3), stride), nn.Conv2d(channels, after, 3, stride), nn.BatchNorm2d(after),
                nn.ReLU(), nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after),
            )  # fmt: skip
            alike = stride == 1 and channels == after
            layers.append(Residual(path, None if alike else nn.Conv2d(channels, after, 1, stride), nn.ReLU()))
            channels = after
    return Classifier(nn.Sequential(*layers), nn.Linear(channels, classes), shape)
