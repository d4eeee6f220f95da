"""Keyword spotting: words, a front end, a small network, and what is heard in a recording.

    pip install 'sanderling[keras]'
    python examples/keyword_spotting.py

The "words" are made up, so that nothing has to be downloaded: tones that rise, fall, bend or flutter, in
noise. With recordings of real words in their place, the rest stays as it is.
"""

from __future__ import annotations

import argparse
import os
import wave
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")  # read when keras is imported

import keras
import numpy as np

import sanderling as sd
from sanderling.samples.features import Log, Mel, Spectral, to_json

SEED, RATE = 5, 16000
WORDS = ("rise", "fall", "bend", "flutter")
LABELS = ("_silence_", *WORDS)

# 49 frames of 32 log-mel bands of one second. It goes with the model, as JSON, wherever that is used.
FRONT_END = Spectral(
    "words", RATE, window=480, hop=320, fft=512, mel=Mel(32, 100.0, 7000.0), log=Log(offset=1e-4), clip=RATE
)


def spoken(word: str, rng: np.random.Generator) -> np.ndarray:
    """Returns: a word, about half a second of samples."""
    count = int(RATE * rng.uniform(0.35, 0.6))
    t = np.arange(count) / count
    low, ratio = rng.uniform(300, 600), rng.uniform(3, 5)
    bends = {
        "rise": ratio**t,
        "fall": ratio ** (1 - t),
        "bend": ratio ** np.abs(2 * t - 1),
        "flutter": 1 + 0.25 * np.sign(np.sin(2 * np.pi * 6 * t)),
    }
    phase = 2 * np.pi * np.cumsum(low * bends[word]) / RATE
    voice = sum(np.sin(k * phase) / k for k in (1, 2, 3))
    return rng.uniform(0.1, 0.5) * np.sqrt(np.hanning(count)) * voice


def second(label: str, rng: np.random.Generator) -> np.ndarray:
    """Returns: a second of noise, with the word somewhere in it."""
    sound = rng.uniform(0.002, 0.03) * rng.standard_normal(RATE)
    if label in WORDS:
        word = spoken(label, rng)
        start = rng.integers(0, RATE - len(word))
        sound[start : start + len(word)] += word
    return sound


def examples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns: features [count,49,32,1] and class numbers [count]."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, len(LABELS), count)
    features = [FRONT_END(second(LABELS[each], rng).astype(np.float32)) for each in classes]
    return np.stack(features)[..., None], classes


def build(features: np.ndarray) -> keras.Model:
    """Returns: a small DS-CNN (depthwise-separable convolutions): features → probabilities."""
    layers = keras.layers

    def settled() -> list[keras.Layer]:
        return [layers.BatchNormalization(momentum=0.8), layers.ReLU()]

    mean, std = float(features.mean()), float(features.std())
    net = [layers.Rescaling(1 / std, -mean / std), layers.Conv2D(24, (5, 4), 2, "same"), *settled()]
    for _ in range(2):
        net += [layers.DepthwiseConv2D(3, 1, "same"), *settled(), layers.Conv2D(24, 1), *settled()]
    net += [layers.GlobalAveragePooling2D(), layers.Dense(len(LABELS), "softmax")]
    return keras.Sequential([keras.Input(features.shape[1:]), *net])


def record(path: Path, said: tuple[str, ...]) -> None:
    """Writes a WAV in which these words are said, one every 1.2 seconds."""
    rng = np.random.default_rng(SEED + 2)
    sound = 0.005 * rng.standard_normal(int(RATE * 1.2 * (len(said) + 0.5)))
    for i, word in enumerate(said):
        voice = spoken(word, rng)
        start = int(RATE * (0.4 + 1.2 * i))
        sound[start : start + len(voice)] += voice
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.clip(np.rint(sound * 32767), -32768, 32767).astype("<i2").tobytes())


def main() -> None:
    """Trains, converts, and listens."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=800, help="seconds of sound to train on")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("keywords"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(SEED)
    features, classes = examples(asked.clips, SEED)
    net = build(features)
    net.compile("adam", "sparse_categorical_crossentropy")
    net.optimizer.learning_rate = 0.005
    net.fit(features, classes, batch_size=32, epochs=asked.epochs, verbose=0)

    others, right = examples(200, SEED + 1)
    path = asked.out / "words.tflite"
    sd.convert(net, path, samples=others[:32])
    session = sd.Session(path)
    answers = np.array([np.argmax(session(each[None])) for each in others])
    share = np.mean(answers == right)
    print(f"{path}: {path.stat().st_size / 1024:.0f} kB, right on {share:.1%} of {len(right)}")

    said = ("rise", "flutter", "fall", "bend", "rise")
    record(asked.out / "recording.wav", said)
    task = {
        "task": "spot",
        "inputs": [{"kind": "sound", "front_end": to_json(FRONT_END), "hop": 0.1}],
        "labels": list(LABELS),
    }
    print(f"said:  {', '.join(said)}")
    for heard in sd.run(path, asked.out / "recording.wav", task=task):
        print(heard.text)
        print(f"drawn: {heard.save(asked.out / 'recording.png')}")


if __name__ == "__main__":
    main()
