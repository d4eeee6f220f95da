"""BERT encoders of any size, to classify or to embed sentences.

Tiny (2 layers of 128) has 4,385,920 parameters, Mini (4 of 256) 11,170,560, MiniLM-L6 (6 of 384, 12 heads)
22,713,216. Weights of the usual checkpoints fit by their names.

Source: Devlin et al., arXiv 1810.04805; sizes: Turc et al., arXiv 1908.08962, table 1; MiniLM: 2002.10957.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sanderling.architectures.plan import Architecture

if TYPE_CHECKING:
    import torch


def build(
    layers: int,
    hidden: int,
    heads: int,
    vocabulary: int,
    positions: int,
    tokens: int,
    classes: int,
    task: str,
) -> torch.nn.Module:
    """Returns: token ids and mask [N,tokens] → scores [N,classes] or unit vectors [N,hidden].

    Args:
        heads: 0 for one per 64 hidden values.
        task: ``classify``, ``embed`` (the mean over all words, of length 1), ``encode`` ([N,tokens,hidden]).
    """
    from sanderling.architectures.attention import Bert

    return Bert(layers, hidden, heads or max(1, hidden // 64), vocabulary, positions, tokens, classes, task)


DEFAULTS = {
    "layers": 2, "hidden": 128, "heads": 0, "vocabulary": 30522, "positions": 512, "tokens": 128,
    "classes": 2, "task": "classify",
}  # fmt: skip
ARCHITECTURES = (Architecture("bert", "arXiv 1908.08962, table 1", DEFAULTS, build),)
