"""ONNX → Graph: a ``.onnx`` file as plain records, and these node by node as TFLite's operators."""

from __future__ import annotations

from sanderling.onnx.read.importer import Imported, import_model
from sanderling.onnx.read.proto import OnnxModel, parse

__all__ = ["Imported", "OnnxModel", "import_model", "parse"]
