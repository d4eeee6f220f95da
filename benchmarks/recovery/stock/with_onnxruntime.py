"""Runs in an environment with ONNX Runtime and onnx alone: FLOAT.onnx FEEDS.npz OUT.onnx VARIANT

quantize_static as QDQ, weights int8 per channel; VARIANT is how activations get their ranges: minmax,
entropy, percentile; with "+heavy" only convolutions and matrix products are quantized. "dynamic" is
quantize_dynamic, which transformers are usually given.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}
HEAVY = ["Conv", "ConvTranspose", "MatMul", "Gemm"]


class Reader(CalibrationDataReader):
    """Feeds, one call's inputs after the other."""

    def __init__(self, model: str, path: str) -> None:
        self._archive = np.load(path)
        self._names = [port.name for port in onnx.load(model).graph.input]
        self._count = sum(name.endswith("_0") for name in self._archive.files)
        self._next = 0

    def get_next(self) -> dict[str, np.ndarray] | None:
        if self._next == self._count:
            return None
        sample, self._next = self._next, self._next + 1
        return {name: self._archive[f"{sample:06d}_{i}"] for i, name in enumerate(self._names)}


def main(model: str, feeds: str, out: str, variant: str) -> None:
    method, _, heavy = variant.partition("+")
    with tempfile.TemporaryDirectory() as folder:
        prepared = str(Path(folder) / "prepared.onnx")
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
        if method == "dynamic":
            quantize_dynamic(prepared, out, per_channel=True, weight_type=QuantType.QInt8)
            return
        quantize_static(
            prepared,
            out,
            Reader(prepared, feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=METHODS[method],
            op_types_to_quantize=HEAVY if heavy else None,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
