"""Noise in place of samples: enough to time a model and to try things out, never to judge its answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.samples.arrays import ArrayRows
from sanderling.samples.inputs import Input, Picture, integer_range, picture_of, sound_of
from sanderling.samples.pixels import side_or_default
from sanderling.samples.rows import rows_for
from sanderling.samples.source import digest

NOTE = "SYNTHETIC NOISE: no samples were given, so nothing measured here says how real data fare"
_MAX_BYTES = 64 << 20


def synthetic_rows(model: Model, inputs: Sequence[Input], count: int, seed: int) -> ArrayRows:
    """Makes up samples: smooth coloured noise for pictures, noise for the rest, tokens within the vocabulary.

    Args:
        count: how many; fewer where the inputs are so large that they would fill the memory.
        seed: the same seed gives the same samples.
    """
    rng = np.random.default_rng(seed)
    largest = max((int(np.prod(i.shape)) for i in inputs), default=1)
    count = max(1, min(count, _MAX_BYTES // (4 * max(largest, 1))))
    rows = tuple(
        rows_for(_noise(model, position, spec, count, rng), spec, "synthetic noise")
        for position, spec in enumerate(inputs)
    )
    key = digest("synthetic", count, seed, *inputs)
    return ArrayRows(rows, f"{count} samples of synthetic noise (seed {seed})", key, (NOTE,))


def _noise(model: Model, position: int, spec: Input, count: int, rng: np.random.Generator) -> Array:
    picture = picture_of(spec)
    if picture is not None and picture.layout in ("NHWC", "NCHW", "HWC"):
        return _pictures(picture, count, rng)
    shape = (count, *spec.shape)
    if spec.dtype.is_float or spec.is_quantized:
        if spec.is_quantized:
            return _stored(spec, shape, rng)
        spread = 0.1 if sound_of(spec) is not None else 1.0
        return rng.normal(0, spread, shape).astype(np.float32)
    if spec.dtype.numpy.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    name = spec.name.lower()
    if "mask" in name or "length" in name:
        return np.ones(shape, spec.dtype.numpy)
    if "type" in name or "segment" in name:
        return np.zeros(shape, spec.dtype.numpy)
    return rng.integers(0, _vocabulary(model, position), shape).astype(spec.dtype.numpy)


def _stored(spec: Input, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    low, high = integer_range(spec.dtype)
    spread = (high - low) / 8
    assert spec.quant is not None
    center = float(spec.quant.zero_point[0]) if spec.quant.zero_point.size else 0.0
    stored = np.clip(np.rint(rng.normal(center, spread, shape)), low, high)
    return stored.astype(spec.dtype.numpy)


def _pictures(picture: Picture, count: int, rng: np.random.Generator) -> Array:
    """Returns: uint8 [count,H,W,C], noise at several scales as natural pictures have it."""
    height, width = side_or_default(picture.height), side_or_default(picture.width)
    total: Any = np.full((count, height, width, picture.channels), 127.5, np.float32)
    for cells in (2, 5, 16):
        coarse = rng.normal(0, 45, (count, cells, cells, picture.channels)).astype(np.float32)
        y, x = (np.arange(side) * cells // side for side in (height, width))
        total += coarse[:, y][:, :, x]
    total += rng.normal(0, 10, total.shape).astype(np.float32)
    pictures: Array = np.clip(total, 0, 255).astype(np.uint8)
    return pictures


def _vocabulary(model: Model, position: int) -> int:
    """Returns: how many tokens the embedding that the input indexes holds, 2 when there is none."""
    graph = model.main
    reached = {graph.inputs[position]}
    for node in graph.nodes:
        if not reached.intersection(node.inputs):
            continue
        if node.op in ("CAST", "RESHAPE", "EXPAND_DIMS", "SQUEEZE", "MAXIMUM", "MINIMUM"):
            reached.update(node.outputs)
        elif node.op in ("GATHER", "EMBEDDING_LOOKUP"):
            table = node.inputs[0] if node.op == "GATHER" else node.inputs[1]
            axis = int(node.attrs.get("axis", 0)) if node.op == "GATHER" else 0
            shape = graph.tensors[table].shape
            if table not in reached and -len(shape) <= axis < len(shape):
                return max(1, shape[axis])
    return 2
