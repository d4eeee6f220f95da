"""``sanderling predict``: what is printed, what is written where, the exit codes, what completes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sanderling.cli import main
from tests.pipeline.nets import disc, red_or_not

TASK = ["--task", "classify:mean=0,std=255", "--engine", "litert"]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three pictures that can be read and one that cannot; the working directory is beside them."""
    root = tmp_path / "photos"
    root.mkdir()
    for name in ("a", "b", "d"):
        disc().save(root / f"{name}.png")
    (root / "c.png").write_bytes(b"\x89PNG\r\n")
    monkeypatch.chdir(tmp_path)
    return root


def test_a_folder(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["predict", str(red_or_not(tmp_path)), "photos", *TASK]
    assert main(given) == 0
    out, err = capsys.readouterr()
    assert out.startswith("written: ")
    assert out.rstrip().endswith(" in photos.parquet")
    assert "3 of 4 answered by litert" in err
    assert "no answer: c.png: cannot read the image" in err
    assert pq.read_table("photos.parquet").column("sample").to_pylist() == [
        "a.png",
        "b.png",
        "c.png",
        "d.png",
    ]
    assert main(given) == 0
    assert "3 of 4 answered by litert before" in capsys.readouterr().err
    assert main([*given, "--strict"]) == 1


def test_nothing_could_be_read(tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in photos.iterdir():
        path.write_bytes(b"no")
    assert main(["predict", str(red_or_not(tmp_path)), "photos", *TASK]) == 1
    assert "no answer: 1 more, see the column error" in capsys.readouterr().err
    assert pq.read_table("photos.parquet").column("error").null_count == 0


def test_json_is_one_document(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "o.jsonl"
    out.parent.mkdir()
    (photos / "notes.md").write_text("x")
    assert main(["predict", str(red_or_not(tmp_path)), str(photos), "-o", str(out), *TASK, "--json"]) == 0
    printed, err = capsys.readouterr()
    found = json.loads(printed)
    assert err == ""
    assert (found["output"], found["samples"], found["answered"], found["failed"]) == (str(out), 4, 3, 1)
    assert (found["engine"], found["task"], found["before"]) == ("litert", "classify", 0)
    assert found["per_second"] > 0
    assert found["reason"].startswith(found["plan"])
    assert any("files of other kinds" in note for note in found["notes"])
    assert len(out.read_text().splitlines()) == 4


@pytest.mark.parametrize(
    "more, code, words",
    [
        (["nowhere"], 1, "nowhere: there are no such samples"),
        (
            ["photos", "-o", "x.xls"],
            2,
            "--output: tables ending in '.xls' are not known; give one of .parquet",
        ),
        (["photos", "-o", "no/such/x.parquet"], 0, ""),
        (["photos", "--threads", "0"], 2, "--threads: got 0, expected at least 1"),
        (["photos", "--task", "clasify"], 2, "did you mean 'classify'?"),
        (["photos", "--cluster", "ray://127.0.0.1:1"], 2, "--cluster: got ray://127.0.0.1:1"),
    ],
)
def test_what_can_be_wrong(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: int, words: str
) -> None:
    assert main(["predict", str(red_or_not(tmp_path)), "--engine", "litert", *more]) == code
    assert words in capsys.readouterr().err
    assert not list(tmp_path.glob("**/*.parts"))


def test_one_sentence_for_another_model(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = red_or_not(tmp_path)
    assert main(["predict", str(model), "photos", *TASK]) == 0
    (other := tmp_path / "other").mkdir()
    assert main(["predict", str(red_or_not(other, side=16)), "photos", *TASK]) == 2
    err = capsys.readouterr().err
    assert "photos.parquet: was begun with another model; give another --output, or --again" in err
    assert main(["predict", str(other / model.name), "photos", *TASK, "--again"]) == 0


def test_it_completes(photos: Path) -> None:
    environment = {
        **os.environ, "_SANDERLING_COMPLETE": "complete_bash", "COMP_WORDS": "sanderling predict m.tflite ph",
        "COMP_CWORD": "3", "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
    }  # fmt: skip
    command = [sys.executable, "-m", "sanderling"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "photos/" in found.stdout.split()
