"""Convolutions as tiles of registers: which there are, which comes first, and the order of their weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from sanderling.graph.types import Array
from sanderling.ops._gpu import WIDE
from sanderling.ops.kernel import In, Kernel, Limits, Number, Out, Shape, Step, Temp, Variant, Weights

POINT: dict[str, Number] = {
    "filter_h": 1, "filter_w": 1, "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1,
    "pad_top": 0, "pad_left": 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Convolution:
    """What every kind of convolution comes down to.

    Attributes:
        x, y: image and result, [n, h, w, c] each.
        kernel: shape of the weights, (O, KH, KW, I); groups follow from I.
        weights: gives them, float32; only called when the variant was chosen.
        geometry: the uniforms stride_h … pad_left.
    """

    x: Shape
    y: Shape
    kernel: Shape
    weights: Callable[[], Array]
    geometry: dict[str, Number]

    @property
    def groups(self) -> int:
        return self.x[3] // self.kernel[3]


@dataclass(frozen=True, slots=True)
class Tile:
    """What one thread computes: ``pixels`` of a row × ``out`` vec4 of channels.

    Attributes:
        shared: the four threads of a quad take the same pixels, each loads a quarter of them for all.
        uniform: the weights are read from uniform buffers, as many blocks of channels a dispatch as fit.
    """

    pixels: int
    out: int
    shared: bool = False
    uniform: bool = False

    @property
    def name(self) -> str:
        kind = "shared" if self.shared else "direct"
        return f"{kind}_{self.pixels}x{4 * self.out}" + "_uniform" * self.uniform

    def threads(self, result: Shape, blocks: int) -> tuple[int, int, int]:
        """Returns: how many of them compute ``blocks`` blocks of channels of a result."""
        tiles, rows = -(-result[2] // self.pixels), result[0] * result[1]
        return (blocks + -blocks % 4, tiles, rows) if self.shared else (tiles, blocks, rows)


@dataclass(frozen=True, slots=True)
class Split:
    """A workgroup shares the sums of ``pixels`` of a row × one vec4 of channels."""

    pixels: int
    out: int = 1

    @property
    def name(self) -> str:
        return f"split_{self.pixels}x4"


TILES = (Tile(7, 2), Tile(4, 2), Tile(4, 1), Tile(2, 2), Tile(1, 2), Tile(1, 1))
# Few and small ones, for SwiftShader takes 0.1 s to compile each; larger ones (MORE_TILES) are 10 % faster.
SOFTWARE_TILES = (
    Tile(8, 1, shared=True, uniform=True), Tile(8, 1, shared=True),
    Tile(8, 1, uniform=True), Tile(8, 1), Tile(1, 1, uniform=True), Tile(1, 1),
)  # fmt: skip
MORE_TILES = (Tile(16, 1, shared=True), Tile(8, 2, shared=True), Tile(8, 2, shared=True, uniform=True))
SPLITS = (Split(4), Split(1))
PARALLEL_TILES: tuple[Tile | Split, ...] = (Tile(4, 2), Tile(4, 1), Tile(1, 1), *SPLITS)
DISPATCH_COST = 400.0  # in the units of ``software_cost``


def convolution(conv: Convolution, steps: tuple[Step, ...], limits: Limits) -> list[Variant]:
    """Returns: direct convolutions with tiles of several sizes, the one expected to be fastest first.

    There are few different tiles among the first choices, as each is a pipeline that takes the driver up to
    a second to compile. Which is fastest depends on the adapter: timing tells.
    """
    found: list[Tile | Split]
    image, result = _flat(conv)
    if limits.software:
        few = sorted(SOFTWARE_TILES, key=partial(software_cost, conv, result, limits))
        found = [*dict.fromkeys((*few, *MORE_TILES, *TILES)), *SPLITS]
    else:
        first = sorted(PARALLEL_TILES, key=partial(_parallel_cost, conv, result, limits))
        found = [*first, *(tile for tile in TILES if tile not in first)]
    return [
        _split(conv, image, result, tile, steps)
        if isinstance(tile, Split)
        else Variant(tile.name, direct(conv, image, result, tile, steps, limits))
        for tile in found
        if _possible(conv, tile, limits)
    ]


def least_cost(conv: Convolution, limits: Limits) -> float:
    """Returns: what the first of ``convolution`` costs on a software adapter: see ``software_cost``."""
    possible = (tile for tile in SOFTWARE_TILES if _possible(conv, tile, limits))
    return min(software_cost(conv, _flat(conv)[1], limits, tile) for tile in possible)


def _flat(conv: Convolution) -> tuple[Shape, Shape]:
    """Returns: image and result; of a 1 × 1 convolution as one row of pixels, so that no tile is cut."""
    if conv.geometry != POINT:
        return conv.x, conv.y
    return (1, 1, prod(conv.x[:3]), conv.x[3]), (1, 1, prod(conv.y[:3]), conv.y[3])


def _possible(conv: Convolution, tile: Tile | Split, limits: Limits) -> bool:
    if isinstance(tile, Split):
        blocks, rounds = -(-conv.y[3] // 4), prod(conv.kernel[1:3]) * depth_of(conv, 1)
        return rounds >= 16 and blocks <= 65535 and prod(conv.y[:2]) <= 65535 and limits.invocations >= WIDE
    if tile.shared and (not limits.subgroups or conv.groups > 1):
        return False  # threads with different channels read different parts of a grouped image
    return not tile.uniform or block_bytes(conv, tile) <= limits.uniform_bytes


def software_cost(conv: Convolution, result: Shape, limits: Limits, tile: Tile) -> float:
    """Returns: the time that four threads at a time would take, in units of a load from a storage buffer.

    Measured on SwiftShader: a vec4 for four threads takes 46 ns to load and 7 ns from another thread of the
    quad, a product of four by four by four 1.2 ns. (On lavapipe loads are 110 ns, from uniform buffers 22,
    and products 0.2: it likes the same tiles.)
    """
    blocks, taps = -(-result[3] // (4 * tile.out)), prod(conv.kernel[1:3]) * depth_of(conv, tile.out)
    image = tile.pixels * (0.25 + 0.15) if tile.shared else tile.pixels
    weights = tile.out * 4 * (0.9 if tile.uniform else 1.0)
    a_round = image + weights + tile.pixels * tile.out * 0.42 + 1.0
    part = _part(conv, tile, blocks, limits)
    stores = 1.2 * tile.pixels * tile.out
    once = prod(tile.threads(result, part)) / 4 * (a_round * taps + stores) + DISPATCH_COST
    return once * blocks / part


def _part(conv: Convolution, tile: Tile, blocks: int, limits: Limits) -> int:
    """Returns: how many blocks of output channels a dispatch computes."""
    if not tile.uniform:
        return blocks
    part = min(blocks, limits.uniform_bytes // block_bytes(conv, tile))
    # Quads share their image: as many blocks as they have threads, or some of these work for nothing.
    return part // 4 * 4 if tile.shared and 4 < part < blocks else part


def _parallel_cost(conv: Convolution, result: Shape, limits: Limits, tile: Tile | Split) -> float:
    """Returns: an estimate of the time on a GPU of many cores, in rounds of a single thread.

    A thread waits for what it loads, a quarter of a microsecond a round, whatever the others do; so small
    tiles win until there are enough threads to fill the GPU, from where on arithmetic counts.
    """
    taps = prod(conv.kernel[1:3])
    rows, blocks = result[0] * result[1], -(-result[3] // (4 * tile.out))
    rounds = taps * depth_of(conv, tile.out)
    threads = rows * -(-result[2] // tile.pixels) * blocks
    loads = tile.pixels + 4 * tile.out
    products = tile.pixels * tile.out
    if isinstance(tile, Split):
        threads, rounds = threads * WIDE, -(-rounds // WIDE) + 8  # sums of sums behind barriers
    return rounds * (1 + (loads + products) * 0.05 * max(1.0, 4 * threads / limits.threads))


def block_bytes(conv: Convolution, tile: Tile) -> int:
    """Returns: bytes of the weights of one block of output channels."""
    return prod(conv.kernel[1:3]) * depth_of(conv, tile.out) * 4 * tile.out * 16


def direct(
    conv: Convolution,
    image: Shape,
    result: Shape,
    tile: Tile,
    steps: tuple[Step, ...],
    limits: Limits,
    *,
    read: In | Temp | None = None,
    write: Out | Temp | None = None,
    images: Callable[[Array], list[Array]] | None = None,
) -> tuple[Kernel, ...]:
    """Returns: the kernels of a convolution: several, where their weights take more than a uniform buffer.

    Args:
        image, result: the shapes in which x and y are seen.
        read, write: what they are, where it is not the operator's own input and output.
        images: gives the weights of each of x's images, made of the convolution's, where they differ; all
            of them have to fit ``limits.uniform_bytes`` if the tile wants them there.
    """
    out, depth, blocks = tile.out, depth_of(conv, tile.out), -(-result[3] // (4 * tile.out))
    part = _part(conv, tile, blocks, limits)
    calls = []
    for first in range(0, blocks, part):
        count = min(part, blocks - first)
        threads = tile.threads(result, count)
        taps = prod(conv.kernel[1:3]) * depth * 4 * out
        uniforms = conv.geometry | {
            "group_in": conv.kernel[3], "group_out": conv.y[3] // conv.groups, "depth": depth,
            "first_block": first, "blocks": count, "per_image": count * taps if images else 0,
            "last_quad": min((first + count) * out, -(-result[3] // 4)),
        }  # fmt: skip
        weights = Weights(partial(pack, conv, out, depth, first, count, images), uniform=tile.uniform)
        lanes = 4 if tile.shared else tile.pixels
        shape = {"GROUPS": tile.pixels // lanes, "LANES": lanes, "OUT": out, "SHARED": int(tile.shared)}
        # Its compiler is slow and moves between registers are cheap: a loop instead of many texts of a store.
        shape |= {"LOOPED": int(limits.software), "MOVES": tile.pixels // lanes - 1, "SHIFTS": lanes - 1}
        calls.append(
            Kernel(
                "conv_2d", write or Out(0, result), threads, {"x": read or In(0, image), "w": weights},
                uniforms=uniforms, constants=shape, steps=steps, partial=count < blocks,
            )
        )  # fmt: skip
    return tuple(calls)


def _split(conv: Convolution, image: Shape, result: Shape, split: Split, steps: tuple[Step, ...]) -> Variant:
    depth, blocks = depth_of(conv, 1), -(-result[3] // 4)
    uniforms = conv.geometry | {
        "group_in": conv.kernel[3], "group_out": conv.y[3] // conv.groups, "depth": depth,
    }  # fmt: skip
    call = Kernel(
        "conv_2d_split", Out(0, result), (blocks, -(-result[2] // split.pixels), result[0] * result[1]),
        {"x": In(0, image), "w": Weights(partial(pack, conv, 1, depth))}, (WIDE, 1, 1), uniforms,
        {"PIXELS": split.pixels, "THREADS": WIDE}, steps=steps, cooperative=True,
    )  # fmt: skip
    return Variant(split.name, (call,))


def _bands(conv: Convolution, out: int) -> list[tuple[int, int]]:
    """Returns: (first, end) in vec4 of the input channels that each block of output channels reads."""
    group_in, group_out, total = conv.kernel[3], conv.y[3] // conv.groups, conv.y[3]
    found = []
    for start in range(0, total, 4 * out):
        last = min(start + 4 * out, total) - 1
        first, end = start // group_out * group_in, (last // group_out + 1) * group_in
        found.append((first // 4, -(-end // 4)))
    return found


def depth_of(conv: Convolution, out: int) -> int:
    """Returns: how many vec4 of input channels a block of ``out`` vec4 of output channels reads."""
    return max(end - first for first, end in _bands(conv, out))


def pack(
    conv: Convolution,
    out: int,
    depth: int,
    start: int = 0,
    count: int | None = None,
    images: Callable[[Array], list[Array]] | None = None,
) -> Array:
    """Returns: weights as ``conv_2d.wgsl`` reads them: [image, block, ky, kx, c4, input lane, out, 4], flat.

    Args:
        out: vec4 of output channels in a block.
        depth: see ``depth_of``.
        start, count: which blocks; as a rule all.
        images: see ``direct``; one for all, where it is None.
    """
    given = images(conv.weights()) if images else [conv.weights()]
    return np.concatenate([_packed(conv, kernel, out, depth, start, count) for kernel in given])


def _packed(conv: Convolution, kernel: Array, out: int, depth: int, start: int, count: int | None) -> Array:
    channels, height, width, group_in = conv.kernel
    group_out, x_quads = channels // conv.groups, -(-conv.x[3] // 4)
    bands = _bands(conv, out)[start:][:count]
    full = np.zeros((len(bands), height, width, depth * 4, out * 4), np.float32)
    for number, (first, _) in enumerate(bands):
        offset, block = min(first, x_quads - depth) * 4, start + number
        for o in range(block * 4 * out, min((block + 1) * 4 * out, channels)):
            begin = o // group_out * group_in - offset
            full[number, :, :, begin : begin + group_in, o - block * 4 * out] = kernel[o]
    return full.reshape(-1)
