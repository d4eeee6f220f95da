"""Sentences through a tokenizer.json, whatever the file holds."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.errors import SampleError
from sanderling.graph.types import DType
from sanderling.samples.inputs import model_inputs
from sanderling.samples.load import load_samples
from sanderling.samples.tokens import roles_of, tokens_of
from tests.samples.models import model, tensor

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "bird", "runs", "along", "sea"]


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def bert(length: int = 8, names: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids")):
    return model(*(tensor(name, (1, length), DType.INT32) for name in names))


def test_lines_become_padded_and_cut_tokens(tokenizer: Path, tmp_path: Path) -> None:
    text = tmp_path / "s.txt"
    text.write_text("the bird runs\n\n  the sea the sea the sea the sea  \nnobody\n", encoding="utf-8-sig")
    samples = load_samples(text, bert(), tokenizer=tokenizer, labels=[1, 0, 1])
    assert len(samples) == 3
    assert samples.origin == "3 sentences of s.txt"
    assert samples.name_of(1) == '2: "the sea the sea the sea the sea"'
    assert samples.label(2) == 1
    first = samples[0]
    assert first["input_ids"].tolist() == [[2, 4, 5, 6, 3, 0, 0, 0]]
    assert first["attention_mask"].tolist() == [[1, 1, 1, 1, 1, 0, 0, 0]]
    assert first["token_type_ids"].tolist() == [[0] * 8]
    assert first["input_ids"].dtype == np.int32
    # Cut within the length, the last special token kept.
    assert samples[1]["input_ids"].tolist() == [[2, 4, 8, 4, 8, 4, 8, 3]]
    assert any("1 of 3 sentences fill all 8 tokens" in note for note in samples.notes)
    there = pickle.loads(pickle.dumps(samples.read))
    assert there(2)["input_ids"].tolist() == [[2, 1, 3, 0, 0, 0, 0, 0]]


def test_sentences_in_memory_and_models_of_any_length(tokenizer: Path) -> None:
    free = model(tensor("ids", (1, 1), DType.INT64, signature=(1, -1)))
    samples = load_samples(["the bird", "sea"], free, tokenizer=tokenizer.parent)
    assert samples[0]["ids"].tolist() == [[2, 4, 5, 3]]
    assert samples[1]["ids"].tolist() == [[2, 8, 3]]
    other = load_samples(["the bird", "bird"], free, tokenizer=tokenizer.parent)
    assert samples.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    "names, roles",
    [
        (("input_word_ids", "input_mask", "input_type_ids"), ("ids", "mask", "types")),
        (("serving_default_segment_ids:0", "serving_default_input_ids:0"), ("types", "ids")),
        (("tokens",), ("ids",)),
        (("position_ids", "input_ids"), ("positions", "ids")),
        (("args_0", "args_1", "args_2"), ("ids", "mask", "types")),
    ],
)
def test_what_inputs_take(names: tuple[str, ...], roles: tuple[str, ...]) -> None:
    found = roles_of(model_inputs(bert(names=names)))
    assert found is not None
    assert found[0] == roles
    assert ("GUESS" in found[1]) == names[0].startswith("args")


def test_what_cannot_be_read_is_told(tokenizer: Path, tmp_path: Path) -> None:
    text = tmp_path / "in" / "s.txt"
    text.parent.mkdir()
    text.write_text("the bird\n")
    with pytest.raises(SampleError, match=r"no tokenizer\.json beside it; give --tokenizer"):
        load_samples(text, bert())
    with pytest.raises(SampleError, match="no such tokenizer"):
        load_samples(text, bert(), tokenizer=tmp_path / "none")
    with pytest.raises(SampleError, match=r"takes token ids \[1,N\], this one takes 'x' float32"):
        load_samples(text, model(tensor("x", (1, 8, 8, 3))), tokenizer=tokenizer)
    bad = tmp_path / "bad.json"
    whole = json.loads(tokenizer.read_text())
    for content in (
        b"", b"{}", b"[" * 100_000, b"\xff\xfe", json.dumps({**whole, "padding": 3}).encode(),
        json.dumps({**whole, "truncation": {"max_length": -1}}).encode(),
        json.dumps({**whole, "model": {"type": "Magic"}}).encode(), tokenizer.read_bytes()[:-40],
    ):  # fmt: skip
        bad.write_bytes(content)
        with pytest.raises(SampleError, match=r"bad\.json: is no tokenizer"):
            load_samples(text, bert(), tokenizer=bad)
    for content, words in ((b"\n \n", "holds no sentences"), (b"\xff\xfe\x00", "cannot be read as text")):
        text.write_bytes(content)
        with pytest.raises(SampleError, match=words):
            load_samples(text, bert(), tokenizer=tokenizer)


def test_a_tokenizer_beside_the_model_is_found(tokenizer: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    net = replace(bert(), source=tmp_path / "m.tflite")
    assert load_samples(["sea"], net)[0]["input_ids"][0, 1] == 8
    own = tokenizer.rename(tmp_path / "m.tokenizer.json")
    assert load_samples(["sea"], net)[0]["input_ids"][0, 1] == 8
    assert own.is_file()


@given(st.text(max_size=200), st.integers(3, 12))
def test_any_text_fits(tmp_path_factory: pytest.TempPathFactory, text: str, length: int) -> None:
    from tokenizers import Tokenizer, models

    path = tmp_path_factory.getbasetemp() / "any.json"
    if not path.exists():
        Tokenizer(models.WordLevel({"a": 0, "?": 1}, unk_token="?")).save(str(path))
    tokens = tokens_of(path, text, length)
    assert tokens.ids.shape == tokens.mask.shape == tokens.types.shape == (length,)
    assert set(tokens.mask.tolist()) <= {0, 1}
