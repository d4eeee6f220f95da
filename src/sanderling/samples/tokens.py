"""Sentences → token arrays, by a ``tokenizer.json`` (Hugging Face ``tokenizers``)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sanderling.errors import MissingExtra, SampleError
from sanderling.files import expanded
from sanderling.graph.graph import Model
from sanderling.samples.inputs import Input

Role = Literal["ids", "mask", "types", "positions"]
FILE = "tokenizer.json"
MOST_BYTES = 64 << 20
_LONGEST = 512  # of a model that takes any length, where its tokenizer names no limit
# Exporters that drop names keep the order of a Hugging Face model's arguments.
_ORDER: tuple[Role, ...] = ("ids", "mask", "types", "positions")
_WORDS: Mapping[Role, tuple[str, ...]] = {
    "mask": ("mask",),
    "types": ("type", "segment"),
    "positions": ("position",),
    "ids": ("ids", "word", "token", "text", "input"),
}
_PADS = ("[PAD]", "<pad>", "<|padding|>", "<|endoftext|>", "</s>")


def roles_of(inputs: Sequence[Input]) -> tuple[tuple[Role, ...], str] | None:
    """Decides what each input takes: token ids, the attention mask, segment ids or positions.

    Returns: the roles in the inputs' order, and how they were told; None when the inputs are not those of a
    model of text (whole numbers [1,N], as many as there are roles at most).
    """
    wide = all(
        i.dtype.value in ("int32", "int64", "uint32") and not i.is_quantized and len(i.body) == 1
        for i in inputs
    )
    if not inputs or not wide or len(inputs) > len(_ORDER):
        return None
    named = [
        next((r for r, words in _WORDS.items() if any(w in _plain(i.name) for w in words)), None)
        for i in inputs
    ]
    found = tuple(role for role in named if role is not None)
    if len(found) == len(inputs) == len(set(found)) and "ids" in found:
        return found, ""
    listed = ", ".join(f"{i.name!r} takes {role}" for i, role in zip(inputs, _ORDER, strict=False))
    return _ORDER[: len(inputs)], f"GUESS: the inputs' names do not tell: {listed}"


def _plain(name: str) -> str:
    return name.lower().removeprefix("serving_default_").rpartition("/")[2]


def find_tokenizer(model: Model | None, given: str | Path | None) -> Path:
    """Returns: the tokenizer that the user named (a file, or its folder), else the one beside the model.

    Raises:
        SampleError: there is none.
    """
    if given is not None:
        path = expanded(given)
        path = path / FILE if path.is_dir() else path
        if not path.is_file():
            raise SampleError("there is no such tokenizer", where=str(given), hint=f"give a {FILE}")
        return path
    source = Path(model.source) if model is not None and model.source else None
    if source is not None:
        for beside in (source.with_suffix(f".{FILE}"), source.parent / FILE):
            if beside.is_file():
                return beside
    raise SampleError(
        f"sentences need the model's tokenizer, and there is no {FILE} beside it",
        where=str(source or "the model"),
        hint=f"give --tokenizer {FILE}",
    )


@dataclass(frozen=True, slots=True)
class Tokens:
    """One sentence, padded or cut to the model's length. All arrays [length]."""

    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64]
    words: tuple[str, ...]

    def of(self, role: Role) -> npt.NDArray[np.int64]:
        """Returns: the array for one input."""
        if role == "positions":
            return np.arange(self.ids.size)
        arrays: dict[str, npt.NDArray[np.int64]] = {"ids": self.ids, "mask": self.mask, "types": self.types}
        return arrays[role]


def tokens_of(path: Path, sentence: str, length: int) -> Tokens:
    """Tokenizes one sentence.

    Args:
        path: the tokenizer.
        length: of the model's input; −1 takes as many tokens as the sentence has.

    Raises:
        MissingExtra: the package ``tokenizers`` is not installed.
        SampleError: the tokenizer cannot be read.
    """
    tokenizer, pad, most = _loaded(path, path.stat().st_mtime_ns, length)
    encoding = tokenizer.encode(sentence)
    size = length if length > 0 else min(max(len(encoding.ids), 1), most)
    ids = np.full(size, pad, np.int64)
    mask, types = np.zeros(size, np.int64), np.zeros(size, np.int64)
    count = min(len(encoding.ids), size)
    ids[:count], types[:count] = encoding.ids[:count], encoding.type_ids[:count]
    mask[:count] = encoding.attention_mask[:count]
    return Tokens(ids, mask, types, tuple(encoding.tokens[:count]))


@lru_cache(maxsize=4)
def _loaded(path: Path, modified: int, length: int) -> tuple[Any, int, int]:
    """Returns: the tokenizer without its own padding, the id of padding, and the longest sentence."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtra("reading sentences", "text") from error
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SampleError(f"cannot be read ({error.strerror})", where=str(path)) from error
    if len(text) > MOST_BYTES:
        raise SampleError(f"is larger than {MOST_BYTES >> 20} MB, so it is no tokenizer", where=str(path))
    settings = _settings(text, path)
    try:
        tokenizer = Tokenizer.from_str(text.decode("utf-8"))
    except (Exception, SystemExit) as error:  # its errors are bare Exceptions
        raise SampleError(
            f"is no tokenizer ({str(error)[:120]})", where=str(path), hint=f"give the model's {FILE}"
        ) from error
    pad = settings.get("padding") or {}
    found = next((i for name in _PADS if (i := tokenizer.token_to_id(name)) is not None), 0)
    most = int((settings.get("truncation") or {}).get("max_length", _LONGEST))
    tokenizer.no_padding()
    tokenizer.enable_truncation(length if length > 0 else most)
    return tokenizer, int(pad.get("pad_id", found)), most


def _settings(text: bytes, path: Path) -> dict[str, Any]:
    """Returns: the parts of the file that say how to pad and cut.

    Raises:
        SampleError: it is no JSON object, or they are not what they should be.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SampleError(f"is no tokenizer ({str(error)[:120]})", where=str(path)) from error
    found = {name: data.get(name) for name in ("padding", "truncation")} if isinstance(data, dict) else None
    if found is None or not all(value is None or isinstance(value, dict) for value in found.values()):
        raise SampleError("is no tokenizer (its padding or truncation is no object)", where=str(path))
    for part, name in (("padding", "pad_id"), ("truncation", "max_length")):
        number = (found[part] or {}).get(name, 1)
        if not isinstance(number, int) or not 0 <= number < 1 << 31:
            raise SampleError(f"is no tokenizer ({name} is {str(number)[:40]!r})", where=str(path))
    return found
