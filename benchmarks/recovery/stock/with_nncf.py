"""Runs in an environment with NNCF and OpenVINO alone: FLOAT.tflite FEEDS.npz OUT.xml VARIANT

nncf.quantize on the .tflite as OpenVINO reads it; VARIANT is its preset (performance, mixed), then optionally
"accurate" bias correction or the model's type: mixed+accurate, mixed+transformer.
"""

from __future__ import annotations

import sys

import nncf
import numpy as np
import openvino


def main(model: str, feeds: str, out: str, variant: str) -> None:
    with np.load(feeds) as archive:
        count, inputs = sum(name.endswith("_0") for name in archive.files), len(archive["names"])
        given = [[archive[f"{sample:06d}_{i}"] for i in range(inputs)] for sample in range(count)]
    preset, _, more = variant.partition("+")
    graph = openvino.Core().read_model(model)
    quantized = nncf.quantize(
        graph,
        nncf.Dataset(given, lambda arrays: dict(enumerate(arrays))),
        preset=nncf.QuantizationPreset(preset),
        subset_size=count,
        fast_bias_correction=more != "accurate",
        model_type=nncf.ModelType.TRANSFORMER if more == "transformer" else None,
    )
    openvino.save_model(quantized, out, compress_to_fp16=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
