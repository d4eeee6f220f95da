"""Runs passes in order."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from sanderling.passes._known_shapes import forget
from sanderling.passes.registry import find
from sanderling.settings import settings

# Folding first: it turns shape arithmetic into constants, which shows no-ops and leaves dead code behind.
LOSSLESS = ("fold_constants", "drop_no_ops", "drop_dead_code")
# For tools that want plain float32 weights: also unpacks fp16, sparse and quantized constants.
PLAIN_WEIGHTS = ("fold_weights", *LOSSLESS)
# Rewrites that make LiteRT's CPU engine faster; the answers stay up to rounding. In this order because each
# shows the next what it can take: duplicates hide what is read once, recognised operators what can be fused,
# renaming dimensions uncovers convolutions, blocking these adds PADs.
FASTER = (
    "fold_constants",
    "unroll_loops",
    "merge_duplicates",
    "merge_quantization",
    "replace_transpose_conv_bias",
    "merge_reshapes",
    "merge_movements",
    "cancel_transposes",
    "permute_weights",
    "recognize_functions",
    "recognize_normalizations",
    "recenter_normalizations",
    "replace_divisions",
    "replace_matrix_products",
    "recognize_dilated_convolutions",
    "merge_split_convolutions",
    "replace_grouped_convolutions",
    "fold_batch_norm",
    "merge_scales",
    "drop_identity_resizes",
    "split_broadcast_channels",
    "delay_upsampling",
    "fuse_activations",
    "merge_pads",
    "fuse_pad",
    "unfold_transposed_convolutions",
    "split_large_depthwise",
    "separate_pools",
    "replace_mirror_pads",
    "widen_strided_slices",
    "widen_concatenations",
    "block_narrow_convolutions",
    "widen_pads",
    "drop_no_ops",
    "drop_dead_code",
)
# The operator that was meant in the place of what a converter wrote for it: for people who read a graph, and
# for engines whose own kernel is the better one.
CANONICAL = (
    "fold_constants",
    "merge_duplicates",
    "merge_movements",
    "cancel_transposes",
    "permute_weights",
    "replace_transpose_conv_bias",
    "recognize_functions",
    "recognize_normalizations",
    "recognize_l2_normalizations",
    "recognize_dilated_convolutions",
    "merge_split_convolutions",
    "replace_grouped_convolutions",
    "fuse_activations",
    "drop_no_ops",
    "drop_dead_code",
)
# Changes the interface as well: the model can no longer be resized.
STATIC = ("static_batch", *FASTER)
MAX_ROUNDS = 10


def run(
    model: Model, names: Sequence[str] = LOSSLESS, *, without: Sequence[str] = ()
) -> tuple[Model, list[str]]:
    """Applies passes in order until none changes anything more.

    Args:
        model: the model to rewrite.
        names: passes in order.
        without: names of passes to leave out.

    Returns: the rewritten model, and what was done, one line each, beginning with the pass's name.

    Raises:
        UsageError: there is no pass of one of these names.
    """
    left_out = {find(name).name for name in without}
    passes = [one for one in map(find, names) if one.name not in left_out]
    notes: list[str] = []
    settled: set[str] = set()  # passes that find nothing in the model as it is
    try:
        for _ in range(MAX_ROUNDS):
            for one in passes:
                if one.name in settled:
                    continue
                model, done = one.apply(model)
                notes += [f"{one.name}: {line}" for line in done]
                if not done:
                    settled.add(one.name)
                    continue
                settled.clear()
                if settings().verify:
                    verify(model)
            if len(settled) == len({one.name for one in passes}):
                break
    finally:
        forget()
    _tell(notes)
    return model, notes


def counted(notes: Iterable[str]) -> dict[str, int]:
    """Returns: how often each pass did something, from what ``run`` told, in order of first use."""
    return dict(Counter(line.partition(":")[0] for line in notes))


def _tell(notes: Sequence[str]) -> None:
    """Shows what was done at ``SANDERLING_DEBUG=3`` and above."""
    if not notes or settings().debug < 3:
        return
    logger = logging.getLogger("sanderling.passes")
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.INFO)
    for line in notes:
        logger.info("%s", line)
