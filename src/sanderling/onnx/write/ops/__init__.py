"""How TFLite's operators are written as ONNX's, one file per family."""
