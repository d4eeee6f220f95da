"""What ONNX lacks, by TFLite's operators."""

from __future__ import annotations

from sanderling.errors import UnsupportedOperator

_COMPLEX = "ONNX's operators take no complex numbers"
LACKING = {
    "BITCAST": "ONNX has no operator that reads stored bytes as another type",
    "COMPLEX_ABS": _COMPLEX,
    "IMAG": _COMPLEX,
    "REAL": _COMPLEX,
    "RFFT2D": _COMPLEX,
    "STABLEHLO_SCATTER": "it combines by a graph of the model, ONNX's scatter by a few named functions",
}


def lacks(name: str) -> UnsupportedOperator:
    """Returns: the error that says why an operator cannot be written."""
    return UnsupportedOperator(
        LACKING.get(name, "there is no counterpart for it"),
        hint="convert a part of the model without it, or run the .tflite itself",
    )
