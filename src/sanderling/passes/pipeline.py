"""Runs passes in order."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from sanderling.errors import UsageError
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from sanderling.passes.rewrite import Pass
from sanderling.settings import settings

# Folding first: it turns shape arithmetic into constants, which shows no-ops and leaves dead code behind.
LOSSLESS = ("fold_constants", "drop_no_ops", "drop_dead_code")
# For tools that want plain float32 weights: also unpacks fp16, sparse and quantized constants.
PLAIN_WEIGHTS = ("fold_weights", *LOSSLESS)
# Rewrites that make LiteRT's CPU engine faster; the answers stay up to rounding. In this order because each
# shows the next what it can take: renaming dimensions uncovers convolutions, blocking these adds PADs.
FASTER = (
    "fold_constants",
    "replace_transpose_conv_bias",
    "merge_reshapes",
    "cancel_transposes",
    "fold_batch_norm",
    "drop_identity_resizes",
    "split_broadcast_channels",
    "delay_upsampling",
    "fuse_activations",
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
# Changes the interface as well: the model can no longer be resized.
STATIC = ("static_batch", *FASTER)


def find(name: str) -> Pass:
    """Returns: the pass in ``passes/<name>.py``.

    Raises:
        UsageError: there is no such pass.
    """
    try:
        found: Pass = importlib.import_module(f"sanderling.passes.{name}").PASS
    except (ModuleNotFoundError, AttributeError):
        raise UsageError(f"there is no pass {name!r}", hint=f"known: {', '.join(_known())}") from None
    return found


def _known() -> list[str]:
    return sorted({*PLAIN_WEIGHTS, *STATIC})


def run(
    model: Model, names: Sequence[str] = LOSSLESS, *, without: Sequence[str] = ()
) -> tuple[Model, list[str]]:
    """Applies passes in order until none changes anything more.

    Args:
        model: the model to rewrite.
        names: passes in order.
        without: names of passes to leave out.

    Returns: the rewritten model, and what was done, one line each, beginning with the pass's name.
    """
    passes = [find(name) for name in names if name not in without]
    notes: list[str] = []
    for _ in range(10):
        done_this_round: list[str] = []
        for one in passes:
            model, done = one.apply(model)
            done_this_round += [f"{one.name}: {line}" for line in done]
            if done and settings().verify:
                verify(model)
        notes += done_this_round
        if not done_this_round:
            break
    return model, notes
