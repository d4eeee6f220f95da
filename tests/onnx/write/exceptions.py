"""What is known not to hold. Every entry is strict: one that holds after all fails the suite."""

from __future__ import annotations

from fnmatch import fnmatchcase

from tests.conformance.exceptions import EXPECTED_FAILURES

REFUSED = "ONNX has no such operator"
COMPLEX = "ONNX has no complex numbers"

# Pattern of a variant's id → why its answer is another one than LiteRT's.
DIFFERENT = EXPECTED_FAILURES["onnxruntime"]
# Pattern of a variant's id → why it cannot be written.
UNWRITTEN = {
    "BITCAST-*": REFUSED,
    "COMPLEX_ABS-*": COMPLEX,
    "FAKE_QUANT-*int8": "FAKE_QUANT takes real numbers: LiteRT takes the stored integers for plain ones",
    "FAKE_QUANT-*int16": "FAKE_QUANT takes real numbers: LiteRT takes the stored integers for plain ones",
    "IMAG-*": COMPLEX,
    "NON_MAX_SUPPRESSION_V5-*": "sigma is fed, and ONNX knows none",
    "REAL-*": COMPLEX,
    "RFFT2D-*": COMPLEX,
}


def reason(known: dict[str, str], variant: str) -> str:
    """Returns: why a variant is known to behave so, "" where it is not."""
    for pattern, why in known.items():
        if fnmatchcase(variant, pattern):
            return why
    return ""
