"""MobileNetV3-small: found by search. 2,542,856 parameters and 56 M MACs at width 1 and 224 pixels.

Source: Howard et al., Searching for MobileNetV3, arXiv 1905.02244, table 2; the count is torchvision's.
"""

from __future__ import annotations

from sanderling.architectures.plan import Plan, Stage, planned

SE, RE = "hidden", "relu"
PLAN = Plan(
    "inverted", stem=16, head=576, dense=1024, activation="hardswish", gate="hardsigmoid", epsilon=1e-3,
    stages=(
        Stage(16, stride=2, hidden=16, squeeze=SE, activation=RE),
        Stage(24, stride=2, hidden=72, activation=RE),
        Stage(24, hidden=88, activation=RE),
        Stage(40, stride=2, hidden=96, kernel=5, squeeze=SE),
        Stage(40, 2, hidden=240, kernel=5, squeeze=SE),
        Stage(48, hidden=120, kernel=5, squeeze=SE),
        Stage(48, hidden=144, kernel=5, squeeze=SE),
        Stage(96, stride=2, hidden=288, kernel=5, squeeze=SE),
        Stage(96, 2, hidden=576, kernel=5, squeeze=SE),
    ),
)  # fmt: skip
ARCHITECTURES = (planned("mobilenet_v3_small", "arXiv 1905.02244, table 2", PLAN),)
