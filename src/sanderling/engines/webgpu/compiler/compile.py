"""Graph → Program: lower, fuse, pool, place, build, validate."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from sanderling.engines.webgpu.compiler import memory
from sanderling.engines.webgpu.compiler.fuse import fuse
from sanderling.engines.webgpu.compiler.fuse_pads import fuse_pads
from sanderling.engines.webgpu.compiler.joint import chosen
from sanderling.engines.webgpu.compiler.lower import lower
from sanderling.engines.webgpu.compiler.plan import show
from sanderling.engines.webgpu.compiler.pool import pool
from sanderling.engines.webgpu.compiler.program import Program, Soon, build
from sanderling.engines.webgpu.compiler.target import Target as Target
from sanderling.engines.webgpu.compiler.validate import validate
from sanderling.engines.webgpu.tuned import choices
from sanderling.graph.graph import Graph
from sanderling.settings import settings


def compile_graph(
    graph: Graph,
    input_names: Sequence[str],
    output_names: Sequence[str],
    target: Target,
    *,
    choose: Mapping[int, str] | None = None,
    fused: bool = True,
    soon: Soon | None = None,
) -> Program:
    """Compiles a graph, or a segment of one, every node of which has a GPU variant.

    Args:
        graph: shapes are known; weights are constants.
        input_names, output_names: of the ports, in the graph's order.
        target: what it will run on.
        choose: node position → name of the variant to take; others take the tuned one, else the first.
        fused: run pointwise operators in the stores of other kernels.
        soon: is told of every kernel as soon as its text is written.

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
    program = build(plan, layout, target.kernels, soon=soon)
    if settings().debug >= 4:
        sys.stderr.write("\n".join(program.shaders))
    validate(program)
    return program
