"""Which operators LiteRT 2.3 has kernels for.

Source: measured, by loading one model per operator code; ``tests/engines/test_operators.py`` repeats it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.graph.graph import CUSTOM, Node
from sanderling.graph.types import YES, Verdict, no

# Codes of the schema that LiteRT's resolver has no kernel for, in any version.
_MISSING = frozenset({"CALL", "CONCAT_EMBEDDINGS", "DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES"})
_STABLEHLO = frozenset(
    f"STABLEHLO_{name}"
    for name in (
        "ADD", "AND", "CASE", "COMPOSITE", "GATHER", "MAXIMUM", "MINIMUM", "MULTIPLY", "PAD",
        "REDUCE_WINDOW", "RNG_BIT_GENERATOR", "SCATTER", "SHIFT_LEFT",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CustomKernel:
    """A custom operator that LiteRT runs, and what it takes for granted.

    LiteRT does not check these before it reads them: a node that breaks them crashes the process.

    Attributes:
        inputs, outputs: the least number of operands.
        options: it reads its custom options, so they may not be empty.
        xnnpack: only XNNPACK implements it, so the other kernel sets refuse it.
    """

    inputs: int
    outputs: int
    options: bool = False
    xnnpack: bool = False


CUSTOM_KERNELS = {
    "AudioSpectrogram": CustomKernel(1, 1, options=True),
    "Convolution2DTransposeBias": CustomKernel(3, 1, options=True, xnnpack=True),
    "MaxPoolingWithArgmax2D": CustomKernel(1, 2, options=True, xnnpack=True),
    "MaxUnpooling2D": CustomKernel(2, 1, options=True, xnnpack=True),
    "Mfcc": CustomKernel(2, 1, options=True),
    "NumericVerify": CustomKernel(2, 1, options=True),
    "TFLite_Detection_PostProcess": CustomKernel(3, 4, options=True),
}


def supported(node: Node, kernels: str = "default") -> Verdict:
    """Returns: whether LiteRT has a kernel for the operator; operand types are checked when it loads."""
    if node.op == CUSTOM:
        return _custom(node, kernels)
    if node.op == "DEPTHWISE_CONV_2D" and len(node.inputs) == 2 and kernels != "reference":
        return no("LiteRT's kernels crash on a DEPTHWISE_CONV_2D without a bias; give it one of zeros")
    if node.op in _MISSING or (node.op.startswith("STABLEHLO_") and node.op not in _STABLEHLO):
        return no(f"LiteRT has no kernel for {node.op}")
    return YES


def _custom(node: Node, kernels: str) -> Verdict:
    name = node.custom_code
    kernel = CUSTOM_KERNELS.get(name)
    if kernel is None:
        if name.startswith("Flex"):
            return no(f"{name} is a TensorFlow operator, which LiteRT does not contain")
        return no(f"LiteRT has no kernel for the custom operator {name}")
    if kernel.xnnpack and kernels != "default":
        return no(f"the custom operator {name} exists in XNNPACK only, not among the {kernels} kernels")
    if len(node.inputs) < kernel.inputs or len(node.outputs) < kernel.outputs:
        got = f"{len(node.inputs)} inputs and {len(node.outputs)} outputs"
        return no(f"{name} has {got}, expected at least {kernel.inputs} and {kernel.outputs}")
    if kernel.options and not node.custom_options:
        return no(f"{name} has no custom options, which it needs")
    return YES
