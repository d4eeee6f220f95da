"""DS-CNN of MLPerf Tiny's keyword spotting: 24,908 values with those of the normalizations, 2.66 M MACs.

Source: Banbury et al., MLPerf Tiny Benchmark, arXiv 2106.07597; after Zhang et al., Hello Edge, 1711.07128.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sanderling.architectures.plan import Architecture

if TYPE_CHECKING:
    import torch


def build(width: float, depth: float, classes: int, frames: int, coefficients: int) -> torch.nn.Module:
    """Returns: spectrogram [N,1,frames,coefficients] → scores [N,classes]."""
    from sanderling.architectures.blocks import ds_cnn

    return ds_cnn(max(1, round(64 * width)), max(1, round(4 * depth)), classes, (1, frames, coefficients))


DEFAULTS = {"width": 1.0, "depth": 1.0, "classes": 12, "frames": 49, "coefficients": 10}
ARCHITECTURES = (Architecture("ds_cnn", "arXiv 2106.07597", DEFAULTS, build),)
