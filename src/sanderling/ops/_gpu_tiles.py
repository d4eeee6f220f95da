"""Convolutions as tiles that threads keep in registers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import prod

from sanderling.ops._gpu_packing import Convolution, block_quads, blocks_of, depth_of, pack
from sanderling.ops.kernel import Kernel, Limits, Step, Weights

UNIT_MS = 14.5e-6  # of ``Tile.software_cost``, on SwiftShader with two cores
DISPATCH_COST = 400.0  # in the units of ``Tile.software_cost``


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

    def possible(self, conv: Convolution, limits: Limits) -> bool:
        if self.shared and (not limits.subgroups or conv.groups > 1):
            return False  # threads with different channels read different parts of a grouped image
        return not self.uniform or self._held_bytes(conv) <= limits.uniform_bytes

    def threads(self, conv: Convolution, blocks: int) -> tuple[int, int, int]:
        """Returns: how many of them compute ``blocks`` blocks of channels."""
        tiles, rows = -(-conv.result[2] // self.pixels), prod(conv.result[:2])
        return (blocks + -blocks % 4, tiles, rows) if self.shared else (tiles, blocks, rows)

    def _held_bytes(self, conv: Convolution) -> int:
        """Returns: bytes of the weights of one block, of all images if they have weights of their own: these
        are not split."""
        once = 16 * block_quads(conv, self.out)
        return once * conv.x[0] * blocks_of(conv, self.out) if conv.images else once

    def _part(self, conv: Convolution, limits: Limits) -> int:
        """Returns: how many blocks of output channels a dispatch computes."""
        blocks = blocks_of(conv, self.out)
        if not self.uniform or conv.images:
            return blocks
        part = min(blocks, limits.uniform_bytes // self._held_bytes(conv))
        # Quads share their image: as many blocks as they have threads, or some of these work for nothing.
        return part // 4 * 4 if self.shared and 4 < part < blocks else part

    def software_cost(self, conv: Convolution, limits: Limits) -> float:
        """Returns: the time that four threads at a time would take, in units of a load from a storage buffer.

        Measured on SwiftShader: a vec4 for four threads takes 46 ns to load and 7 ns from another thread of
        the quad, a product of four by four by four 1.2 ns. (On lavapipe loads are 110 ns, from uniform
        buffers 22, and products 0.2: it likes the same tiles.)
        """
        rounds = prod(conv.kernel[1:3]) * depth_of(conv, self.out)
        image = self.pixels * (0.25 + 0.15) if self.shared else self.pixels
        weights = self.out * 4 * (0.9 if self.uniform else 1.0)
        a_round = image + weights + self.pixels * self.out * 0.42 + 1.0
        part = self._part(conv, limits)
        stores = 1.2 * self.pixels * self.out
        threads = max(prod(self.threads(conv, part)), limits.threads)  # or a core has nothing to do
        once = threads / 4 * (a_round * rounds + stores) + DISPATCH_COST
        return once * blocks_of(conv, self.out) / part

    def parallel_cost(self, conv: Convolution, limits: Limits) -> float:
        """Returns: an estimate of the time on a GPU of many cores: see ``rounds_cost``."""
        rounds = prod(conv.kernel[1:3]) * depth_of(conv, self.out)
        threads = prod(self.threads(conv, blocks_of(conv, self.out)))
        loads, products = self.pixels + 4 * self.out, self.pixels * self.out
        return rounds_cost(rounds, loads + products, threads, limits)

    def kernels(self, conv: Convolution, steps: tuple[Step, ...], limits: Limits) -> tuple[Kernel, ...]:
        """Returns: as many as its weights need buffers, if they are uniform ones."""
        out, blocks, part = self.out, blocks_of(conv, self.out), self._part(conv, limits)
        lanes = 4 if self.shared else self.pixels
        shape = {"GROUPS": self.pixels // lanes, "LANES": lanes, "OUT": out, "SHARED": int(self.shared)}
        # Three channels are not worth a pipeline of their own.
        deep = conv.x[3] if conv.x[3] <= 2 else 4
        shape |= {"DEEP": deep, "NARROW": int(deep < 4)}
        # Its compiler is slow and moves between registers are cheap: a loop instead of many texts of a store.
        shape |= {"LOOPED": int(limits.software), "MOVES": self.pixels // lanes - 1, "SHIFTS": lanes - 1}
        calls = []
        for first in range(0, blocks, part):
            count = min(part, blocks - first)
            uniforms = conv.geometry | {
                "group_in": conv.kernel[3], "group_out": conv.y[3] // conv.groups,
                "depth": depth_of(conv, out), "first_block": first, "blocks": count,
                "per_image": count * block_quads(conv, out) if conv.images else 0,
                "last_quad": min((first + count) * out, -(-conv.y[3] // 4)),
            }  # fmt: skip
            weights = Weights(partial(pack, conv, out, first, count), uniform=self.uniform)
            calls.append(
                Kernel(
                    "conv_2d", conv.target, self.threads(conv, count), {"x": conv.source, "w": weights},
                    uniforms=uniforms, constants=shape, steps=steps, partial=count < blocks, zero_around=True,
                )
            )  # fmt: skip
        return tuple(calls)


def rounds_cost(rounds: float, work: float, threads: int, limits: Limits) -> float:
    """Returns: an estimate of the time on a GPU of many cores, in rounds of a single thread.

    A thread waits for what it loads, a quarter of a microsecond a round, whatever the others do; so small
    tiles win until there are enough threads to fill the GPU, from where on loads and arithmetic count.

    Args:
        rounds: that a thread makes.
        work: loads and products of vec4 in a round.
        threads: in all.
        limits: of the device.
    """
    return rounds * (1 + work * 0.05 * max(1.0, 4 * threads / limits.threads))
