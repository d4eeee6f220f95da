"""Non-maximum suppression: keeps the boxes with the highest scores that do not overlap much.

Source: TFLite ``kernels/internal/reference/non_max_suppression.h``.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from math import exp

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._elementwise import given
from sanderling.ops._operands import Values, bounded, integer, invalid, operand, ranked, typed
from sanderling.ops._shapes import same_size
from sanderling.ops.op import Operands


def selected_size(node: Node, inputs: Operands, scalars: Sequence[int]) -> int:
    """Checks boxes [N, 4], scores [N], the number of boxes to keep, and real scalars at ``scalars``.

    Returns: how many boxes are kept, −1 when that is known only at run time.
    """
    boxes, scores = ranked(node, inputs, 0, 2), ranked(node, inputs, 1, 1)
    same_size(node, boxes.shape[0], scores.shape[0], "the numbers of boxes and scores")
    same_size(node, boxes.shape[1], 4, "the corners of a box")
    typed(node, inputs, 2, DType.INT32)
    for position in (0, 1, *scalars):
        typed(node, inputs, position, DType.FLOAT32)
    for position in scalars:
        if operand(node, inputs, position).type.size != 1:
            raise invalid(node, f"operand {position} is not a scalar")
    count = integer(node, inputs, 2)
    if count is not None and count < 0:
        raise invalid(node, f"it keeps {count} boxes")
    return -1 if count is None else bounded(node, [count])[0]


def kept_types(count: int) -> tuple[TensorType, TensorType, TensorType]:
    """Returns: the types of indices, scores and their number."""
    return (
        TensorType((count,), DType.INT32), TensorType((count,), DType.FLOAT32), TensorType((), DType.INT32),
    )  # fmt: skip


def suppress(
    node: Node, inputs: Sequence[Array | None], count: int, sigma: float
) -> tuple[Values, Values, int]:
    """Keeps boxes.

    Args:
        count: at most so many.
        sigma: above 0, overlapping boxes lose score instead of being dropped.

    Returns: indices [count] and scores [count], padded with 0, and how many are valid.
    """
    boxes, scores = given(inputs, 0), given(inputs, 1)
    limit, threshold = (float(given(inputs, i).reshape(-1)[0]) for i in (3, 4))
    # Of equal scores the lower index comes first; the third entry says with which kept boxes it was compared.
    queue = [(-float(s), i, 0) for i, s in enumerate(scores) if s > threshold]
    heapq.heapify(queue)
    kept: list[tuple[int, float]] = []
    while queue and len(kept) < count:
        negative, index, begin = heapq.heappop(queue)
        score, dropped = -negative, False
        for other, _ in reversed(kept[begin:]):
            overlap = intersection_over_union(boxes[index], boxes[other])
            if overlap >= limit:
                dropped = True
                break
            if sigma > 0:
                score = float(np.float32(score) * np.float32(exp(-0.5 / sigma * overlap * overlap)))
            if score <= threshold:
                break
        if dropped or score <= threshold:
            continue
        if score == -negative:
            kept.append((index, score))
        else:
            heapq.heappush(queue, (-score, index, len(kept)))
    indices, best = np.zeros(count, np.int32), np.zeros(count, np.float32)
    for i, (index, score) in enumerate(kept):
        indices[i], best[i] = index, score
    return indices, best, len(kept)


def intersection_over_union(a: Values, b: Values) -> float:
    """Returns: how much two boxes, each given by two opposite corners (y, x), overlap."""
    corners = [(np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])) for box in (a, b)]
    areas = [float(np.prod(high - low)) for low, high in corners]
    if min(areas) <= 0:
        return 0.0
    inner = np.minimum(corners[0][1], corners[1][1]) - np.maximum(corners[0][0], corners[1][0])
    shared = float(np.prod(np.maximum(inner, 0)))
    return shared / (areas[0] + areas[1] - shared)


def box_operands(rng: np.random.Generator) -> list[Array]:
    """Returns: boxes of which many overlap, scores, number to keep, overlap and score limits."""
    corners = rng.uniform(0, 1, (12, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.2, 0.6, (12, 2))], axis=1).astype(np.float32)
    scalars = [np.array(6, np.int32), np.array(0.3, np.float32), np.array(0.2, np.float32)]
    return [boxes, rng.uniform(0, 1, 12).astype(np.float32), *scalars]
