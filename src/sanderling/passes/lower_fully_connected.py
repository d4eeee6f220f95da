"""FULLY_CONNECTED as a CONV_2D of single pixels."""

from __future__ import annotations

from math import prod

import numpy as np

from sanderling.passes._lowering import Steps, lowering


def lower(at: Steps) -> bool:
    """Emits what stands in its place."""
    editor, inputs = at.editor, at.node.inputs
    weights = editor.floats(at.node, 1)
    source = at.shape_of(at.x)
    known = weights is not None and weights.ndim == 2 and -1 not in source
    if weights is None or not known or at.node.attrs.get("weights_format", "DEFAULT") != "DEFAULT":
        return False
    units, depth = weights.shape
    rows = prod(source) // depth
    pixels = editor.reshape(at.x, (rows, 1, 1, depth), f"{editor.name(at.node)}/pixels")
    kernel = at.constant(weights.reshape(units, 1, 1, depth), "kernel")
    bias = (
        inputs[2] if len(inputs) > 2 and inputs[2] >= 0 else at.constant(np.zeros(units, np.float32), "bias")
    )
    result = at(
        "CONV_2D", pixels, kernel, bias, shape=(rows, 1, 1, units), padding="VALID", stride_w=1, stride_h=1,
        dilation_w_factor=1, dilation_h_factor=1, fused_activation_function=at.activation,
    )  # fmt: skip
    editor.reshape(result, at.shape, at.node.outputs[0])
    return True


PASS = lowering("FULLY_CONNECTED", ("CONV_2D", "RESHAPE"), lower)
