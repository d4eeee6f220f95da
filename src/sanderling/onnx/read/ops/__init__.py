"""What writes each ONNX operator, by family; see ``registry.py``."""
