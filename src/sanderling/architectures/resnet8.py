"""ResNet8 of MLPerf Tiny's image classification: 78,666 values with those of the normalizations, 12.5 M MACs.

Source: Banbury et al., MLPerf Tiny Benchmark, arXiv 2106.07597; after He et al., arXiv 1512.03385.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sanderling.architectures.plan import Architecture

if TYPE_CHECKING:
    import torch

STAGES = ((16, 1), (32, 2), (64, 2))  # channels and stride of each block


def build(width: float, depth: float, resolution: int, classes: int, channels: int) -> torch.nn.Module:
    """Returns: image [N,C,H,W] → scores [N,classes]; depth repeats the blocks of a stage."""
    from sanderling.architectures.blocks import resnet

    stages = [(max(1, round(size * width)), stride) for size, stride in STAGES]
    return resnet(stages, max(1, round(depth)), classes, (channels, resolution, resolution))


DEFAULTS = {"width": 1.0, "depth": 1.0, "resolution": 32, "classes": 10, "channels": 3}
ARCHITECTURES = (Architecture("resnet8", "arXiv 2106.07597", DEFAULTS, build),)
