"""Telling what was given: paths, ``name=path``, sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sanderling.errors import SampleError, UsageError
from sanderling.pipeline.item import Source
from sanderling.pipeline.items import Port, sources
from sanderling.samples.inputs import model_inputs
from sanderling.tasks.input_kind import find_kind
from tests.models import Net


def ports(kind: str, *names: str) -> list[Port]:
    [spec] = model_inputs(Net((1, 8)).model())
    return [Port(replace(spec, name=name), find_kind(kind, "here")) for name in names]


def opened(source: Source) -> object:
    [item] = source.items()
    return item.open()


@pytest.mark.parametrize(
    "sentence", ["the quick brown fox " * 300, "e = m c^2", "~ hello", "~nobody-here/at home", "what\0?"]
)
def test_any_sentence_is_one(sentence: str) -> None:
    [found] = sources(sentence, ports("text", "ids", "mask"))
    assert opened(found) == {"ids": (sentence,), "mask": (sentence,)}
    [named] = sources(f"ids={sentence}", ports("text", "ids"))
    assert opened(named) == {"ids": sentence}


def test_inputs_by_name(tmp_path: Path) -> None:
    [found] = sources(["user=3", "item=1,2.5"], ports("array", "user", "item"))
    assert {name: list(value) for name, value in opened(found).items()} == {"user": [3], "item": [1, 2.5]}  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="there is no input 'usr'; inputs are: user, item"):
        sources("usr=3", ports("array", "user", "item"))
    with pytest.raises(SampleError, match="there is no such file or folder"):
        sources("~nobody-here/a.png", ports("image", "x"))
