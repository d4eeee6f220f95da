"""Graph → Program: lower, fuse, pool, place, build, validate."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sanderling.engines.webgpu import memory
from sanderling.engines.webgpu.fuse import fuse
from sanderling.engines.webgpu.fuse_pads import fuse_pads
from sanderling.engines.webgpu.joint import chosen
from sanderling.engines.webgpu.lower import lower
from sanderling.engines.webgpu.plan import show
from sanderling.engines.webgpu.pool import pool
from sanderling.engines.webgpu.program import Program, build
from sanderling.engines.webgpu.tuned import choices
from sanderling.engines.webgpu.validate import validate
from sanderling.graph.graph import Graph
from sanderling.ops.kernel import Limits
from sanderling.settings import settings


@dataclass(frozen=True, slots=True)
class Target:
    """What a program is compiled for; the defaults are what every WebGPU device offers.

    Attributes:
        kernels: what kernels may ask for.
        buffers: storage buffers that a kernel may bind.
        binding_bytes: bytes that one value may take.
        buffer_bytes: bytes of one buffer.
        half: store floats as f16.
        wide: names of tensors whose floats stay f32 all the same → why.
        tuned: signature of an operator → name of its fastest variant: see ``tuned.py``.
    """

    kernels: Limits = field(default_factory=Limits)
    buffers: int = 8
    binding_bytes: int = 128 * 2**20
    buffer_bytes: int = 256 * 2**20
    half: bool = False
    wide: Mapping[str, str] = field(default_factory=dict)
    tuned: Mapping[str, str] = field(default_factory=dict)

    def widened(self, names: Mapping[str, str]) -> Target:
        """Returns: the target that stores more tensors as f32, for these reasons."""
        return replace(self, wide={**self.wide, **names}) if self.half else self


def compile_graph(
    graph: Graph,
    input_names: Sequence[str],
    output_names: Sequence[str],
    target: Target,
    *,
    choose: Mapping[int, str] | None = None,
    fused: bool = True,
) -> Program:
    """Compiles a graph, or a segment of one, every node of which has a GPU variant.

    Args:
        graph: shapes are known; weights are constants.
        input_names, output_names: of the ports, in the graph's order.
        target: what it will run on.
        choose: node position → name of the variant to take; others take the tuned one, else the first.
        fused: run pointwise operators in the stores of other kernels.

    Raises:
        CompileError: it cannot be compiled for this target.
        UnsupportedOperator: a node cannot run on a GPU.
    """
    plan = lower(
        graph, input_names, output_names, target.kernels,
        half=target.half, wide=target.wide,
        choose={**choices(graph, target.tuned, half=target.half, wide=target.wide), **(choose or {})},
        together=chosen(graph, target.tuned, target.kernels, half=target.half, wide=target.wide),
    )  # fmt: skip
    if fused:
        plan = fuse_pads(plan)
        plan = fuse(plan, max_buffers=target.buffers)
    plan = pool(plan, uniform_bytes=target.kernels.uniform_bytes)
    if settings().debug >= 3:
        sys.stderr.write(show(plan) + "\n")
    layout = memory.place(plan, max_binding=target.binding_bytes, max_buffer=target.buffer_bytes)
    program = build(plan, layout, target.kernels)
    if settings().debug >= 4:
        sys.stderr.write("\n".join(program.shaders))
    validate(program)
    return program
