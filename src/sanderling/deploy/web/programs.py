"""The model as programs for browsers: in 32 bits, in 16, and for those that have no GPU."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sanderling.engines.webgpu.compiler.compile import compile_graph
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.graphs.shapes import at_shapes
from sanderling.engines.webgpu.graphs.state import Lifted, lift
from sanderling.engines.webgpu.pieces.verdicts import verdict
from sanderling.graph.graph import Model, Tensor
from sanderling.graph.types import DType
from sanderling.ops.kernel import Limits
from sanderling.passes.pipeline import run
from sanderling.samples.inputs import Input, model_inputs, picture_of
from sanderling.samples.pixels import side_or_default

WHOLE = Target()  # what every browser offers
HALF = Target(Limits(f16=True), half=True)  # with shader-f16
SOFTWARE = Target(Limits(software=True, threads=64))  # where no GPU is: few kernels, which compile fast


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model at its shapes, its state outside.

    Attributes:
        lifted: the model, its variables inputs and outputs.
        inputs, outputs: names of all ports, those of states last.
    """

    lifted: Lifted

    @property
    def inputs(self) -> list[str]:
        return [f"x{i}" for i in range(len(self.lifted.model.main.inputs))]

    @property
    def outputs(self) -> list[str]:
        return [f"y{i}" for i in range(len(self.lifted.model.main.outputs))]

    def compiled(self, target: Target) -> Program:
        """Returns: a program of the whole model."""
        return compile_graph(self.lifted.model.main, self.inputs, self.outputs, target)


def prepare(model: Model) -> Prepared:
    """Fixes a model to the shapes in which a page feeds it: pictures of any size at 224. Loops that run a
    known number of times become plain operators."""
    taken = lift(run(model, ("unroll_loops",))[0])
    own = [_shape(each) for each in model_inputs(model)]
    main = taken.model.main
    shapes = [*own, *(main.tensors[i].shape for i in main.inputs[len(own) :])]
    return Prepared(replace(taken, model=at_shapes(taken.model, shapes)))


def _shape(spec: Input) -> tuple[int, ...]:
    picture = picture_of(spec)
    if picture is None or -1 not in spec.dims:
        return spec.shape
    return tuple(side_or_default(d) if d < 0 else d for d in spec.dims)


def obstacle(model: Model) -> str:
    """Returns: why a model cannot run in a browser, "" when it can."""
    for spec in model_inputs(model):
        if -1 in spec.dims and picture_of(spec) is None:
            return (
                f"input {spec.name!r} takes {spec}, any size where it says ?, and a page is compiled for "
                "one: convert the model with a fixed size"
            )
    prepared = prepare(model)
    graph = prepared.lifted.model.main
    if prepared.lifted.reason:
        return f"its state cannot be kept on a GPU: {prepared.lifted.reason}"
    for node in graph.nodes:
        found = verdict(graph, node, WHOLE.kernels, WHOLE.binding_bytes)
        if not found:
            return f"{node.kind}: {found.reason}, and a browser has no CPU engine to leave it to"
    return ""


def unit_weights(model: Model) -> Model:
    """Returns: the model with all its 8-bit weights one step large, so that whatever is made of them is
    their scale."""

    def one(tensor: Tensor) -> Tensor:
        quant = tensor.quant
        small = tensor.dtype in (DType.INT8, DType.UINT8)
        if not (tensor.is_constant and small and tensor.type.is_quantized and quant is not None):
            return tensor
        along = [1] * len(tensor.shape)
        if quant.axis is not None and quant.zero_point.size > 1:
            along[quant.axis] = -1
        zero = quant.zero_point.reshape(along)
        raised = np.broadcast_to(zero + 1, tensor.shape)
        return replace(tensor, data=raised.astype(tensor.dtype.numpy), sparsity=None)

    graphs = tuple(replace(g, tensors=tuple(map(one, g.tensors))) for g in model.graphs)
    return replace(model, graphs=graphs)
