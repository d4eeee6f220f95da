"""Text: sentences through the model's ``tokenizer.json``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sanderling.errors import SampleError
from sanderling.graph.graph import Model
from sanderling.samples.inputs import Input, fit, model_inputs
from sanderling.samples.sentences import read_lines
from sanderling.samples.tokens import find_tokenizer, roles_of, tokens_of
from sanderling.tasks.input_kind import Fed, InputKind, Part

Texts = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextInput:
    """What of a sentence an input takes.

    Attributes:
        role: token ids, the attention mask, segment ids, or positions; "" as the input's name tells.
        tokenizer: a ``tokenizer.json`` or its folder; "" for the one beside the model.
    """

    role: Literal["", "ids", "mask", "types", "positions"] = ""
    tokenizer: str = ""


def _recognise(model: Model, position: int, spec: Input) -> TextInput | None:
    found = roles_of(model_inputs(model))
    return None if found is None else TextInput(found[0][position])


def _complete(
    settings: TextInput, model: Model, position: int, spec: Input, opened: Sequence[Any], run: Any
) -> tuple[TextInput, tuple[str, ...]]:
    path = find_tokenizer(model, settings.tokenizer or None)
    found = roles_of(model_inputs(model))
    role, note = (settings.role, "") if settings.role or found is None else (found[0][position], found[1])
    return replace(settings, role=role or "ids", tokenizer=str(path)), (
        note,
    ) if note and not position else ()


def _parts(raw: str | Texts, settings: TextInput, spec: Input, where: str) -> list[Part]:
    return [Part(text) for text in ((raw,) if isinstance(raw, str) else raw)]


def _feed(raw: str | Texts, settings: TextInput, spec: Input, where: str) -> Fed:
    text = raw if isinstance(raw, str) else raw[0]
    if not settings.tokenizer or len(spec.body) != 1:
        raise SampleError(f"input {spec.name!r} takes {spec}, which are no tokens", where=where)
    row = tokens_of(Path(settings.tokenizer), text, spec.dims[-1]).of(settings.role or "ids")
    return Fed(fit(row[None] if spec.batched else row, spec, where))


KIND = InputKind(
    "text",
    "texts (.txt)",
    TextInput,
    frozenset({".txt"}),
    _recognise,
    read_lines,
    _feed,
    _parts,
    _complete,
    rank=30,
)
