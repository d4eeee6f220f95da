"""DEPTHWISE_CONV_2D as a CONV_2D with one group per channel."""

from __future__ import annotations

import numpy as np

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    editor = at.editor
    weights, image = editor.floats(at.node, 1), at.shape_of(at.x)
    bias = None if weights is None else editor.bias(at.node, 2, weights.shape[-1])
    if weights is None or bias is None or weights.ndim != 4 or image[3] < 2 or weights.shape[3] % image[3]:
        return False
    kernel = at.constant(np.ascontiguousarray(weights.transpose(3, 1, 2, 0)), "kernel")
    attrs = {key: value for key, value in at.node.attrs.items() if key != "depth_multiplier"}
    at.last("CONV_2D", at.x, kernel, at.constant(bias, "bias"), **attrs)
    return True


PASS = lowering("DEPTHWISE_CONV_2D", ("CONV_2D",), lower)
