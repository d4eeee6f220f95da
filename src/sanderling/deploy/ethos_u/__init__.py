"""Arm's Ethos-U NPUs: the model as Vela compiles it, with what Vela estimates."""

from sanderling.deploy.ethos_u.build import build, check
from sanderling.deploy.ethos_u.refusal import refuse
from sanderling.deploy.target import Target
from sanderling.measure.vela import NPUS, USUAL

TARGET = Target(
    "ethos-u",
    "a model for an Arm Ethos-U NPU, compiled by Vela",
    refuse,
    build,
    check,
    {
        "npu": f"one of {', '.join(NPUS)}; default: {USUAL}",
        "system": "a System_Config of Vela's: clock and memories; default: Vela's for the NPU",
        "memory": "a Memory_Mode of Vela's: what lies where; default: Vela's for the NPU",
        "optimise": "performance (the default) or size: what Vela minimises",
    },
    extra="npu",
)
