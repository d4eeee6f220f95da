"""Models for the targets that take integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.tflite import write
from tests.models import Net


def integers(folder: Path, net: Net | None = None, **settings: Any) -> Path:
    """Returns: a small network quantized whole, inputs and outputs included."""
    model = (net or Net((1, 12, 12, 3)).conv(8).depthwise(stride=2).conv(4)).model()
    source, out = folder / "float.tflite", folder / "int8.tflite"
    write(model, source)
    shape = model.main.tensors[model.main.inputs[0]].shape
    rng = np.random.default_rng(0)
    fed = [{model.input_names()[0]: rng.random(shape, dtype=np.float32)} for _ in range(8)]
    step = Step("static_int8", {"io": "int8", **settings})
    apply(Recipe("int8", (step,)), source, out, calibration=save_feeds(fed, folder))
    return out
