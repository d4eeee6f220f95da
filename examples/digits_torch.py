"""Handwritten digits in PyTorch, from the first layer to the printed digit. Read it from top to bottom.

    pip install 'sanderling[torch]'
    python examples/digits_torch.py                 # about a minute; the images come with the package

Everything lands in ``digits-torch/``: the converted network, the fastest version of it, and the report.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from torch import nn

import sanderling as sd
from sanderling import zoo

options = argparse.ArgumentParser(description="Handwritten digits, from PyTorch to a finished answer.")
options.add_argument("--epochs", type=int, default=12)
options.add_argument("--seconds", type=float, default=20.0, help="time for the search")
options.add_argument("--output", type=Path, default=Path("digits-torch"))
options = options.parse_args()
options.output.mkdir(parents=True, exist_ok=True)
torch.manual_seed(7)

# 1. Data: 500 of MNIST's digits and what they show. The last hundred are kept for the test.
with np.load(zoo.samples_path("digits")) as archive:
    images = archive["images"].astype(np.float32)[:, None] / 255  # [N,1,28,28], 0..1
with zoo.labels_path("digits").open(newline="") as file:
    digits = np.array([int(row["label"]) for row in csv.DictReader(file)])
train, test = slice(0, 400), slice(400, 500)

# 2. Define.
network = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 7 * 7, 10), nn.Softmax(dim=1),
)  # fmt: skip

# 3. Train, on images that are newly shifted by up to two pixels in every epoch.
adam = torch.optim.AdamW(network.parameters(), lr=2e-3)
for epoch in range(options.epochs):
    network.train()
    losses = []
    for rows in torch.randperm(400).split(32):
        dy, dx = torch.randint(-2, 3, (2,)).tolist()
        batch = torch.from_numpy(images[train])[rows].roll((dy, dx), (2, 3))
        loss = nn.functional.nll_loss(network(batch).clamp(min=1e-9).log(), torch.from_numpy(digits)[rows])
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    print(f"epoch {epoch + 1}/{options.epochs}: loss {np.mean(losses):.3f}")

# 4. Evaluate.
network.eval()
with torch.no_grad():
    right = network(torch.from_numpy(images[test])).argmax(1).numpy() == digits[test]
print(f"PyTorch: {right.mean():.0%} of {right.size} digits that it never saw")

# 5. Convert, and prove that both give the same answers. Images come with channels last from here on.
converted = sd.convert(
    network, options.output / "digits.tflite", example=images[:1], layout="nhwc",
    samples=images[test].transpose(0, 2, 3, 1),
)  # fmt: skip
print(f"{converted.route}: {converted.proof.sentence()}")

# 6. Optimize: the fastest version that loses at most one answer in a hundred against the original.
result = sd.optimize(
    converted.path, images.transpose(0, 2, 3, 1), labels=digits.tolist(), max_drop=0.01,
    seconds=options.seconds, output=options.output / "optimized",
)  # fmt: skip
print(f"{len(result.trials)} candidates were measured; the report is {result.output / 'report.html'}")
if result.best is None:
    raise SystemExit("no candidate kept the limit: the report names the nearest")
print(f"best: {result.best.trial.name}, {result.best.trial.speedup:.2f}x")

# 7. Run: the winner on the CPU, the network itself on the GPU if there is one.
image = images[test.start][None].transpose(0, 2, 3, 1)
scores = sd.Session(result.best.file)(image)
print(f"CPU: {scores.argmax()} (sure by {scores.max():.0%}); it is {digits[test.start]}")
try:
    scores = sd.Session(converted.path, engine="webgpu")(image)
    print(f"GPU: {scores.argmax()}")
except sd.ModelError as error:
    print(f"GPU: none used: {error}")

# 8. And what it was.
for row in images[test.start, 0, ::2]:
    print("".join(" .:-=+*#%@"[int(pixel * 9)] for pixel in row))
