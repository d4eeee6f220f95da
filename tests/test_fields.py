"""Settings as data: what a type says is what is accepted, whatever somebody writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling import fields
from sanderling.errors import UsageError


@dataclass(frozen=True)
class Inner:
    size: int
    shift: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Outer:
    name: str
    share: float = 0.5
    mode: Literal["a", "b"] = "a"
    inner: Inner | None = None
    several: tuple[float, ...] = ()
    on: bool = False


finite = st.floats(-1e29, 1e29)
outers = st.builds(
    Outer, st.text(), finite, st.sampled_from(["a", "b"]),
    st.none() | st.builds(Inner, st.integers(-(10**9), 10**9), st.tuples(finite, finite)),
    st.lists(finite, max_size=3).map(tuple), st.booleans(),
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(outers)
def test_json_both_ways(outer: Outer) -> None:
    data = json.loads(json.dumps(fields.to_json(outer)))
    assert fields.build(Outer, data, "here") == outer
    assert "name" in data  # what has no default is always there


def built(data: dict[str, Any]) -> Outer | UsageError:
    try:
        return fields.build(Outer, data, "here")
    except UsageError as error:
        return error


@given(st.dictionaries(st.sampled_from([*fields.hints(Outer), "nobody"]), anything, max_size=4))
def test_what_does_not_fit_is_one_sentence(data: dict[str, Any]) -> None:
    found = built(data)
    if isinstance(found, UsageError):
        assert found.where.startswith("here")
        assert "\n" not in str(found)
        assert len(str(found)) < 300
    else:
        assert isinstance(found.share, float)
        assert abs(found.share) < 1e30
        assert isinstance(found.name, str)
        assert isinstance(found.on, bool)


def test_words_of_a_command_line_are_values() -> None:
    words = {"name": "x", "share": "0.25", "inner": {"size": "3", "shift": "1,2"}, "on": "yes"}
    assert fields.build(Outer, words, "--x") == Outer("x", 0.25, inner=Inner(3, (1.0, 2.0)), on=True)


@pytest.mark.parametrize(
    "content, sentence",
    [("{", "is not JSON"), ("[" * 100_000, "is not JSON"), (" " * 2000, "is larger than")],
)
def test_files_are_bounded(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=sentence):
        fields.read_json(path, 1000 if content.isspace() else 1 << 20)
