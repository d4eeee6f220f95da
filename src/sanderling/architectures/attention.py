"""A BERT encoder. Its parts have the names that checkpoints give them, so that weights fit by name."""

from __future__ import annotations

import torch
from torch import nn

EPSILON = 1e-12


class _Embeddings(nn.Module):
    def __init__(self, vocabulary: int, positions: int, hidden: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocabulary, hidden, padding_idx=0)
        self.position_embeddings = nn.Embedding(positions, hidden)
        self.token_type_embeddings = nn.Embedding(2, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=EPSILON)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        places = self.position_embeddings.weight[: ids.shape[1]] + self.token_type_embeddings.weight[0]
        normalized: torch.Tensor = self.LayerNorm(self.word_embeddings(ids) + places)
        return normalized


class _Projected(nn.Module):
    """A product, added to what went in before, and normalized."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.dense = nn.Linear(before, after)
        self.LayerNorm = nn.LayerNorm(after, eps=EPSILON)

    def forward(self, x: torch.Tensor, shortcut: torch.Tensor) -> torch.Tensor:
        normalized: torch.Tensor = self.LayerNorm(self.dense(x) + shortcut)
        return normalized


class _Layer(nn.Module):
    """Attention and two products (Vaswani et al., arXiv 1706.03762), normalized after each."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        names = ("query", "key", "value")
        self.attention = nn.ModuleDict(
            {
                "self": nn.ModuleDict({name: nn.Linear(hidden, hidden) for name in names}),
                "output": _Projected(hidden, hidden),
            }
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(hidden, 4 * hidden)})
        self.output = _Projected(4 * hidden, hidden)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        n, tokens, hidden = x.shape
        query, key, value = (
            product(x).view(n, tokens, self.heads, -1).transpose(1, 2)
            for product in self.attention["self"].values()
        )
        scores = query @ key.transpose(2, 3) * (hidden // self.heads) ** -0.5 + mask
        seen = (scores.softmax(3) @ value).transpose(1, 2).reshape(n, tokens, hidden)
        x = self.attention["output"](seen, x)
        wide = nn.functional.gelu(self.intermediate["dense"](x))
        result: torch.Tensor = self.output(wide, x)
        return result


class Bert(nn.Module):
    """Token ids and mask [N,tokens] → scores, unit vectors, or a vector per token."""

    def __init__(
        self, layers: int, hidden: int, heads: int, vocabulary: int, positions: int, tokens: int,
        classes: int, task: str,
    ) -> None:  # fmt: skip
        super().__init__()
        self.tokens, self.task = tokens, task
        self.embeddings = _Embeddings(vocabulary, positions, hidden)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer(hidden, heads) for _ in range(layers))})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(hidden, hidden)})
        self.classifier = nn.Linear(hidden, classes) if task == "classify" else None

    @property
    def example(self) -> tuple[torch.Tensor, torch.Tensor]:
        ids = torch.arange(self.tokens)[None] % self.embeddings.word_embeddings.num_embeddings
        return ids, torch.ones_like(ids)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        present = attention_mask.to(torch.float32)
        hidden = (
            present[:, None, None, :] - 1
        ) * 1e4  # no number of its own for "never": it is not finite in half
        x = self.embeddings(input_ids)
        for layer in self.encoder["layer"]:
            x = layer(x, hidden)
        if self.classifier is not None:
            scores: torch.Tensor = self.classifier(self.pooler["dense"](x[:, 0]).tanh())
            return scores
        if self.task == "encode":
            return x
        weight = present[:, :, None]
        mean = (x * weight).sum(1) / weight.sum(1).clamp(min=1.0)
        return nn.functional.normalize(mean, dim=1)
