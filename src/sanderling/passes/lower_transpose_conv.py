"""TRANSPOSE_CONV as CONV_2D and DEPTH_TO_SPACE, whether or not that is faster."""

from __future__ import annotations

from sanderling.graph.graph import Model
from sanderling.passes._editor import rewrite_nodes
from sanderling.passes.rewrite import Pass
from sanderling.passes.unfold_transposed_convolutions import unfold


def apply(model: Model) -> tuple[Model, list[str]]:
    """Takes all of the main graph apart."""
    return rewrite_nodes(model, lambda editor, node: unfold(editor, node, least_gain=0), ("TRANSPOSE_CONV",))


PASS = Pass(
    "lower_transpose_conv",
    "CONV_2D and DEPTH_TO_SPACE for TRANSPOSE_CONV",
    apply,
    grows=True,
    lowers="TRANSPOSE_CONV",
    needs=("CONV_2D", "DEPTH_TO_SPACE", "PAD", "RESHAPE", "SLICE"),
)
