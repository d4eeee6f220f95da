"""Two models that make a good cascade: one that is slow and right, one that is quick and nearly so."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.models import Net, save

INPUTS, CLASSES, WIDE = 12, 4, 1100


def pair(folder: Path, noise: float = 0.12, *, softmax: bool = True, classes: int = CLASSES) -> list[Path]:
    """Returns: the large model's file and the small one's. The large one turns its input in a wide space and
    back, which changes nothing; the small one's weights are off by ``noise``."""
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((classes, INPUTS)) * 3
    wide = rng.standard_normal((WIDE, INPUTS))
    back = np.linalg.pinv(wide)
    turn = np.eye(WIDE)[rng.permutation(WIDE)]
    large, small = Net((1, INPUTS)), Net((1, INPUTS))
    for matrix in (wide, turn, turn.T, weights @ back):
        _dense(large, matrix)
    _dense(small, weights + noise * 3 * rng.standard_normal(weights.shape))
    files = []
    for name, net in (("large", large), ("small", small)):
        files.append(save((net.softmax() if softmax else net).model(), folder / f"{name}.tflite"))
    return files


def samples(count: int = 900) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((count, INPUTS)).astype(np.float32)


def _dense(net: Net, matrix: np.ndarray) -> None:
    at = len(net.nodes)
    weights = net.constant(matrix.astype(np.float32), f"w{at}")
    bias = net.constant(np.zeros(len(matrix), np.float32), f"b{at}")
    net.op(
        "FULLY_CONNECTED", (1, len(matrix)), (weights, bias), "FullyConnectedOptions",
        fused_activation_function="NONE", weights_format="DEFAULT", keep_num_dims=False,
    )  # fmt: skip
