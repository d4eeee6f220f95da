"""OpenVINO: Intel's runtime, on processors, GPUs and NPUs. It reads ``.tflite`` files by itself."""

from sanderling.engines.openvino.engine import OpenVINO

ENGINE = OpenVINO()
