"""A damaged file gives a ModelError or a model, never anything else, and never takes long."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling import passes, tflite
from sanderling.errors import ModelError
from sanderling.graph.show import show
from sanderling.graph.verify import verify
from tests.models import classifier, save


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return save(classifier(), tmp_path_factory.mktemp("m") / "m.tflite").read_bytes()


def look_at(data: bytes) -> bool:
    """Returns: whether the bytes are a model; anything but a ModelError is a failure of the test."""
    start = time.monotonic()
    try:
        model = tflite.parse(memoryview(data))
        verify(model)
        for graph in model.graphs:
            show(graph)
        passes.run(model)
        good = True
    except ModelError:
        good = False
    assert time.monotonic() - start < 5
    return good


@settings(max_examples=300)
@given(st.data())
def test_flipped_bytes(whole: bytes, data: st.DataObject) -> None:
    damaged = bytearray(whole)
    # Most of the file is weights: half of the flips go where the structure is.
    end = len(whole) if data.draw(st.booleans()) else 3000
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    look_at(bytes(damaged))


@settings(max_examples=100)
@given(st.integers(0, 20000))
def test_cut_files(whole: bytes, length: int) -> None:
    look_at(whole[:length])


@settings(max_examples=200)
@given(st.integers(0, 700), st.sampled_from([0, 1, 0xFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x10000]))
def test_hostile_words(whole: bytes, word: int, value: int) -> None:
    damaged = bytearray(whole)
    damaged[word * 4 : word * 4 + 4] = value.to_bytes(4, "little")
    look_at(bytes(damaged))


def test_a_table_that_contains_itself(whole: bytes) -> None:
    damaged = bytearray(whole)
    root = int.from_bytes(damaged[:4], "little")
    vtable = root - int.from_bytes(damaged[root : root + 4], "little", signed=True)
    for slot in range(3, 9):  # every reference of the root points back at the root
        field = int.from_bytes(damaged[vtable + 4 + 2 * slot : vtable + 6 + 2 * slot], "little")
        if field:
            place = root + field
            damaged[place : place + 4] = (2**32 - place + root).to_bytes(8, "little")[:4]
    assert not look_at(bytes(damaged))


def test_real_models_damaged(zoo_dir: Path) -> None:
    rng = np.random.default_rng(0)
    outcomes: list[bool] = []
    for source in sorted((zoo_dir / "tflite").glob("*.tflite")):
        whole = source.read_bytes()
        for _ in range(6):
            damaged = bytearray(whole)
            for place in rng.integers(0, min(len(whole), 60_000), 5):
                damaged[place] = int(rng.integers(0, 256))
            outcomes.append(look_at(bytes(damaged)))
    assert False in outcomes
