"""The default boxes (anchors) of well-known detectors, recognised by the input's size and their number.

Source: Liu et al., SSD: Single Shot MultiBox Detector (scales and aspect ratios); MediaPipe's
``ssd_anchors_calculator`` options for face, palm and pose; TensorFlow Models' SSD anchor generator.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Coding = Literal["exponential", "pixels"]


@dataclass(frozen=True, slots=True)
class Anchors:
    """Default boxes, and how boxes are coded relative to them.

    Attributes:
        boxes: [anchors, 4] as center x, center y, width, height, in shares of the picture.
        coding: ``exponential`` (SSD: y, x, h, w; offsets by 10 and 5, sizes as logarithms) or ``pixels``
            (MediaPipe: x, y, w, h in pixels of the input).
        name: for people.
    """

    boxes: Floats
    coding: Coding
    name: str


def known_anchors(count: int, side: tuple[int, int]) -> Anchors | None:
    """Finds the layout with this many anchors for an input of this size.

    Args:
        side: height and width of the input in pixels.
    """
    for strides in ((8, 16, 16, 16), (16, 32, 32, 32), (8, 16, 32, 32, 32), (4,)):
        boxes = _unit_anchors(strides, side)
        if len(boxes) == count:
            return Anchors(boxes, "pixels", f"{count} anchors of size 1 with strides {strides}")
    boxes = _ssd_anchors(side)
    if len(boxes) == count:
        return Anchors(boxes, "exponential", f"{count} SSD anchors in 6 layers")
    return None


def _unit_anchors(strides: tuple[int, ...], side: tuple[int, int]) -> Floats:
    """MediaPipe's anchors: centers of a grid, two for each layer of a stride (one for stride 4)."""
    parts = []
    for stride in dict.fromkeys(strides):
        repeats = 1 if stride == 4 else 2 * strides.count(stride)
        rows, columns = (ceil(s / stride) for s in side)
        y, x = np.mgrid[0:rows, 0:columns]
        centers = np.stack([(x + 0.5) / columns, (y + 0.5) / rows], axis=-1).reshape(-1, 2)
        parts.append(np.repeat(centers, repeats, axis=0))
    centers = np.concatenate(parts)
    return np.concatenate([centers, np.ones_like(centers)], axis=1)


def _ssd_anchors(side: tuple[int, int], low: float = 0.2, high: float = 0.95) -> Floats:
    """TensorFlow's SSD MobileNet: six layers of six shapes, three in the first."""
    layers = 6
    scales = [low + (high - low) * i / (layers - 1) for i in range(layers)] + [1.0]
    parts = []
    rows, columns = (ceil(s / 16) for s in side)
    for layer in range(layers):
        ratios = [(0.1, 1.0), (scales[0], 2.0), (scales[0], 0.5)]
        if layer > 0:
            ratios = [(scales[layer], ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 0.3333)]
            ratios.append((sqrt(scales[layer] * scales[layer + 1]), 1.0))
        sizes = np.array([(scale * sqrt(ratio), scale / sqrt(ratio)) for scale, ratio in ratios])
        y, x = np.mgrid[0:rows, 0:columns]
        centers = np.stack([(x + 0.5) / columns, (y + 0.5) / rows], axis=-1).reshape(-1, 1, 2)
        shape = (len(centers), len(sizes), 2)
        pairs = [np.broadcast_to(centers, shape), np.broadcast_to(sizes, shape)]
        parts.append(np.concatenate(pairs, axis=-1).reshape(-1, 4))
        rows, columns = ceil(rows / 2), ceil(columns / 2)
    return np.concatenate(parts)


def decode(raw: Floats, anchors: Floats | None, coding: Coding, side: tuple[int, int]) -> Floats:
    """Turns coded boxes into corners.

    Args:
        raw: [boxes, 4] as the model gives them.
        anchors: [boxes, 4], or None when they are not known: every box then lies relative to its own
            anchor, which leaves the IoU of two boxes of the same anchor exact.
        coding: see ``Anchors``.
        side: height and width of the input in pixels.

    Returns: [boxes, 4] as left, top, right, bottom.
    """
    base = anchors if anchors is not None else np.array([[0.0, 0.0, 1.0, 1.0]])
    if coding == "pixels":
        scale = np.array([side[1], side[0]], np.float64)
        center = raw[:, :2] / scale * base[:, 2:] + base[:, :2]
        size = raw[:, 2:] / scale * base[:, 2:]
    else:
        center = raw[:, 1::-1] / 10 * base[:, 2:] + base[:, :2]
        # A broken candidate may give anything: sizes beyond e^8 anchors are no boxes.
        size = np.exp(np.clip(raw[:, 3:1:-1] / 5, -20, 8)) * base[:, 2:]
    half = np.abs(size) / 2
    return np.concatenate([center - half, center + half], axis=1)
