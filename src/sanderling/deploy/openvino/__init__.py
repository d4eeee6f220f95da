"""Intel's CPUs, GPUs and NPUs: OpenVINO's IR, with the pre-processing inside."""

from sanderling.deploy.openvino.build import build, check, refuse
from sanderling.deploy.target import Target

TARGET = Target(
    "openvino",
    "OpenVINO's IR with the pre-processing inside, for Intel CPUs, GPUs and NPUs",
    refuse,
    build,
    check,
    extra="openvino",
    # It computes integer models with kernels, and in an order, of its own.
    drift=4.0,
    steps=8.0,
)
