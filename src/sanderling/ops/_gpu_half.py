"""Convolutions and dense layers whose products are taken in 16 bits and summed in 32."""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Node
from sanderling.graph.types import Verdict
from sanderling.ops._gpu import Answer, Inputs, Outputs
from sanderling.ops.kernel import Gpu, Kernel, Limits, Variant, Weights

# They add at most four products of X4 in 16 bits. Products of two computed operands (BATCH_MATMUL) have no
# bound that could be known beforehand: those stay in 32 bits.
BODIES = frozenset({"conv_2d", "conv_2d_split", "depthwise_conv_2d", "matrix_product", "transpose_conv"})


def with_half(gpu: Gpu) -> Gpu:
    """Returns: ``gpu``, each of whose variants is followed by one that multiplies in 16 bits, where the
    device can and the operands are stored so. Which is faster depends on the device: timing tells."""

    def answer(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        found = gpu(node, inputs, outputs, limits)
        if isinstance(found, Verdict) or not limits.f16:
            return found
        return [v for variant in found for v in (variant, _half(variant)) if v is not None]

    return answer


def _half(variant: Variant) -> Variant | None:
    """Returns: the variant in 16 bits, None where a kernel of it cannot be."""
    kernels = [kernel for kernel in variant.kernels if isinstance(kernel, Kernel) and _able(kernel)]
    if len(kernels) < len(variant.kernels):
        return None
    return Variant(f"{variant.name}_half", tuple(replace(kernel, half=True) for kernel in kernels))


def _able(kernel: Kernel) -> bool:
    weights = kernel.reads.get("w")
    return kernel.body in BODIES and isinstance(weights, Weights) and not weights.uniform
