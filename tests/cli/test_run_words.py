"""``sanderling run`` on sentences and sounds, typed as a user types them."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from sanderling.cli import main
from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import DType, TensorType
from tests.models import Net, save

WORDS = ("[PAD]", "[UNK]", "bird", "gull", "sea", "shore")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A model that looks up a vector for each token, with its tokenizer beside it."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    rng = np.random.default_rng(0)
    table = rng.standard_normal((len(WORDS), 32)).astype(np.float32)
    table[3], table[5] = table[2] + 0.1 * table[3], table[4] + 0.1 * table[5]  # alike: bird, gull; sea, shore
    tensors = (
        Tensor("input_ids", TensorType((1, 6), DType.INT32)),
        Tensor("attention_mask", TensorType((1, 6), DType.INT32)),
        Tensor("table", TensorType(table.shape, DType.FLOAT32), table),
        Tensor("tokens", TensorType((1, 6, 32), DType.FLOAT32)),
        Tensor("seen", TensorType((1, 6), DType.INT32)),
    )
    nodes = (
        Node("GATHER", (2, 0), (3,), {"axis": 0, "batch_dims": 0}, "GatherOptions"),
        Node("ADD", (1, 1), (4,), {"fused_activation_function": "NONE"}, "AddOptions"),
    )
    names = {"input_ids": 0, "attention_mask": 1}
    signature = Signature("serving_default", tuple(names.items()), (("tokens", 3), ("seen", 4)))
    model = Model((Graph(tensors, nodes, (0, 1), (3, 4)),), (signature,))
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    return save(model, tmp_path / "encoder.tflite")


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
