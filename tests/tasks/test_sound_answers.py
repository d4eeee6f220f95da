"""Answers about sounds and sentences: from outputs, and from files through a model."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.errors import UsageError
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import DType, Quant
from sanderling.samples.ear import ear_of
from sanderling.samples.inputs import model_inputs
from sanderling.tasks.answer import Asked, find_task
from sanderling.tasks.pooling import mask_of, pooled
from sanderling.tasks.sound import Waveform, Window
from tests.models import save
from tests.samples.models import model, tensor


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    harmonics = sum(np.sin(2 * np.pi * k * hertz * t) / k**1.5 for k in range(1, 6))
    return 0.3 * harmonics * np.exp(-2 * t) * np.minimum(1, 50 * t)


def write(path: Path, signal: np.ndarray, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.clip(np.rint(signal * 20000), -32768, 32767).astype("<i2").tobytes())
    return path


def windows(shape: tuple[int, ...], seconds: float, labels: tuple[str, ...] = ()) -> list[Asked]:
    """Windows of a noise for a model whose only input has this shape, a quarter of a second apart."""
    spec = model_inputs(model(tensor("x", shape)))[0]
    ear = ear_of(None, spec, hop=0.25)
    assert ear is not None
    noise = np.random.default_rng(0).standard_normal((int(seconds * ear.rate), 1)).astype(np.float32)
    whole = Waveform(noise / 4, ear.rate)
    return [
        Asked(
            ("y",), labels=labels, given={"x": Window(whole, ear, start, None)},
            span=ear.span(start, len(noise), ear.rate),
        )
        for start in ear.starts(len(noise))
    ]  # fmt: skip


def test_words_are_heard_when_they_are_said() -> None:
    asked = windows((1, 49, 10, 1), 4.0)
    scores = np.full((len(asked), 1, 12), 0.02)
    scores[4:7, 0, 9] = 0.9  # yes
    scores[9:, 0, 10] = 0.9  # _silence_
    answer = find_task("classify").together(
        [([row], each) for row, each in zip(scores, asked, strict=True)], find_task("classify").options()
    )
    (line, note) = answer.lines
    assert line == "1.4–2.1 s yes (90%)"
    assert note == "GUESS: the classes' names are those of MLPerf Tiny keyword spotting"
    assert [span["label"] for span in answer.data["spans"]] == ["yes"]
    assert answer.arrays["scores"].shape == (13, 12)
    assert answer.draw is not None
    assert answer.draw(None).size[0] == 1200


def test_one_score_is_what_it_listens_for() -> None:
    spot = find_task("spot")
    asked = windows((1, 16000), 3.0)
    outputs = [[np.array([[0.9 if i in (2, 3, 4) else 0.1]])] for i in range(len(asked))]
    parts = list(zip(outputs, asked, strict=True))
    speech = spot.together(parts, spot.options(label="speech", average=0.0))
    assert speech.lines == ("0.9–1.6 s speech (90%)",)
    quiet = spot.together(parts, spot.options(threshold=0.95, average=0.0))
    assert quiet.lines == ("nothing was heard (most likely heard at 0.5–1.5 s, 90 %)",)
    with pytest.raises(UsageError, match="shares from 0 to 1"):
        spot.options(threshold=3.0)


def test_anomaly_is_the_error_of_what_was_rebuilt() -> None:
    anomaly = find_task("anomaly")
    asked = Asked(("y",), fed={"x": np.ones((1, 32), np.float32)})
    answer = anomaly.answer([np.zeros((1, 32))], anomaly.options(threshold=0.5), asked)
    assert answer.data == {"score": 1.0, "anomaly": True}
    assert answer.lines[0].endswith("an anomaly")
    with pytest.raises(UsageError, match="cannot be compared"):
        anomaly.answer([np.zeros((1, 31))], anomaly.options(), asked)


def test_integers_that_were_fed_are_compared_as_the_real_values_that_they_stand_for() -> None:
    anomaly = find_task("anomaly")
    stored = np.full((1, 32), 5, np.int8)
    asked = Asked(("y",), fed={"x": stored}, quants={"x": Quant.of(0.5, 1)})  # 2.0
    assert anomaly.answer([np.ones((1, 32))], anomaly.options(), asked).data == {"score": 1.0}
    with pytest.raises(UsageError, match="cannot be compared"):
        anomaly.answer([np.ones((1, 32))], anomaly.options(), replace(asked, quants={}))


def test_a_contour_is_heard_where_it_is_sure() -> None:
    pitch = find_task("pitch")
    (asked,) = windows((1, 16000), 1.0)
    hertz, sure = np.full((1, 100), 220.0), np.zeros((1, 100))
    sure[0, 20:60] = 0.9
    answer = pitch.answer([hertz, sure], pitch.options(hertz=0, confidence=1), asked)
    assert answer.lines == ("0.20–0.60 s  220 Hz (A3)",)
    assert answer.draw is not None
    assert answer.draw(None).size[0] == 1200
    window = asked.given["x"]
    mute = replace(window, whole=Waveform(0 * window.whole.signal, window.whole.rate))
    silent = pitch.answer(
        [hertz, sure], pitch.options(hertz=0, confidence=1), replace(asked, given={"x": mute})
    )
    assert silent.lines == ("no voice was heard",)
    with pytest.raises(UsageError, match="not known which outputs"):
        pitch.answer([hertz], pitch.options(), asked)


def test_sentences_are_averaged_without_their_padding() -> None:
    embed = find_task("embed")
    mask = np.array([[1, 1, 0, 0]], np.int32)
    values = np.random.default_rng(1).standard_normal((1, 4, 40))
    near, far = values.copy(), -values
    near[0, 2:] = 1e6  # padding says nothing
    parts = [
        ([table], Asked(("y",), given={"input_ids": text}, fed={"attention_mask": mask}))
        for table, text in ((values, "one"), (near, "two"), (far, "three"))
    ]
    answer = embed.together(parts, embed.options())
    np.testing.assert_allclose(answer.data["similarity"], [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], atol=1e-6)
    assert answer.lines[1].split()[:2] == ["1", "one"]
    expected = values[0, :2].mean(axis=0)
    alone = embed.answer([values], embed.options(), parts[0][1])
    np.testing.assert_allclose(alone.arrays["embedding"], expected / np.linalg.norm(expected), rtol=1e-5)
    nameless = {"a": np.array([[5, 9, 0, 0]]), "b": mask, "c": np.zeros((1, 4))}
    np.testing.assert_array_equal(mask_of(nameless, 4), [1, 1, 0, 0])
    assert not pooled(np.zeros((4, 8)), None).any()


def test_a_melody_is_written_down(zoo_dir: Path, tmp_path: Path) -> None:
    from sanderling.verbs import run

    rate = 44100
    keys = [60, 64, 67, 72, 69]
    melody = np.concatenate([tone(440 * 2 ** ((key - 69) / 12), 0.6, rate) for key in keys])
    path = write(tmp_path / "melody.wav", melody, rate)
    told: list[str] = []
    (answered,) = run(zoo_dir / "tflite" / "basic_pitch.tflite", path, tell=told.append)
    assert answered.answer is not None
    notes = answered.answer.data["notes"]
    assert [note["midi"] for note in notes] == keys
    for i, note in enumerate(notes):
        assert note["start"] == pytest.approx(0.6 * i, abs=0.05)
        assert note["end"] == pytest.approx(0.6 * (i + 1), abs=0.08)
    assert any("22050 Hz" in each for each in told)
    assert answered.save(tmp_path / "melody.png").is_file()


def test_a_wake_word_forgets_the_sound_before(zoo_dir: Path, tmp_path: Path) -> None:
    from sanderling.verbs import run

    noise = 0.05 * np.random.default_rng(2).standard_normal(32000)
    first, second = (write(tmp_path / f"{name}.wav", noise, 16000) for name in "ab")
    path = zoo_dir / "tflite" / "okay_nabu_streaming_int8.tflite"
    one, two = (each.answer.arrays["scores"] for each in run(path, [str(first), str(second)]))
    assert len(one) == 66
    np.testing.assert_array_equal(one, two)


def test_an_anomaly_model_scores_a_hum_alike_in_float_and_int8(zoo_dir: Path, tmp_path: Path) -> None:
    from sanderling.verbs import run

    # int8 cannot hold less than −85 dB: a hum with some noise, as machines make it.
    hum = tone(200, 2.0, 16000) + 0.02 * np.random.default_rng(3).standard_normal(32000)
    path = write(tmp_path / "a.wav", hum, 16000)
    scores = [
        next(run(zoo_dir / "tflite" / f"mlperf_tiny_anomaly_{kind}.tflite", path)).answer.data["score"]
        for kind in ("fp32", "int8")
    ]
    assert scores[1] == pytest.approx(scores[0], rel=0.1)


def test_a_state_that_comes_out_goes_in_again_until_the_sound_ends(tmp_path: Path) -> None:
    from sanderling.verbs import run

    step = np.full((1, 2), 0.1, np.float32)
    tensors = (
        tensor("sound", (1, 1000)),
        tensor("state", (1, 2)),
        tensor("step", (1, 2), data=step),
        tensor("axis", (1,), DType.INT32, data=np.array([1], np.int32)),
        tensor("next", (1, 2)),
        tensor("score", (1, 1)),
    )
    nodes = (
        Node("ADD", (1, 2), (4,), {"fused_activation_function": "NONE"}, "AddOptions"),
        Node("MEAN", (4, 3), (5,), {"keep_dims": True}, "ReducerOptions"),
    )
    path = save(Model((Graph(tensors, nodes, (0, 1), (5, 4)),)), tmp_path / "counts.tflite")
    noise = np.random.default_rng(4).standard_normal(4000) / 10
    sounds = [str(write(tmp_path / f"{name}.wav", noise, 16000)) for name in "ab"]
    for answered in run(path, sounds, sample_rate=16000, task="spot"):
        assert answered.answer is not None, answered.error
        np.testing.assert_allclose(answered.answer.arrays["scores"][:, 0], [0.1, 0.2, 0.3, 0.4], rtol=1e-6)
