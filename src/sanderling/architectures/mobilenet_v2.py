"""MobileNetV2: inverted residuals. 3,504,872 parameters and 300 M MACs at width 1 and 224 pixels.

Source: Sandler et al., MobileNetV2, arXiv 1801.04381, tables 2 and 4; the count is torchvision's.
"""

from __future__ import annotations

from sanderling.architectures.plan import Plan, Stage, planned

PLAN = Plan(
    "inverted", stem=32, head=1280, rigid="head",
    stages=(
        Stage(16, expand=1), Stage(24, 2, stride=2, expand=6), Stage(32, 3, stride=2, expand=6),
        Stage(64, 4, stride=2, expand=6), Stage(96, 3, expand=6), Stage(160, 3, stride=2, expand=6),
        Stage(320, expand=6),
    ),
)  # fmt: skip
ARCHITECTURES = (planned("mobilenet_v2", "arXiv 1801.04381, table 2", PLAN),)
