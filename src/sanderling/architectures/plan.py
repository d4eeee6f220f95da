"""What an architecture is, as data: stages of blocks, and how they grow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that has a name.

    Attributes:
        name: ``mobilenet_v2``.
        source: the paper, and whose table its figures are.
        defaults: what ``build`` takes, with the published values.
        build: makes it.
    """

    name: str
    source: str
    defaults: Mapping[str, Any]
    build: Callable[..., torch.nn.Module]


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one size, one after another.

    Attributes:
        channels: of the result.
        repeats: blocks, at depth 1.
        stride: of the first block; the others have 1.
        kernel: of the depthwise convolution.
        expand: how many times the block's input channels its depthwise convolution has.
        hidden: that number itself, at width 1, where a table gives it so; 0: ``expand`` says it.
        squeeze: of how many channels a squeeze-and-excitation takes a share; "" for none.
        activation: "" for the network's own.
    """

    channels: int
    repeats: int = 1
    stride: int = 1
    kernel: int = 3
    expand: int = 1
    hidden: int = 0
    squeeze: str = ""
    activation: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A network for pictures: a convolution, stages of blocks, a pointwise convolution, a classifier.

    Attributes:
        block: ``separable`` (depthwise, pointwise) or ``inverted`` (expand, depthwise, project; a shortcut
            where the shapes allow it).
        stem: channels of the first convolution, 3 × 3 with stride 2.
        head: channels of the last convolution; 0: there is none.
        dense: units of a layer before the classifier; 0: there is none.
        activation: ``relu``, ``relu6``, ``silu`` or ``hardswish``.
        gate: of the squeeze-and-excitations: ``sigmoid`` or ``hardsigmoid``.
        epsilon: of the batch normalizations.
        rigid: ``ends``: first and last convolution and stage do not grow (EfficientNet-Lite); ``head``: the
            last convolution never shrinks (MobileNetV2).
        same: strides are padded as TensorFlow does, with the odd row and column at the end.
    """

    block: str
    stem: int
    stages: tuple[Stage, ...]
    head: int = 0
    dense: int = 0
    activation: str = "relu6"
    gate: str = "sigmoid"
    epsilon: float = 1e-5
    dropout: float = 0.2
    rigid: str = ""
    same: bool = False

    def grown(self, width: float, depth: float) -> Plan:
        """Returns: the plan with its channels × width and its repeats × depth.

        Source: compound scaling, Tan and Le, EfficientNet, arXiv 1905.11946, section 3.3.
        """
        ends = (self.stages[0], self.stages[-1]) if self.rigid == "ends" else ()
        stages = tuple(
            replace(
                stage,
                channels=whole(stage.channels * width),
                hidden=whole(stage.hidden * width) if stage.hidden else 0,
                repeats=stage.repeats if stage in ends else ceil(stage.repeats * depth),
            )
            for stage in self.stages
        )
        head = whole(self.head * (max(width, 1.0) if self.rigid == "head" else width))
        if self.rigid == "ends":
            return replace(self, stages=stages)
        return replace(
            self, stages=stages, stem=whole(self.stem * width), head=head, dense=whole(self.dense * width)
        )


def whole(channels: float, divisor: int = 8) -> int:
    """Returns: the nearest multiple of 8, at least 90 % of what was asked; 0 stays 0.

    Source: ``_make_divisible`` of the MobileNets, as the papers' tables are computed.
    """
    if not channels:
        return 0
    near = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return near if near >= 0.9 * channels else near + divisor


def planned(name: str, source: str, plan: Plan, *, resolution: int = 224, **defaults: Any) -> Architecture:
    """Returns: the architecture that a plan describes."""

    def build(width: float, depth: float, resolution: int, classes: int, channels: int) -> torch.nn.Module:
        from sanderling.architectures.blocks import assemble

        return assemble(plan.grown(width, depth), (channels, resolution, resolution), classes)

    usual = {"width": 1.0, "depth": 1.0, "resolution": resolution, "classes": 1000, "channels": 3}
    return Architecture(name, source, {**usual, **defaults}, build)
