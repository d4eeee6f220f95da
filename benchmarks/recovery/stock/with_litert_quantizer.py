"""Runs in an environment with litert-quantizer alone: FLOAT.tflite FEEDS.npz OUT.tflite VARIANT

static_wi8_ai8, inputs and outputs in float; VARIANT is how weights get their scales: min-max, mse, octav.
"""

from __future__ import annotations

import sys

import numpy as np
from litert_quantizer import algorithm_manager, quantizer, recipe

ALGORITHMS = {
    "min-max": algorithm_manager.AlgorithmName.MIN_MAX_UNIFORM_QUANT,
    "mse": algorithm_manager.AlgorithmName.MSE,
    "octav": algorithm_manager.AlgorithmName.OCTAV,
}
SIGNATURE = "main"


def main(model: str, feeds: str, out: str, variant: str) -> None:
    with np.load(feeds) as archive:
        count, inputs = sum(name.endswith("_0") for name in archive.files), len(archive["names"])
        given = [
            {f"input_{i}": archive[f"{sample:06d}_{i}"] for i in range(inputs)} for sample in range(count)
        ]
    ports = [
        {"regex": ".*", "operation": port, "algorithm_key": "no_quantize"} for port in ("INPUT", "OUTPUT")
    ]
    work = quantizer.Quantizer(model)
    # Its own policy applies where an algorithm has no rule for an operator; it says so by raising.
    work.load_quantization_recipe([*recipe.static_wi8_ai8(ALGORITHMS[variant]), *ports])
    found = work.calibrate({SIGNATURE: given}, num_threads=1)
    result = work.quantize(found, enable_progress_bar=False, enable_progress_report=False)
    with open(out, "wb") as file:
        file.write(result.quantized_model)


if __name__ == "__main__":
    main(*sys.argv[1:])
