"""The ONNX format, both ways: the only folder that knows its protobuf."""
