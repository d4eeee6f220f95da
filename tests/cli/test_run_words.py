"""``sanderling run`` on sentences and sounds, typed as a user types them."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from sanderling.cli import main
from tests.models import Net, save, token_encoder


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return token_encoder(tmp_path)


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(each) for each in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_sentences_are_compared(encoder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "run", encoder, "bird", "gull gull", "sea", "--json")
    assert code == 0
    (answer,) = json.loads(out)["answers"]
    table = np.array(answer["answer"]["similarity"])
    assert table[0, 1] > 0.9 > 0.5 > abs(table[0, 2])
    # Padding is left out: a word alone is the word twice.
    code, out, _ = told(capsys, "run", encoder, "gull", "gull gull gull", "--json")
    assert json.loads(out)["answers"][0]["answer"]["similarity"][0][1] == pytest.approx(1, abs=1e-6)


def test_a_file_of_sentences(encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("bird\nsea\n")
    code, out, _ = told(capsys, "run", encoder, lines)
    assert code == 0
    assert "1  bird" in out
    code, out, _ = told(capsys, "diff", encoder, encoder, "--samples", lines)
    assert code == 0
    (tmp_path / "tokenizer.json").unlink()
    code, _, err = told(capsys, "run", encoder, "bird")
    assert code != 0
    assert "no tokenizer.json beside it; give --tokenizer" in err.replace("\n", " ")


def test_sounds_are_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = Net((1, 640)).dense(4).softmax().model()
    path = save(net, tmp_path / "four.tflite")
    sound = np.random.default_rng(1).standard_normal(16000) * 3000
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(sound.astype("<i2").tobytes())
    drawn = tmp_path / "a.png"
    code, out, _ = told(
        capsys,
        "run",
        path,
        tmp_path / "a.wav",
        "--front-end",
        "mlperf-tiny-anomaly",
        "--hop",
        "100ms",
        "-o",
        drawn,
    )
    assert code == 0
    assert out
    assert drawn.is_file()
    code, _, err = told(capsys, "run", path, tmp_path / "a.wav", "--front-end", "simple-audio")
    assert code != 0
    assert "frames of 129 values, which do not fit" in err.replace("\n", " ")
    code, _, err = told(capsys, "run", path, tmp_path / "a.wav", "--tokenizer", "x.json")
    assert code == 2
    assert "the model takes no text" in err
