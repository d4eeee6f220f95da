"""Damaged models through the command line: the small version of benchmarks/damaged_files.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.damage import KINDS, anatomy
from sanderling import tflite, zoo
from sanderling.cli import main
from sanderling.errors import ModelError, RunError, WorkerError
from sanderling.graph.graph import Model
from sanderling.search.bench import Bench, Run
from tests.models import classifier, save


@pytest.mark.parametrize("kind", KINDS)
def test_analyze_answers_or_says_why_not(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = zoo.describe("digits").model.read_bytes()
    parts = anatomy(whole)
    rng = np.random.default_rng(sum(kind.encode()))
    file = tmp_path / "damaged.tflite"
    for _ in range(12):
        file.write_bytes(KINDS[kind](whole, parts, rng))
        code = main(["analyze", str(file), "--json"])
        out, err = capsys.readouterr()
        document = json.loads(out)
        assert code in (0, 1)
        assert ("error" in document) == (code == 1)
        assert err.count("\n") == code, err
        assert "internal error" not in err


def _altered(name: str, value: int) -> Model:
    """The test's classifier with another option of its pooling operator."""
    model = classifier()
    nodes = [
        replace(node, attrs={**node.attrs, name: value}) if node.op == "MAX_POOL_2D" else node
        for node in model.main.nodes
    ]
    return model.with_main(replace(model.main, nodes=tuple(nodes)))


def test_a_model_that_the_engine_hangs_on_ends_the_worker_only(tmp_path: Path) -> None:
    """LiteRT loops over a pooling window of 200 million columns; the next model finds a new worker."""
    hanging = save(_altered("filter_width", 201_326_594), tmp_path / "hanging.tflite")
    sound = save(classifier(), tmp_path / "sound.tflite")
    bench = Bench()
    try:
        with pytest.raises(WorkerError, match=r"did not finish within 1.5 s .* and was stopped"):
            bench.load(Run(hanging), timeout=1.5)
        bench.load(Run(sound))
        answers = bench.answers(Run(sound), [{"x": np.zeros((1, 12, 12, 1), np.float32)}], timeout=30)
        assert answers[0][0].shape == (1, 5)
    finally:
        bench.close()


def test_a_worker_that_crashes_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The process is killed as a crash of the engine would: by a signal, while it loads the model."""
    sound = save(classifier(), tmp_path / "sound.tflite")
    monkeypatch.setattr("sanderling.isolation.client._BOOT", _CRASHING)
    assert main(["optimize", str(sound), "-o", str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    said = "LiteRT cannot run this model: the engine crashed (SIGSEGV) while loading sound.tflite"
    assert err.splitlines()[-1].startswith(f"error: {sound}: {said}")
    assert not (tmp_path / "out").exists()


# The worker as it is, but for its engine, which writes to an address that is not its own.
_CRASHING = """
import ctypes, json, sys
sys.path[:] = json.loads(sys.argv[1])
from sanderling.isolation import worker
from sanderling.measure import serving
def load(path: str, **rest: object) -> None:
    ctypes.string_at(1)
serving.load = load
worker.main(int(sys.argv[2]))
"""


def test_a_name_that_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    file = save(classifier(), tmp_path / "net.tflite")
    data = file.read_bytes()
    place = data.index(b"softmax")
    file.write_bytes(data[:place] + b"\xc2\xff\xfe" + data[place + 3 :])
    tflite.read(file)
    bench = Bench()
    try:
        with pytest.raises((ModelError, RunError), match="is no text in UTF-8"):
            bench.load(Run(file))
    finally:
        bench.close()
