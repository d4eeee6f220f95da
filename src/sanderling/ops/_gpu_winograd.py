"""3 × 3 convolutions with 16 products for 4 pixels instead of 36: F(2×2, 3×3).

Source: A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, section 4.1.
The image's tiles and the weights are transformed, multiplied place by place of the tile, 16 matrix products,
and transformed back. The factors ½ of the weights' transform make it unfit for sums that must be exact.
"""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import Array
from sanderling.ops._gpu_packing import POINT, Convolution
from sanderling.ops._gpu_shared import ROWS, Product
from sanderling.ops._gpu_tiles import UNIT_MS, Tile
from sanderling.ops.kernel import In, Kernel, Limits, Number, Out, Step, Temp, Variant

PLACES = 16  # of a tile of 4 × 4
_FIT = {"filter_h": 3, "filter_w": 3, "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}
_LEAST = 8  # channels, in and out, from which on the transforms can pay
_TRANSFORM = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float64)
_IN_COST, _OUT_COST = 10.0, 6.5  # of a tile's vec4, in the units of ``Tile.software_cost``


def suits(conv: Convolution) -> bool:
    """Returns: whether it is a convolution that this can compute."""
    fits = all(conv.geometry[name] == value for name, value in _FIT.items())
    return fits and conv.groups == 1 and min(conv.x[3], conv.y[3]) >= _LEAST


def winograd(conv: Convolution, steps: tuple[Step, ...], limits: Limits) -> Variant:
    """Returns: the variant.

    Args:
        conv: see ``suits``.
        steps: what happens to the result.
        limits: of the device.
    """
    batch, high, wide = conv.y[0], -(-conv.y[1] // 2), -(-conv.y[2] // 2)
    tiles = batch * high * wide
    image, result = (PLACES, 1, tiles, conv.x[3]), (PLACES, 1, tiles, conv.y[3])
    counts: dict[str, Number] = {"tiles_h": high, "tiles_w": wide}
    pads = {name: conv.geometry[name] for name in ("pad_top", "pad_left")}
    inward = Kernel(
        "winograd_in", Temp("tiles", image, "f"), (-(-conv.x[3] // 4), wide, batch * high), {"x": In(0)},
        uniforms=counts | pads, fusable=False, zero_around=True,
    )  # fmt: skip
    outward = Kernel(
        "winograd_out", Out(0), (-(-conv.y[3] // 4), wide, batch * high), {"x": Temp("products", result)},
        uniforms=counts, steps=steps,
    )  # fmt: skip
    product = Convolution(
        image, result, (conv.y[3], 1, 1, conv.x[3]), conv.weights, dict(POINT), images=_transformed,
        read=Temp("tiles", image), write=Temp("products", result, "f"),
    )  # fmt: skip
    way = _way(product, limits)
    kernels = (inward, *way.kernels(product, (), limits), outward)
    return Variant("winograd", kernels, UNIT_MS * _software_cost(conv, limits) if limits.software else None)


def _software_cost(conv: Convolution, limits: Limits) -> float:
    """Returns: what it costs on a software adapter, in the units of ``Tile.software_cost``."""
    tiles = conv.y[0] * -(-conv.y[1] // 2) * -(-conv.y[2] // 2)
    product = Convolution(
        (PLACES, 1, tiles, conv.x[3]), (PLACES, 1, tiles, conv.y[3]), (conv.y[3], 1, 1, conv.x[3]),
        conv.weights, dict(POINT), images=_transformed,
    )  # fmt: skip
    transforms = tiles * (_IN_COST * -(-conv.x[3] // 4) + _OUT_COST * -(-conv.y[3] // 4))
    return transforms + _tile(product, limits).software_cost(product, limits)


def _way(product: Convolution, limits: Limits) -> Tile | Product:
    """Returns: how the matrix products are computed."""
    shared = Product()
    if not limits.software and product.x[2] >= ROWS and shared.possible(product, limits):
        return shared
    return _tile(product, limits)


def _tile(product: Convolution, limits: Limits) -> Tile:
    if not limits.software:
        return Tile(4, 2)
    tile = Tile(8, 1, shared=limits.subgroups, uniform=True)
    return tile if tile.possible(product, limits) else Tile(8, 1, shared=limits.subgroups)


def _transformed(weights: Array) -> list[Array]:
    """Returns: for every place of the tile the weights of its product, [O, 1, 1, I] each.

    Args:
        weights: [O, 3, 3, I].
    """
    found = np.einsum("ik,oklc,jl->ijoc", _TRANSFORM, weights.astype(np.float64), _TRANSFORM)
    return [one[:, None, None, :].astype(np.float32) for one in found.reshape(PLACES, *found.shape[2:])]
