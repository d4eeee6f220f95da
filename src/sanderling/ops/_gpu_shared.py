"""Convolutions whose workgroups share work in memory of their own: a sum, or the operands of a product."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod

from sanderling.ops._gpu import WIDE
from sanderling.ops._gpu_packing import Convolution, block_quads, blocks_of, depth_of, pack
from sanderling.ops._gpu_tiles import rounds_cost
from sanderling.ops.kernel import Kernel, Limits, Shape, Step, Weights

_MOST_GROUPS = 65535  # in a dimension
ROWS, QUADS, DEEP = 64, 16, 4  # of a product's tile: rows × vec4 of columns, and vec4 of the sum at a time
TILE_BYTES = 16 * DEEP * (ROWS + 4 * QUADS)


@dataclass(frozen=True, slots=True)
class Split:
    """A workgroup shares the sums of ``pixels`` of a row × one vec4 of channels."""

    pixels: int

    @property
    def name(self) -> str:
        return f"split_{self.pixels}x4"

    def possible(self, conv: Convolution, limits: Limits) -> bool:
        few = blocks_of(conv, 1) <= _MOST_GROUPS and prod(conv.y[:2]) <= _MOST_GROUPS
        return few and self._rounds(conv) >= 16 and limits.invocations >= WIDE

    def _rounds(self, conv: Convolution) -> int:
        return prod(conv.kernel[1:3]) * depth_of(conv, 1)

    def _groups(self, conv: Convolution) -> tuple[int, int, int]:
        return blocks_of(conv, 1), -(-conv.result[2] // self.pixels), prod(conv.result[:2])

    def parallel_cost(self, conv: Convolution, limits: Limits) -> float:
        """Returns: see ``rounds_cost``."""
        rounds = -(-self._rounds(conv) // WIDE) + 8  # sums of sums behind barriers
        return rounds_cost(rounds, 2 * self.pixels + 4, WIDE * prod(self._groups(conv)), limits)

    def kernels(self, conv: Convolution, steps: tuple[Step, ...], limits: Limits) -> tuple[Kernel, ...]:
        uniforms = conv.geometry | {
            "group_in": conv.kernel[3], "group_out": conv.y[3] // conv.groups, "depth": depth_of(conv, 1),
        }  # fmt: skip
        call = Kernel(
            "conv_2d_split", conv.target, self._groups(conv),
            {"x": conv.source, "w": Weights(partial(pack, conv, 1))}, (WIDE, 1, 1), uniforms,
            {"PIXELS": self.pixels, "THREADS": WIDE}, steps=steps, cooperative=True, zero_around=True,
        )  # fmt: skip
        return (call,)


@dataclass(frozen=True, slots=True)
class Product:
    """A workgroup computes a tile of a matrix product, whose operands it loads once for all its threads."""

    name: str = "product_64x64"

    def possible(self, conv: Convolution, limits: Limits) -> bool:
        large = (
            conv.y[3] > 2 * QUADS and conv.result[2] > ROWS // 8
        )  # or hardly any of its threads would count
        return conv.point and conv.groups == 1 and large and product_possible(self._groups(conv), limits)

    def parallel_cost(self, conv: Convolution, limits: Limits) -> float:
        """Returns: see ``rounds_cost``; what is loaded from the workgroup's memory counts a quarter."""
        return product_cost(depth_of(conv, 1), self._groups(conv), limits)

    def _groups(self, conv: Convolution) -> tuple[int, int, int]:
        return product_groups(conv.result)

    def kernels(self, conv: Convolution, steps: tuple[Step, ...], limits: Limits) -> tuple[Kernel, ...]:
        per_image = blocks_of(conv, QUADS) * block_quads(conv, QUADS) if conv.images else 0
        call = Kernel(
            "matrix_product", conv.target, self._groups(conv),
            {"x": conv.source, "w": Weights(partial(pack, conv, QUADS))}, (WIDE, 1, 1),
            {"per_image": per_image, "depth": depth_of(conv, QUADS)}, {"PACKED": 1}, steps=steps,
            cooperative=True,
        )  # fmt: skip
        return (call,)


def product_groups(result: Shape) -> tuple[int, int, int]:
    """Returns: the workgroups of ``matrix_product`` that compute a result [… matrices, rows, columns]."""
    return -(-result[-1] // (4 * QUADS)), -(-result[-2] // ROWS), prod(result[:-2])


def product_possible(groups: tuple[int, int, int], limits: Limits) -> bool:
    """Returns: whether a device takes ``matrix_product`` with so many workgroups."""
    fits = limits.invocations >= WIDE and limits.workgroup_bytes >= TILE_BYTES
    return fits and max(groups) <= _MOST_GROUPS


def product_cost(depth: int, groups: tuple[int, int, int], limits: Limits) -> float:
    """Returns: see ``rounds_cost``; what is loaded from the workgroup's memory counts a quarter.

    Args:
        depth: vec4 of the sum.
        groups: see ``product_groups``.
        limits: of the device.
    """
    return 1.25 * rounds_cost(depth, 2 + 16 / 4 + 16, WIDE * prod(groups), limits)
