"""MobileNetV1: depthwise separable convolutions. 4.2 M parameters and 569 M MACs at width 1 and 224 pixels.

Source: Howard et al., MobileNets, arXiv 1704.04861, tables 1 and 6.
"""

from __future__ import annotations

from sanderling.architectures.plan import Plan, Stage, planned

PLAN = Plan(
    "separable", stem=32, activation="relu", epsilon=1e-3, dropout=0.001,
    stages=(
        Stage(64), Stage(128, stride=2), Stage(128), Stage(256, stride=2), Stage(256),
        Stage(512, stride=2), Stage(512, 5), Stage(1024, stride=2), Stage(1024),
    ),
)  # fmt: skip
ARCHITECTURES = (planned("mobilenet_v1", "arXiv 1704.04861, table 1", PLAN),)
