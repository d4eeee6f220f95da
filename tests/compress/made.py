"""Models and feeds for the tests of compressing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.compress.applied import Applied
from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.graph.graph import Model
from sanderling.tflite import read, write
from tests.models import Net, run_litert

SIZE = 12


def network(seed: int = 0) -> Model:
    """conv, pool, conv, residual, HARD_SWISH, PRELU (no int8 form), dense, softmax."""
    net = Net((1, SIZE, SIZE, 3), seed).conv(8).pool().conv(12)
    branch = net.last
    net.conv(12, activation="NONE")
    net.op(
        "ADD", (1, 6, 6, 12), (branch,), "AddOptions", fused_activation_function="NONE", pot_scale_int16=True
    )
    net.op("HARD_SWISH", (1, 6, 6, 12), (), "HardSwishOptions")
    alpha = net.constant(np.full((1, 1, 12), 0.2, np.float32), "alpha")
    net.op("PRELU", (1, 6, 6, 12), (alpha,))
    return net.reshape(1, 432).dense(10).softmax().model()


def feeds(model: Model, count: int = 16, seed: int = 1) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    names = model.input_names()
    kinds = [model.main.tensors[i].type for i in model.main.inputs]
    return [
        {
            name: rng.standard_normal(kind.shape).astype(np.float32)
            if kind.dtype.is_float
            else rng.integers(0, 4, kind.shape).astype(kind.dtype.numpy)
            for name, kind in zip(names, kinds, strict=True)
        }
        for _ in range(count)
    ]


class Bench:
    """One model in a folder, with calibration feeds and others to compare on."""

    def __init__(self, model: Model, folder: Path) -> None:
        self.model, self.folder = model, folder
        self.source = folder / "source.tflite"
        write(model, self.source)
        self.calibration = save_feeds(feeds(model), folder / "calibration")
        self.inputs = [list(f.values()) for f in feeds(model, 8, seed=2)]

    def apply(
        self, technique: str, settings: dict[str, Any] | None = None, **more: Any
    ) -> tuple[Path, Applied]:
        out = self.folder / f"{technique}.tflite"
        recipe = Recipe(technique, (Step(technique, settings or {}),))
        more.setdefault("calibration", self.calibration)
        return out, apply(recipe, self.source, out, **more)

    def sqnr(self, file: Path) -> float:
        """Returns: signal to error in dB, of the worst output."""
        quants = [read(file).main.tensors[i].quant for i in read(file).main.outputs]
        ratios = []
        pairs = [(run_litert(self.source, *x), run_litert(file, *self._stored(file, x))) for x in self.inputs]
        for place, quant in enumerate(quants):
            expected = np.array([a[place] for a, _ in pairs], np.float64)
            got = np.array([b[place] for _, b in pairs])
            if got.dtype == np.int8 and quant is not None:
                got = (got.astype(np.float64) - quant.zero_point[0]) * quant.scale[0]
            ratios.append(np.square(expected).sum() / max(np.square(expected - got).sum(), 1e-30))
        return float(10 * np.log10(min(ratios)))

    def _stored(self, file: Path, values: list[np.ndarray]) -> list[np.ndarray]:
        graph = read(file).main
        stored = []
        for value, index in zip(values, graph.inputs, strict=True):
            tensor = graph.tensors[index]
            if tensor.dtype == "int8" and value.dtype == np.float32:
                assert tensor.quant is not None
                value = np.clip(
                    np.round(value / tensor.quant.scale[0]) + tensor.quant.zero_point[0], -128, 127
                )
            stored.append(value.astype(tensor.dtype.numpy))
        return stored


def with_constant(model: Model, name: str, values: np.ndarray) -> Model:
    """Returns: the model with another value of a constant."""
    tensors = tuple(replace(t, data=values) if t.name == name else t for t in model.main.tensors)
    assert any(t.name == name for t in tensors)
    return model.with_main(replace(model.main, tensors=tensors))
