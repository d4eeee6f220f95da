"""Hostile models through load, verify, analyze, session: the small version of benchmarks/hardening.py."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.damage import KINDS, anatomy
from benchmarks.hostile_models import CHANGES, write_changed
from sanderling import tflite
from sanderling.errors import FormatError, ModelError
from sanderling.graph.constant import decode
from sanderling.graph.graph import Sparsity, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.runtime.loading import read_model
from tests.models import classifier, save

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="every file gets a fork, and /proc tells its memory")
def test_every_file_is_refused_or_answered(tmp_path: Path) -> None:
    """Crashes, hangs, other exceptions and too much memory all end with 1."""
    models = tmp_path / "models"
    models.mkdir()
    save(classifier(), models / "classifier.tflite")
    count = 2 * (len(KINDS) + len(CHANGES))
    command = [sys.executable, str(ROOT / "benchmarks" / "hardening.py"), "--count", str(count)]
    done = subprocess.run(
        [*command, "--models", str(models), "--seed", "7"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(tmp_path)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{count} files made from 2 models")


@pytest.mark.parametrize("kind", CHANGES)
def test_hostile_models_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(sum(kind.encode()))
    count = 2 if "calls" in kind else 25  # these are slow to write
    refused = 0
    for _ in range(count):
        path = tmp_path / "hostile.tflite"
        write_changed(classifier(), kind, rng, path)
        try:
            read_model(path)
        except ModelError:
            refused += 1
    if kind == "sparse":
        assert refused == count  # LiteRT would follow the indices, or take what is left for dense weights
    else:
        assert refused < count or "calls" in kind


def test_a_vector_that_all_tables_share_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A thousand tensors whose names are one and the same megabyte would take a gigabyte."""
    many = tuple(Tensor(f"t{i}", TensorType((1,), DType.FLOAT32)) for i in range(1000))
    model = classifier()
    model = model.with_main(replace(model.main, tensors=(*model.main.tensors, *many)))
    data = bytearray(save(model, tmp_path / "many.tflite").read_bytes())
    places = anatomy(bytes(data)).leaves
    data += bytes(-len(data) % 4)
    end = len(data)
    data += (1_000_000).to_bytes(4, "little") + b"\1" * 1_000_001
    named = 0
    for place in places:
        target = place + int.from_bytes(data[place : place + 4], "little")
        if data[target + 4 : target + 5] == b"t" and data[target] < 6:  # a name such as t123
            data[place : place + 4] = (end - place).to_bytes(4, "little")
            named += 1
    assert named == 1000
    with pytest.raises(FormatError, match="refers to the same bytes so often"):
        tflite.parse(memoryview(bytes(data)))


def test_more_tables_than_memory_may_be_spent_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    tflite.read(path)
    monkeypatch.setattr(importlib.import_module("sanderling.tflite.flatbuffer"), "FREE_TABLES", 20)
    with pytest.raises(FormatError, match="more tables than its size allows"):
        tflite.read(path)


def test_sparsity_of_no_entries_and_huge_levels() -> None:
    """The first level is empty, so that the product is zero however large the second says it is."""
    levels = ((0, None, None), (2**31 - 1, None, None))
    tensor = Tensor("w", TensorType((2, 3), DType.FLOAT32), np.zeros(6, np.float32))
    with pytest.raises(ModelError, match="more elements than its shape has"):
        decode(replace(tensor, sparsity=Sparsity((0, 1), (), levels)))


def test_a_damaged_archive_is_refused_in_words(tmp_path: Path) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n" * 100)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"cat\ndog\n")
    data[place] ^= 1  # the checksum tells
    path.write_bytes(data)
    model = read_model(path)
    with pytest.raises(FormatError, match=r"the appended file 'labels.txt' is damaged \(Bad CRC-32"):
        tflite.write(model, tmp_path / "again.tflite")
    assert [file.name for file in tmp_path.iterdir()] == ["m.tflite"]


def test_an_archive_of_an_unknown_version_is_none(tmp_path: Path) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "cat\ndog\n")
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02")
    data[place + 6] = 255  # the version needed to unpack it
    path.write_bytes(data)
    assert read_model(path).appended.size == 0
