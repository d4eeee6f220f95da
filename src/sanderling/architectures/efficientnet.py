"""EfficientNet: one small network, B0, and larger ones that grow in width, depth and resolution together.

B0 to B2: 5,288,548, 7,794,184 and 9,109,994 parameters, 0.39, 0.70 and 1.0 G MACs. Lite0, which leaves out
what accelerators lack: 4.65 M and 407 M, of which 385 M are multiplications of convolutions and products.

Source: Tan and Le, EfficientNet, arXiv 1905.11946, tables 1 and 2; Lite0: the table of tensorflow/tpu's
``efficientnet/lite``. The counts are torchvision's.
"""

from __future__ import annotations

from dataclasses import replace

from sanderling.architectures.plan import Plan, Stage, planned

B0 = Plan(
    "inverted", stem=32, head=1280, activation="silu",
    stages=(
        Stage(16, expand=1, squeeze="input"),
        Stage(24, 2, stride=2, expand=6, squeeze="input"),
        Stage(40, 2, stride=2, expand=6, kernel=5, squeeze="input"),
        Stage(80, 3, stride=2, expand=6, squeeze="input"),
        Stage(112, 3, expand=6, kernel=5, squeeze="input"),
        Stage(192, 4, stride=2, expand=6, kernel=5, squeeze="input"),
        Stage(320, expand=6, squeeze="input"),
    ),
)  # fmt: skip
LITE0 = replace(
    B0,
    activation="relu6",
    epsilon=1e-3,
    rigid="ends",
    same=True,
    stages=tuple(replace(stage, squeeze="") for stage in B0.stages),
)
PAPER = "arXiv 1905.11946, table 1"
ARCHITECTURES = (
    planned("efficientnet_b0", PAPER, B0),
    planned("efficientnet_b1", PAPER, B0, resolution=240, width=1.0, depth=1.1),
    planned("efficientnet_b2", PAPER, B0, resolution=260, width=1.1, depth=1.2),
    planned("efficientnet_lite0", "tensorflow/tpu, efficientnet/lite", LITE0),
)
