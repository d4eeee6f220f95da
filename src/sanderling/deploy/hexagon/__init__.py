"""Qualcomm's Hexagon, the NPU of Snapdragon processors: QDQ ONNX for ONNX Runtime's QNN provider."""

from sanderling.deploy.hexagon.build import build, check, refuse
from sanderling.deploy.hexagon.choices import CHIPS, EMULATORS, USUAL
from sanderling.deploy.target import Target

TARGET = Target(
    "hexagon",
    "QDQ ONNX and a context binary for the Hexagon NPU of Snapdragon processors",
    refuse,
    build,
    check,
    {
        "chip": f"{', '.join(f'{name} ({chip.told})' for name, chip in CHIPS.items())}; default: {USUAL}",
        "emulator": f"{' or '.join(EMULATORS)}: whether the bundle is compiled and tried here",
    },
    extra="onnx",
    examples=50,
    # Answers are mostly as far off as those of LiteRT's builtin kernels, a few are farther: see the guide.
    drift=4.0,
    steps=8.0,
)
