"""MiniLM: a sentence as a vector, by a BERT of six layers, the mean of its tokens, and length one.

Source: W. Wang et al., MiniLM, NeurIPS 2020; J. Devlin et al., BERT, NAACL 2019; N. Reimers and I. Gurevych,
Sentence-BERT, EMNLP 2019 (the mean over tokens that are no padding).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sanderling.graph.graph import Model
from sanderling.graph.types import DType
from sanderling.zoo.builders._net import Net
from sanderling.zoo.builders._safetensors import read_safetensors

_TOKENS, _VOCABULARY, _POSITIONS = 128, 30522, 512
_LAYERS, _WIDTH, _HEADS, _INNER = 6, 384, 12, 1536
_DEPTH = _WIDTH // _HEADS
_EPSILON = 1e-12
_HIDDEN = 1e9  # is taken from the scores of padding, of which softmax makes zero


def build(weights: Path) -> Model:
    """Makes the model of its weights.

    Args:
        weights: a safetensors file with Hugging Face's names.

    Returns: input_ids, attention_mask [1,128] int32 → embedding [1,384] of length 1.

    Raises:
        FormatError: the file is damaged.
        KeyError, ValueError: it holds weights of another net.
    """
    return _MiniLM(read_safetensors(weights)).whole()


class _MiniLM(Net):
    """The net; every method takes the index of what goes in and returns that of what comes out."""

    def whole(self) -> Model:
        """Returns: the model."""
        ids = self.input("input_ids", (1, _TOKENS), DType.INT32)
        mask = self.input("attention_mask", (1, _TOKENS), DType.INT32)
        seen = self.add(
            "CAST", (mask,), (1, _TOKENS), "CastOptions", in_data_type="int32", out_data_type="float32"
        )
        seen = self.reshape(seen, 1, _TOKENS, 1)
        x = self.embed(ids)
        hidden = self.arithmetic("SUB", seen, self.number(1.0))
        hidden = self.reshape(self.arithmetic("MUL", hidden, self.number(_HIDDEN)), 1, 1, 1, _TOKENS)
        for number in range(_LAYERS):
            x = self.layer(x, hidden, f"encoder.layer.{number}")
        total = self.reduce("SUM", self.arithmetic("MUL", x, seen), axis=1)
        mean = self.arithmetic("DIV", total, self.reduce("SUM", seen, axis=1))
        found = self.add(
            "L2_NORMALIZATION", (self.reshape(mean, 1, _WIDTH),), (1, _WIDTH), "L2NormOptions",
            fused_activation_function="NONE",
        )  # fmt: skip
        return self.model(
            {"input_ids": ids, "attention_mask": mask}, {"embedding": found}, "all-MiniLM-L6-v2"
        )

    def embed(self, ids: int) -> int:
        """Adds what the tokens and their places stand for; all belong to the first segment."""
        words = self.weights("embeddings.word_embeddings.weight", _VOCABULARY, _WIDTH)
        table = self.constant("word_embeddings", words)
        places = self.weights("embeddings.position_embeddings.weight", _POSITIONS, _WIDTH)[:_TOKENS]
        segment = self.weights("embeddings.token_type_embeddings.weight", 2, _WIDTH)[0]
        x = self.add("GATHER", (table, ids), (1, _TOKENS, _WIDTH), "GatherOptions", axis=0, batch_dims=0)
        x = self.arithmetic("ADD", x, self.constant("places", (places + segment)[None]))
        return self.normalize(x, "embeddings.LayerNorm")

    def layer(self, x: int, hidden: int, name: str) -> int:
        """Adds attention and a layer of two dense ones, each beside a short cut."""
        made = self.linear(self.attend(x, hidden, name), f"{name}.attention.output.dense", _WIDTH, _WIDTH)
        x = self.normalize(self.arithmetic("ADD", made, x), f"{name}.attention.output.LayerNorm")
        inner = self.linear(x, f"{name}.intermediate.dense", _INNER, _WIDTH)
        inner = self.add("GELU", (inner,), (1, _TOKENS, _INNER), "GeluOptions", approximate=False)
        made = self.linear(inner, f"{name}.output.dense", _WIDTH, _INNER)
        return self.normalize(self.arithmetic("ADD", made, x), f"{name}.output.LayerNorm")

    def attend(self, x: int, hidden: int, name: str) -> int:
        """Adds attention with several heads."""
        shape = (1, _HEADS, _TOKENS, _DEPTH)
        query, key, value = (
            self.transpose(
                self.reshape(self.project(x, f"{name}.attention.self", part), 1, _TOKENS, _HEADS, _DEPTH)
            )
            for part in ("query", "key", "value")
        )
        options = {"asymmetric_quantize_inputs": False, "adj_x": False}
        pairs = (1, _HEADS, _TOKENS, _TOKENS)
        scores = self.add("BATCH_MATMUL", (query, key), pairs, "BatchMatMulOptions", adj_y=True, **options)
        scores = self.arithmetic("ADD", scores, hidden)
        shares = self.add("SOFTMAX", (scores,), pairs, "SoftmaxOptions", beta=1.0)
        mixed = self.add("BATCH_MATMUL", (shares, value), shape, "BatchMatMulOptions", adj_y=False, **options)
        return self.reshape(self.transpose(mixed), 1, _TOKENS, _WIDTH)

    def project(self, x: int, name: str, part: str) -> int:
        """Adds a query, key or value; the scores' scale is the query's."""
        scale = np.float32(_DEPTH**-0.5 if part == "query" else 1.0)
        matrix = self.weights(f"{name}.{part}.weight", _WIDTH, _WIDTH) * scale
        return self.dense(x, matrix, self.weights(f"{name}.{part}.bias", _WIDTH) * scale, f"{name}.{part}")

    def linear(self, x: int, name: str, out: int, taken: int) -> int:
        """Adds a dense layer of stored weights."""
        return self.dense(
            x, self.weights(f"{name}.weight", out, taken), self.weights(f"{name}.bias", out), name
        )

    def normalize(self, x: int, name: str) -> int:
        """Adds a layer normalization."""
        centred = self.arithmetic("SUB", x, self.reduce("MEAN", x, axis=2))
        spread = self.reduce("MEAN", self.arithmetic("MUL", centred, centred), axis=2)
        spread = self.arithmetic("ADD", spread, self.number(_EPSILON))
        gain = self.add("RSQRT", (spread,), self.tensors[spread].shape)
        scale, shift = (
            self.constant(f"{name}.{each}", self.weights(f"{name}.{each}", _WIDTH))
            for each in ("weight", "bias")
        )
        x = self.arithmetic("MUL", self.arithmetic("MUL", centred, gain), scale)
        return self.arithmetic("ADD", x, shift)

    def arithmetic(self, kind: str, a: int, b: int) -> int:
        """Adds ADD, SUB, MUL or DIV, whose operands broadcast."""
        shape = np.broadcast_shapes(self.tensors[a].shape, self.tensors[b].shape)
        options = f"{kind.capitalize()}Options"
        return self.add(kind, (a, b), shape, options, fused_activation_function="NONE")

    def reduce(self, kind: str, x: int, axis: int) -> int:
        """Adds SUM or MEAN over an axis, which stays with size 1."""
        shape = tuple(1 if i == axis else size for i, size in enumerate(self.tensors[x].shape))
        return self.add(kind, (x, self.integers(axis)), shape, "ReducerOptions", keep_dims=True)

    def reshape(self, x: int, *shape: int) -> int:
        """Adds a RESHAPE."""
        return self.add("RESHAPE", (x, self.integers(*shape)), shape, "ReshapeOptions", new_shape=shape)

    def transpose(self, x: int) -> int:
        """Adds a TRANSPOSE of the second and third of four axes."""
        n, a, b, c = self.tensors[x].shape
        return self.add("TRANSPOSE", (x, self.integers(0, 2, 1, 3)), (n, b, a, c), "TransposeOptions")

    def number(self, value: float) -> int:
        """Adds a constant of one number."""
        return self.constant(f"number_{len(self.tensors)}", np.array([value], np.float32))
