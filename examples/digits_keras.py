"""Handwritten digits in Keras, from the first layer to the printed digit. Read it from top to bottom.

    pip install 'sanderling[keras]'
    python examples/digits_keras.py                 # a minute or two; the images come with the package

No TensorFlow is involved. Everything lands in ``digits-keras/``: the network, the converted one, the fastest
version of it, and the report.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")  # read when keras is imported

import keras
import numpy as np
from keras import layers

import sanderling as sd
from sanderling import zoo

options = argparse.ArgumentParser(description="Handwritten digits, from Keras to a finished answer.")
options.add_argument("--epochs", type=int, default=20)
options.add_argument("--seconds", type=float, default=20.0, help="time for the search")
options.add_argument("--output", type=Path, default=Path("digits-keras"))
options = options.parse_args()
options.output.mkdir(parents=True, exist_ok=True)
keras.utils.set_random_seed(7)

# 1. Data: 500 of MNIST's digits and what they show. The last hundred are kept for the test.
with np.load(zoo.samples_path("digits")) as archive:
    images = archive["images"].astype(np.float32)[..., None]  # [N,28,28,1], 0..255
with zoo.labels_path("digits").open(newline="") as file:
    digits = np.array([int(row["label"]) for row in csv.DictReader(file)])
train, test = slice(0, 400), slice(400, 500)

# 2. Define. What the network does to pixels and what it does only while it learns is part of it.
network = keras.Sequential(
    [
        keras.Input((28, 28, 1), name="image"),
        layers.Rescaling(1 / 255),
        layers.RandomTranslation(0.08, 0.08, fill_mode="constant"),
        layers.Conv2D(16, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(10, activation="softmax", name="digit"),
    ]
)

# 3. Train.
network.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
network.fit(images[train], digits[train], batch_size=32, epochs=options.epochs, verbose=2)

# 4. Evaluate.
right = network.predict(images[test], verbose=0).argmax(1) == digits[test]
print(f"Keras: {right.mean():.0%} of {right.size} digits that it never saw")
network.save(options.output / "digits.keras")

# 5. Convert, and prove that both give the same answers.
converted = sd.convert(network, options.output / "digits.tflite", samples=images[test])
print(f"{converted.route}: {converted.proof.sentence()}")

# 6. Optimize: the fastest version that loses at most one answer in a hundred against the original.
result = sd.optimize(
    converted.path, images, labels=digits.tolist(), max_drop=0.01, seconds=options.seconds,
    output=options.output / "optimized",
)  # fmt: skip
print(f"{len(result.trials)} candidates were measured; the report is {result.output / 'report.html'}")
if result.best is None:
    raise SystemExit("no candidate kept the limit: the report names the nearest")
print(f"best: {result.best.trial.name}, {result.best.trial.speedup:.2f}x")

# 7. Run: the winner on the CPU, the network itself on the GPU if there is one.
image = images[test.start][None]
scores = sd.Session(result.best.file)(image)
print(f"CPU: {scores.argmax()} (sure by {scores.max():.0%}); it is {digits[test.start]}")
try:
    scores = sd.Session(converted.path, engine="webgpu")(image)
    print(f"GPU: {scores.argmax()}")
except sd.ModelError as error:
    print(f"GPU: none used: {error}")

# 8. And what it was.
for row in image[0, ::2, :, 0]:
    print("".join(" .:-=+*#%@"[int(pixel / 255 * 9)] for pixel in row))
