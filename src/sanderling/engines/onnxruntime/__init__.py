"""ONNX Runtime, on the graph as ONNX: processors, and whatever its execution providers reach."""

from sanderling.engines.onnxruntime.engine import ONNXRuntime

ENGINE = ONNXRuntime()
