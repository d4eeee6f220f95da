"""``convert -o model.onnx``: a ``.tflite`` as ONNX, compared on ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling.cli import main
from sanderling.convert.proof import litert, prove
from sanderling.samples.load import load_samples
from sanderling.tflite import read
from tests.models import classifier, save


def test_it_answers_alike_and_comes_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save(classifier(), tmp_path / "net.tflite")
    assert main(["convert", str(source), "-o", str(tmp_path / "net.onnx"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert told["proof"]["engine"].startswith("ONNX Runtime")
    back = sd.convert(tmp_path / "net.onnx", tmp_path / "back.tflite")
    assert back.ok
    assert not [node.op for node in back.model.main.nodes if node.op == "TRANSPOSE"]
    shape = back.model.main.tensors[back.model.main.inputs[0]].shape
    x = np.random.default_rng(0).random(shape, np.float32)
    ours, theirs = (sd.Session(path, engine="litert")(x) for path in (source, tmp_path / "back.tflite"))
    np.testing.assert_allclose(np.ravel(ours), np.ravel(theirs), atol=1e-5)


def test_a_live_model_and_wishes_are_refused(tmp_path: Path) -> None:
    source = save(classifier(), tmp_path / "net.tflite")
    with pytest.raises(sd.UsageError, match="is written as it is"):
        sd.convert(source, tmp_path / "net.onnx", layout="nhwc")
    with pytest.raises(sd.UsageError, match=r"convert the live model to a \.tflite first"):
        sd.convert(object(), tmp_path / "net.onnx")
    with pytest.raises(sd.UsageError, match=r"ends in \.tflite or \.onnx"):
        sd.convert(source, tmp_path / "net.pb")


def test_nothing_is_written_where_both_differ(tmp_path: Path) -> None:
    source = save(classifier(), tmp_path / "net.tflite")
    done = sd.convert(source, tmp_path / "net.onnx", tolerance=0.0, strict=False)
    assert not done.ok
    assert sorted(each.name for each in tmp_path.iterdir()) == ["net.tflite"]


def test_twice_what_the_source_kernels_differ_by_is_allowed(tmp_path: Path) -> None:
    source = save(classifier(), tmp_path / "net.tflite")
    model = read(source)
    samples = load_samples(None, model, count_synthetic=2)
    with litert(source) as run:
        scale = max(float(np.abs(run([samples[i][model.input_names()[0]]])[0]).max()) for i in range(2))
        proof = prove(model, run, run, samples, other=lambda x: [each + np.float32(0.01) for each in run(x)])
    assert proof.tolerance == pytest.approx(0.02 / scale, rel=1e-3)
