"""Processes that are really killed: what was in a finished part is neither lost nor answered again."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

import sanderling as sd
from sanderling.predict.parts import Parts, indices
from tests.pipeline.nets import disc, red_or_not

COUNT = 60
OPTIONS = ["--task", "classify:mean=0,std=255", "--engine", "litert"]
# Small parts, a log of what is opened, and time to be killed in.
PROGRAM = """
import sys, time
from sanderling.predict import writing
from sanderling.predict.listing import Files
from sanderling.cli import main

log, writing._ROWS = sys.argv.pop(1), 4
opened = Files.open

def slowly(self, index):
    with open(log, "a") as file:
        file.write(f"{index}\\n")
    time.sleep(0.02)
    return opened(self, index)

Files.open = slowly
sys.exit(main())
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    root.mkdir()
    for number in range(COUNT):
        image = disc() if number % 3 else Image.new("RGB", (40, 40), (9, 9, number))
        image.save(root / f"{number:03}.png")
    return root


def start(tmp_path: Path, model: Path, pictures: Path, *more: str) -> tuple[subprocess.Popen[str], Path]:
    """Returns: a process that answers into out.parquet, and the log of what it opens."""
    log = tmp_path / f"log-{time.monotonic_ns()}"
    log.touch()
    arguments = ["predict", str(model), str(pictures), "-o", str(tmp_path / "out.parquet"), *OPTIONS, *more]
    source = str(Path(__file__).parents[2] / "src")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(log), *arguments], text=True, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    return process, log


def wait_for(parts: Parts, count: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not parts.folder.is_dir() or len(parts.done()) < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.005)


def test_killed_at_any_moment(tmp_path: Path, pictures: Path) -> None:
    model, parts, rng = red_or_not(tmp_path), Parts(tmp_path / "out.parquet"), random.Random(0)
    for kills in range(3):
        before = set(indices(parts.done())) if parts.folder.is_dir() else set()
        process, log = start(tmp_path, model, pictures)
        wait_for(parts, len(before) // 4 + 2, process)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        opened = set(map(int, log.read_text().split()))
        if kills:  # the first looks at a few to find out what the model is for
            assert not opened & before
        assert len(indices_of := list(indices(parts.done()))) == len(set(indices_of)) < COUNT
        assert set(indices_of) > before
    before = set(indices(parts.done()))
    process, log = start(tmp_path, model, pictures)
    assert process.wait(120) == 0, process.communicate()
    process.communicate()
    assert sorted(map(int, log.read_text().split())) == sorted(set(range(COUNT)) - before)
    whole = sd.predict(
        model, pictures, tmp_path / "whole.parquet", task="classify:mean=0,std=255", engine="litert"
    )
    assert pq.read_table(tmp_path / "out.parquet").equals(pq.read_table(whole.output))
    assert not parts.folder.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
@pytest.mark.parametrize("sent, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_says_how_to_go_on(
    tmp_path: Path, pictures: Path, sent: signal.Signals, code: int
) -> None:
    model, parts = red_or_not(tmp_path), Parts(tmp_path / "out.parquet")
    process, _ = start(tmp_path, model, pictures, "--again")
    wait_for(parts, 2, process)
    process.send_signal(sent)
    _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    line = err.strip().splitlines()[-1]
    kept, _, typed = line.partition("go on with: ")
    done = len(list(indices(parts.done())))
    assert f"interrupted: {done} of {COUNT} answers are kept" in kept
    words = shlex.split(typed)
    assert words[:2] == ["sanderling", "predict"]
    assert "--again" not in words
    from sanderling.cli import main

    assert main(words[1:]) == 0
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == COUNT


def test_ended_between_the_table_and_the_end_of_its_parts(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, out = red_or_not(tmp_path), tmp_path / "out.parquet"

    def ended(self: Parts) -> None:
        raise SystemExit

    monkeypatch.setattr(Parts, "remove", ended)
    settings = {"task": "classify:mean=0,std=255", "engine": "litert"}
    with pytest.raises(SystemExit):
        sd.predict(model, pictures, out, **settings)
    monkeypatch.undo()
    first = pq.read_table(out)
    done = sd.predict(model, pictures, out, **settings)
    assert (done.before, done.plan) == (COUNT, "nothing was left to answer")
    assert pq.read_table(out).equals(first)
    assert not Parts(out).folder.exists()
