"""A depthwise convolution and the 1 × 1 convolution behind it in one kernel, with nothing stored in between.

That saves a dispatch and memory traffic, but its threads wait for each other: on SwiftShader and lavapipe it
takes 3 to 10 times as long as two kernels. So it is never a first choice; a tuner may find that it pays.
"""

from __future__ import annotations

from functools import partial
from math import inf, prod

import numpy as np

from sanderling.graph.constant import real as real_values
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array
from sanderling.ops._gpu import LIMITS, WIDE, Inputs
from sanderling.ops._gpu_conv import after, bias_values, geometry, refusal
from sanderling.ops._gpu_packing import POINT, Convolution, blocks_of, pack
from sanderling.ops._operands import ranked, word
from sanderling.ops.kernel import In, Kernel, Limits, Out, Variant, Weights

PIXELS, QUADS = 16, 16  # of a workgroup's tile
_MOST_OUT = 4  # blocks of QUADS that its threads keep in registers
_CLAMPED = {"NONE": (-inf, inf)} | LIMITS
_MOST_GROUPS = 65535


def separable(
    first: Node, second: Node, image: Inputs, between: Inputs, result: Tensor, limits: Limits
) -> Variant | None:
    """Returns: one kernel for both; None where they are not such a pair.

    Args:
        first, second: DEPTHWISE_CONV_2D, and the only operator that reads its result.
        image, between: their operands.
        result: of the second.
        limits: of the device.
    """
    if first.op != "DEPTHWISE_CONV_2D" or second.op != "CONV_2D":
        return None
    x, taps = ranked(first, image, 0, 4), ranked(first, image, 1, 4)
    mid, kernel = ranked(second, between, 0, 4), ranked(second, between, 1, 4)
    if (
        refusal(image)
        or refusal(between)
        or not all(t.dtype.is_float for t in (x, mid, taps, kernel, result))
    ):
        return None
    activation = word(first, "fused_activation_function", "NONE")
    slides = geometry(second, mid, (kernel.shape[1], kernel.shape[2]), result.shape)
    alike = x.shape[3] == mid.shape[3] == kernel.shape[3]
    if slides != POINT or not alike or activation not in _CLAMPED or limits.invocations < WIDE:
        return None
    conv = Convolution(mid.shape, result.shape, kernel.shape, lambda: real_values(kernel), dict(POINT))
    blocks = blocks_of(conv, QUADS)
    out = min(blocks, _MOST_OUT)
    groups = (-(-blocks // out), -(-result.shape[2] // PIXELS), prod(result.shape[:2]))
    low, high = _CLAMPED[activation]
    if max(groups) > _MOST_GROUPS:
        return None
    sliding = geometry(first, x, (taps.shape[1], taps.shape[2]), mid.shape)
    call = Kernel(
        "separable", Out(0), groups,
        {
            "x": In(0), "d": Weights(lambda: _depthwise(taps, bias_values(image, 2))),
            "w": Weights(partial(pack, conv, QUADS)),
        },
        (WIDE, 1, 1), sliding | {"low": low, "high": high}, {"OUT": out}, steps=after(second, between),
        cooperative=True, zero_around=True,
    )  # fmt: skip
    return Variant("separable", (call,))


def _depthwise(taps: Tensor, bias: Array | None) -> Array:
    """Returns: [ky, kx, c] and a row of biases, padded to whole vec4, flat."""
    values = real_values(taps).reshape(-1, taps.shape[3])
    added = np.zeros(taps.shape[3], np.float32) if bias is None else bias
    rows = np.concatenate([values, added.reshape(1, -1)])
    return np.pad(rows, ((0, 0), (0, -taps.shape[3] % 4))).reshape(-1)
