"""The house from end to end, small: from a file to a winner with its proof. Under five seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import sanderling as sd
from sanderling.compress.recipe import Recipe, Step
from tests.models import classifier, run_litert, save


def test_from_a_file_to_a_winner(tmp_path: Path) -> None:
    path = save(classifier(filters=16), tmp_path / "net.tflite")
    samples = np.random.default_rng(1).random((200, 12, 12, 1)).astype(np.float32)

    model = sd.load(path)
    assert [node.op for node in model.main.nodes][:2] == ["CONV_2D", "MAX_POOL_2D"]

    with sd.Session(path) as session:
        np.testing.assert_array_equal(session(samples[:1]), run_litert(path, samples[:1])[0])

    recipe = Recipe("float16 weights", (Step("float16"),))
    result = sd.optimize(
        path,
        samples=samples,
        output=tmp_path / "out",
        max_drop=0.02,
        minimize="size",
        recipe=recipe,
        threads=1,
        seconds=30,
    )
    assert result.best is not None
    assert [trial.status for trial in result.trials] == ["ok", "ok"]
    assert result.best.trial.name == "float16 weights"
    assert result.best.trial.size_bytes < path.stat().st_size * 0.7

    best = json.loads((tmp_path / "out" / "best.json").read_text())
    with sd.Session(tmp_path / "out" / "best.json") as session:
        answers = [int(np.argmax(session(x[None]))) for x in samples[:50]]
    originals = [int(np.argmax(run_litert(path, x[None])[0])) for x in samples[:50]]
    assert np.mean(np.array(answers) == originals) >= 1 - best["budget"]["max_drop"]
    assert "<html" in (tmp_path / "out" / "report.html").read_text()

    found = list(sd.run(tmp_path / "out" / "best.json", list(samples[:50])))
    assert [each.answer.data["classes"][0]["class"] for each in found if each.answer] == answers
