"""The ways to compute a convolution, and which is tried first."""

from __future__ import annotations

from typing import Protocol

from sanderling.ops._gpu_packing import Convolution
from sanderling.ops._gpu_shared import Product, Split
from sanderling.ops._gpu_tiles import UNIT_MS, Tile
from sanderling.ops.kernel import Kernel, Limits, Step, Variant


class Way(Protocol):
    """How the work of a convolution is given to threads."""

    @property
    def name(self) -> str: ...

    def possible(self, conv: Convolution, limits: Limits) -> bool:
        """Says whether it can compute this on such a device."""

    def parallel_cost(self, conv: Convolution, limits: Limits) -> float:
        """Returns: see ``rounds_cost``."""

    def kernels(self, conv: Convolution, steps: tuple[Step, ...], limits: Limits) -> tuple[Kernel, ...]:
        """Returns: the kernels, the result's steps in their stores."""


TILES = (Tile(7, 2), Tile(4, 2), Tile(4, 1), Tile(2, 2), Tile(1, 2), Tile(1, 1))
# Few and small ones, for SwiftShader takes 0.1 s to compile each; larger ones (MORE_TILES) are 10 % faster.
SOFTWARE_TILES = (
    Tile(8, 1, shared=True, uniform=True), Tile(8, 1, shared=True),
    Tile(8, 1, uniform=True), Tile(8, 1), Tile(1, 1, uniform=True), Tile(1, 1),
)  # fmt: skip
MORE_TILES = (Tile(16, 1, shared=True), Tile(8, 2, shared=True), Tile(8, 2, shared=True, uniform=True))
SHARED: tuple[Way, ...] = (Split(4), Split(1), Product())
PARALLEL: tuple[Way, ...] = (Tile(4, 2), Tile(4, 1), Tile(1, 1), *SHARED)


def convolution(conv: Convolution, steps: tuple[Step, ...], limits: Limits) -> list[Variant]:
    """Returns: all ways that are possible, the one expected to be fastest first.

    There are few different ones among the first choices, as each is a pipeline that takes the driver up to a
    second to compile. Which is fastest depends on the adapter: timing tells.
    """
    ways: list[Way]
    costs: dict[Tile, float] = {}
    if limits.software:
        costs = {tile: tile.software_cost(conv, limits) for tile in _software_tiles(conv, limits)}
        few = sorted(costs, key=lambda tile: costs[tile])
        ways = [*dict.fromkeys((*few, *MORE_TILES, *TILES)), *SHARED]
    else:
        first = sorted(PARALLEL, key=lambda way: way.parallel_cost(conv, limits))
        ways = [*first, *(tile for tile in TILES if tile not in first)]
    return [
        Variant(
            way.name, way.kernels(conv, steps, limits),
            UNIT_MS * costs[way] if isinstance(way, Tile) and way in costs else None,
        )
        for way in ways
        if way.possible(conv, limits)
    ]  # fmt: skip


def _software_tiles(conv: Convolution, limits: Limits) -> list[Tile]:
    return [tile for tile in SOFTWARE_TILES if tile.possible(conv, limits)]
