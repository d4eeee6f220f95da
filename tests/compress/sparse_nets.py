"""What the tests of pruning and weight sharing have in common: nets, feeds, weights, answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from sanderling.compress.calibration import save_feeds
from sanderling.compress.fitting.layers import layers
from sanderling.compress.technique import Work
from sanderling.graph.constant import decode
from sanderling.graph.graph import Model
from tests.compress.slim_nets import branches, chain, convolutional, decoder, mobile, residual
from tests.models import run_litert, save

NETS: dict[str, Callable[[], Model]] = {
    "chain": chain, "residual": residual, "mobile": mobile, "branches": branches, "decoder": decoder,
    "convolutional": convolutional,
}  # fmt: skip


def feeds(model: Model, count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    shape = model.main.tensors[model.main.inputs[0]].shape
    return [{model.input_names()[0]: rng.standard_normal(shape).astype(np.float32)} for _ in range(count)]


def work_for(model: Model, folder: Path, count: int = 20) -> Work:
    return Work(folder, save_feeds(feeds(model, count), folder))


def weights(model: Model) -> dict[str, np.ndarray]:
    """The weights of every layer but depthwise ones, by the operator's name."""
    return {each.name: decode(model.main.tensors[each.tensor]) for each in layers(model.main)}


def answers(model: Model, folder: Path, count: int = 8) -> np.ndarray:
    file = save(model, folder / "answers.tflite")
    return np.array([run_litert(file, *feed.values())[0] for feed in feeds(model, count, seed=99)])


def with_weights(model: Model, change: Callable[[np.ndarray], np.ndarray]) -> Model:
    """The model with its layers' weights changed."""
    tensors = list(model.main.tensors)
    for each in layers(model.main):
        values = change(decode(tensors[each.tensor]))
        tensors[each.tensor] = replace(tensors[each.tensor], data=np.ascontiguousarray(values, np.float32))
    return model.with_main(replace(model.main, tensors=tuple(tensors)))
