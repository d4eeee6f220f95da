"""Sentences as samples: one line of a text file each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sanderling.errors import SampleError
from sanderling.graph.graph import Model
from sanderling.samples.inputs import Input, fit
from sanderling.samples.samples import Feed
from sanderling.samples.source import Unpictured, digest, files_identity
from sanderling.samples.tokens import Role, Tokens, find_tokenizer, roles_of, tokens_of

_MOST_BYTES = 256 << 20
_SHOWN = 48


@dataclass(frozen=True, slots=True)
class Sentences(Unpictured):
    """Sentences and the tokenizer that a model was trained with.

    Attributes:
        texts: the sentences.
        origin: what they are, in words.
        inputs, roles: what the model takes, and what of a sentence each input gets.
        tokenizer: the file.
    """

    texts: tuple[str, ...]
    origin: str
    inputs: tuple[Input, ...]
    roles: tuple[Role, ...]
    tokenizer: Path
    notes: tuple[str, ...] = ()
    labels: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def name(self, index: int) -> str:
        text = self.texts[index]
        return f'{index + 1}: "{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"}"'

    def file(self, index: int) -> str:
        return str(index)

    def tokens(self, index: int) -> Tokens:
        """Returns: the sentence as the model sees it.

        Raises:
            SampleError: the tokenizer cannot be read.
        """
        return tokens_of(self.tokenizer, self.texts[index], self._length)

    @property
    def _length(self) -> int:
        return self.inputs[0].dims[-1]

    def feed(self, index: int) -> Feed:
        tokens = self.tokens(index)
        feed: Feed = {}
        for spec, role in zip(self.inputs, self.roles, strict=True):
            row = tokens.of(role)
            feed[spec.name] = fit(row[None] if spec.batched else row, spec, self.name(index))
        return feed

    def raw(self, index: int) -> tuple[Any, ...]:
        return (self.texts[index],)

    def identity(self) -> str:
        return digest(*self.texts, files_identity([self.tokenizer], self.tokenizer.parent))


def read_lines(path: Path) -> tuple[str, ...]:
    """Reads a text file.

    Returns: its lines without those that are empty.

    Raises:
        SampleError: it cannot be read, is no UTF-8 text, or holds no sentences.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SampleError(
                f"is larger than {_MOST_BYTES >> 20} MB", where=str(path), hint="give a part of it"
            )
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SampleError(f"cannot be read as text ({error})", where=str(path)) from error
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not lines:
        raise SampleError("holds no sentences", where=str(path), hint="write one to a line")
    return lines


def sentences(
    texts: Sequence[str],
    origin: str,
    model: Model | None,
    inputs: Sequence[Input],
    tokenizer: str | Path | None,
) -> Sentences:
    """Prepares sentences for a model.

    Args:
        texts: at least one.
        origin: what they are, in words.
        tokenizer: a ``tokenizer.json`` or the folder that holds it, None for the one beside the model.

    Raises:
        SampleError: the model does not take tokens, or there is no tokenizer.
    """
    found = roles_of(inputs)
    lengths = {i.dims[-1] for i in inputs}
    if found is None or len(lengths) != 1:
        raise SampleError(
            "sentences feed a model that takes token ids [1,N], this one takes "
            + ", ".join(f"{i.name!r} {i}" for i in inputs),
            where=origin,
            hint="give an .npz of arrays under the inputs' names, or --preprocess file.py:fn",
        )
    roles, note = found
    path = find_tokenizer(model, tokenizer)
    made = Sentences(tuple(texts), origin, tuple(inputs), roles, path)
    cut = _cut_note(made)
    notes = tuple(n for n in (f"tokens by {path.name}", note, cut) if n)
    return Sentences(made.texts, origin, made.inputs, roles, path, notes)


def _cut_note(made: Sentences) -> str:
    """Returns: a word on sentences that are longer than the input, judged by the first hundred."""
    length = made.inputs[0].dims[-1]
    few = range(min(len(made), 100))
    if length < 0:
        return ""
    full = sum(bool(made.tokens(i).mask.all()) for i in few)
    return (
        f"{full} of {len(few)} sentences fill all {length} tokens of the input and may be cut" if full else ""
    )
