"""Weights that are stored as 8- or 4-bit integers stay so on the GPU, where activations are real numbers.

The kernel multiplies by whole numbers; every output channel is scaled once, before its bias.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, Quant, Verdict
from sanderling.ops._gpu import Answer, Inputs, Outputs
from sanderling.ops.kernel import Channel, Flow, Gpu, Kernel, Limits, Step, Variant, Weights, WeightStorage

_STORAGE: dict[DType, WeightStorage] = {DType.INT8: "i8", DType.INT4: "i4"}


def with_stored_weights(gpu: Gpu, *, axis: int = 0) -> Gpu:
    """Returns: ``gpu``, whose weights (operand 1) stay integers where they are.

    Args:
        axis: of the weights along which output channels lie.
    """

    def answer(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        kernel = inputs[1] if len(inputs) > 1 else None
        if kernel is None or not _suits(kernel, outputs[0], axis):
            return gpu(node, inputs, outputs, limits)
        assert kernel.quant is not None
        whole = Quant(np.ones(1, np.float32), np.zeros(1, np.int64))
        unscaled = replace(kernel, type=replace(kernel.type, quant=whole))
        found = gpu(node, [inputs[0], unscaled, *inputs[2:]], outputs, limits)
        if isinstance(found, Verdict):
            return found
        channels = outputs[0].shape[-1]
        scale = np.broadcast_to(kernel.quant.scale.reshape(-1), (channels,))
        kept = [stored(variant, _STORAGE[kernel.dtype], scale) for variant in found]
        suited = [variant for variant in kept if variant is not None]
        return suited or gpu(node, inputs, outputs, limits)

    return answer


def _suits(kernel: Tensor, out: Tensor, axis: int) -> bool:
    quant = kernel.quant
    if not kernel.is_constant or quant is None or kernel.dtype not in _STORAGE or not out.dtype.is_float:
        return False
    channels = quant.scale.size == 1 or (quant.axis == axis and quant.scale.size == out.shape[-1])
    return channels and quant.block is None and not quant.zero_point.any()


def whole_scale(kernel: Tensor | None) -> float | None:
    """Returns: the one scale of symmetric int8 weights; None for any others."""
    quant = kernel.quant if kernel is not None else None
    if kernel is None or quant is None or kernel.dtype is not DType.INT8 or quant.scale.size != 1:
        return None
    return None if quant.zero_point.any() or quant.block is not None else float(quant.scale[0])


def stored(variant: Variant, storage: WeightStorage, scale: Array) -> Variant | None:
    """Returns: the variant with integer weights, None where its kernels read them in another way.

    Args:
        scale: of every channel of the result.
    """
    kernels = []
    for kernel in variant.kernels:
        weights = kernel.reads.get("w") if isinstance(kernel, Kernel) else None
        if not isinstance(kernel, Kernel) or not isinstance(weights, Weights):
            return None
        if weights.storage != "float" or weights.uniform or kernel.partial:
            return None
        steps = (Step("x * s", {"x": Flow(0), "s": Channel(scale)}), *map(later, kernel.steps))
        reads = {**kernel.reads, "w": replace(weights, storage=storage)}
        kernels.append(replace(kernel, reads=reads, steps=steps))
    return replace(variant, kernels=tuple(kernels))


def later(step: Step) -> Step:
    """Returns: a step that has one more before it."""
    operands = {n: Flow(o.step + 1) if isinstance(o, Flow) else o for n, o in step.operands.items()}
    return replace(step, operands=operands)
