"""``sanderling run``: what is printed, what is written, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from sanderling.cli import main
from tests.pipeline.nets import disc, red_mask, red_or_not

TASK = ["--task", "classify:mean=0,std=255"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures that can be read and one that cannot."""
    root = tmp_path / "pictures"
    (root / "deep").mkdir(parents=True)
    disc().save(root / "a.png")
    disc().save(root / "deep" / "a.jpg")
    (root / "broken.png").write_bytes(b"\x89PNG\r\n")
    return root


def test_one_picture_is_told_and_drawn(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names, out = tmp_path / "names.txt", tmp_path / "new" / "out.png"
    names.write_text("red\nnot red\n")
    picture = str(folder / "a.png")
    given = ["run", str(red_or_not(tmp_path)), picture, *TASK, "--labels", str(names), "-o", str(out)]
    assert main(given) == 0
    printed, err = capsys.readouterr()
    assert printed.splitlines()[0].startswith("red")
    assert "%" in printed
    assert err == ""
    with Image.open(out) as drawn:
        assert drawn.height > 120


def test_a_folder_goes_on_and_the_exit_code_says_so(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["run", str(red_or_not(tmp_path)), str(folder), *TASK, "-o", str(out)]) == 1
    printed, err = capsys.readouterr()
    assert "a.png\n" in printed
    assert "deep/a.jpg\n" in printed
    assert "broken.png: cannot read the image" in err
    assert "2 answered by litert" in err
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png")) == ["a.png", "deep/a.png"]


def test_json_is_one_document(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(red_mask(tmp_path)), str(folder), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["task"]["task"] == "segment"
    assert document["task"]["inputs"] == [{"kind": "image", "mean": [0.0], "std": [255.0]}]
    assert [("answer" in each, "error" in each) for each in document["answers"]].count((True, False)) == 2
    assert any("GUESS" in note for note in document["notes"])


def test_a_json_task_repeats_what_was_found(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What ``--json`` says of the task can be given back to ``--task``, and nothing is guessed any more."""
    picture = str(folder / "a.png")
    assert main(["run", str(red_mask(tmp_path)), picture, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    (tmp_path / "task.json").write_text(json.dumps(first["task"]))
    assert (
        main(["run", str(red_mask(tmp_path)), picture, "--json", "--task", str(tmp_path / "task.json")]) == 0
    )
    second = json.loads(capsys.readouterr().out)
    assert second["notes"] == []
    assert second["answers"][0]["answer"] == first["answers"][0]["answer"]


@pytest.mark.parametrize(
    "arguments, code, sentence",
    [
        (["--task", "clasify"], 2, "--task: there is no task 'clasify'; did you mean 'classify'?"),
        (["--task", "classify:top=-1"], 2, "--task: got top=-1, expected at least 1"),
        (["--engine", "nothere"], 2, "there is no engine 'nothere'"),
        (["--threads", "0"], 2, "--threads: got 0, expected at least 1"),
        (["-o", "x.png"], 2, "there are several answers, and x.png is one file; give a folder"),
        (["--labels", "nothere.txt"], 2, "nothere.txt: cannot be read"),
    ],
)
def test_wrong_options_are_one_sentence(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str],
    arguments: list[str], code: int, sentence: str,
) -> None:  # fmt: skip
    assert main(["run", str(red_mask(tmp_path)), str(folder), *arguments]) == code
    err = capsys.readouterr().err
    assert sentence in err
    assert "Traceback" not in err


def test_inputs_are_never_replaced(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither by name nor by drawing into the folder that the pictures came from."""
    picture = folder / "a.png"
    before = picture.read_bytes()
    model = str(red_or_not(tmp_path))
    assert main(["run", model, str(picture), *TASK, "-o", str(folder / "deep" / ".." / "a.png")]) == 2
    assert "is an input, which the answer would replace" in capsys.readouterr().err
    assert main(["run", model, str(folder), *TASK, "-o", str(folder)]) == 1
    assert picture.read_bytes() == before
    assert (folder / "a-2.png").is_file()


def test_times_are_told(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(red_mask(tmp_path)), str(folder / "a.png"), "--time"]) == 0
    assert "1 answered by litert: " in capsys.readouterr().err
