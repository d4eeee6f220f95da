"""Reading and writing ``.tflite`` files: the only folder that knows flatbuffers."""

from sanderling.tflite.read import parse, read
from sanderling.tflite.write import write

__all__ = ["parse", "read", "write"]
