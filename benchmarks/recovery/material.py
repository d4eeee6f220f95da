"""The samples: which a model may be calibrated and trained on, and which it is judged on. They never overlap.

What belongs to one picture (crops, mirror images) lies on one side. Labels are kept for the judging alone.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sanderling.graph.types import Array
from sanderling.tflite import read

SEED = 0
Box = tuple[float, float, float, float]
Maker = Callable[[Path, "Sources"], "Material"]


@dataclass(frozen=True)
class Sources:
    """Where samples come from: the folder of data sets, and one to keep what was fetched in."""

    data: Path
    work: Path


@dataclass(frozen=True)
class Feeds:
    """Inputs of a model, made one at a time.

    Attributes:
        stored: by input's name, arrays [samples, …] as they are kept (pictures as uint8).
        mean, std: what a model is fed is (stored − mean) / std; std 0 feeds arrays as they are stored.
        shake: stored values are moved by up to so much, evenly distributed, the same every time; needs std.
    """

    stored: Mapping[str, Array]
    mean: float = 0.0
    std: float = 0.0
    shake: float = 0.0

    def __len__(self) -> int:
        return len(next(iter(self.stored.values())))

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return (self.one(row) for row in range(len(self)))

    def one(self, row: int) -> dict[str, Array]:
        """Returns: one call's inputs, with a batch of one."""
        return {name: self._fed(values[row : row + 1], row) for name, values in self.stored.items()}

    def first(self, count: int) -> Feeds:
        """Returns: no more than so many of them."""
        return Feeds({name: values[:count] for name, values in self.stored.items()}, self.mean, self.std)

    def _fed(self, values: Array, row: int) -> Array:
        if not self.std:
            return np.ascontiguousarray(values)
        moved = values.astype(np.float32)
        if self.shake:
            rng = np.random.default_rng((SEED, row))
            moved += rng.uniform(-self.shake, self.shake, values.shape).astype(np.float32)
        return (moved - np.float32(self.mean)) / np.float32(self.std)


@dataclass(frozen=True)
class Material:
    """The samples of one model.

    Attributes:
        lesson: what may be trained on, without labels.
        calibrate: of the lesson, the first so many calibrate what does not train.
        evaluation: what is judged on.
        labels: of the evaluation, where there are any.
        told: what they are, for the page.
    """

    lesson: Feeds
    calibrate: int
    evaluation: Feeds
    labels: Array | None
    told: str

    @property
    def calibration(self) -> Feeds:
        return self.lesson.first(self.calibrate)


def shuffled(count: int) -> Array:
    """Returns: the order in which samples are dealt, the same every time."""
    return np.random.default_rng(SEED).permutation(count)


def opened(path: Path, side: int, box: Box | None = None, share: float = 1.0) -> Array:
    """Opens a picture.

    Args:
        side: rows and columns of the result.
        box: what is cut out: left, top, right, bottom; None: a square from the middle.
        share: of the shorter side, that the square from the middle has.

    Returns: RGB uint8 [side, side, 3].
    """
    from PIL import Image

    with Image.open(path) as picture:
        rgb = picture.convert("RGB")
        half = share * min(rgb.size) / 2
        x, y = rgb.width / 2, rgb.height / 2
        area = box or (x - half, y - half, x + half, y + half)
        return np.asarray(rgb.resize((side, side), Image.Resampling.BILINEAR, area))


def imagenet(data: Path) -> tuple[list[Path], Array]:
    """Returns: the pictures of ``imagenet600``, and the label of each."""
    folder = data / "imagenet600"
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [folder / "images" / row["file"] for row in rows], np.array([int(row["label"]) for row in rows])


def _input(model: Path) -> str:
    return read(model).input_names()[0]


def classified_pictures(side: int, *, lesson: int, mean: float, std: float) -> Maker:
    """Returns: a maker of material out of ``imagenet600``: the middle 7/8 of each picture, as usual.

    So many pictures are to learn from, the rest to judge.
    """

    def make(model: Path, sources: Sources) -> Material:
        name = _input(model)
        files, labels = imagenet(sources.data)
        order = shuffled(len(files))
        images = np.stack([opened(files[i], side, share=0.875) for i in order])
        told = (
            f"The middle of {lesson} pictures of imagenet600 to calibrate and train on, "
            f"of the other {len(files) - lesson} to judge"
        )
        return Material(
            Feeds({name: images[:lesson]}, mean, std), lesson, Feeds({name: images[lesson:]}, mean, std),
            labels[order[lesson:]], told,
        )  # fmt: skip

    return make


def cifar(calibrate: int) -> Maker:
    """Returns: a maker of material out of CIFAR-10, fed raw: 0..255."""

    def make(model: Path, sources: Sources) -> Material:
        name = _input(model)
        with np.load(sources.data / "cifar10.npz", allow_pickle=False) as archive:
            train, test, labels = archive["x_train"], archive["x_test"], archive["y_test"]
        told = f"{len(train)} training images ({calibrate} of them to calibrate), {len(test)} test images"
        return Material(Feeds({name: train}, 0, 1), calibrate, Feeds({name: test}, 0, 1), labels, told)

    return make


def digits(lesson: int, calibrate: int) -> Maker:
    """Returns: a maker of material out of MNIST: judged on the 1,500 that the bundled model never saw."""
    unseen, seed = 1500, 7  # as examples/train_digits.py deals them

    def make(model: Path, sources: Sources) -> Material:
        name = _input(model)
        with np.load(sources.data / "mnist10k.npz", allow_pickle=False) as archive:
            images, labels = archive["x"][..., None], archive["y"]
        order = np.random.default_rng(seed).permutation(len(images))
        held, rest = order[:unseen], order[unseen : unseen + lesson]
        told = f"{lesson} training digits ({calibrate} of them to calibrate), the {unseen} that it never saw"
        return Material(
            Feeds({name: images[rest]}, 0, 255), calibrate, Feeds({name: images[held]}, 0, 255),
            labels[held], told,
        )  # fmt: skip

    return make
