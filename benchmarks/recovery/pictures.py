"""Samples for models that look at faces, people and things: pictures in which the float model sees some.

Pictures are those of ``imagenet600`` and ``photos``. What one gives (crops, mirror images) stays on one side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recovery.material import Box, Feeds, Maker, Material, Sources, imagenet, opened, shuffled
from benchmarks.recovery.running import Ready
from sanderling.graph.types import Array
from sanderling.tflite import read

Sees = Callable[[Sequence[Array]], bool]
Boxes = Callable[[Path], dict[Path, list[Box]]]
SEED = 0
_SHARE = 0.5  # of the pictures in which something is seen, for the lesson
_CALIBRATE = 100
_JITTER = 0.08  # of a box's side, by which crops are moved and scaled


def seen(
    side: int, mean: float, std: float, sees: Sees, *, boxes: Boxes | None = None, most: int = 120
) -> Maker:
    """Returns: a maker of material out of the pictures in which the float model sees something.

    Args:
        side: rows and columns of the input.
        mean, std: the model is fed (pixel − mean) / std.
        sees: whether the outputs show something.
        boxes: finds what is cut out of the pictures; None: all of each, and a random crop.
        most: pictures per side.
    """

    def make(model: Path, sources: Sources) -> Material:
        name = read(model).input_names()[0]
        kept = sources.work / "pictures" / f"{model.stem}-{side}.npz"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            groups = list(_groups(model, name, sources.data))
            half = min(most, round(_SHARE * len(groups)))
            order = shuffled(len(groups))
            learn, judge = order[:half], order[half : half + most]
            part = kept.with_name(f"part-{kept.name}")
            sides = {"lesson": learn, "judged": judge}
            arrays = {side: _stacked([groups[i] for i in rows]) for side, rows in sides.items()}
            np.savez(part, counts=np.array([len(learn), len(judge)]), **arrays)
            part.rename(kept)
        with np.load(kept, allow_pickle=False) as archive:
            lesson, judged, counts = archive["lesson"], archive["judged"], archive["counts"]
        calibrate = min(_CALIBRATE, len(lesson))
        told = (
            f"{len(lesson)} crops and mirror images of {counts[0]} pictures to train on ({calibrate} of them "
            f"to calibrate), {len(judged)} of {counts[1]} other pictures to judge"
        )
        return Material(
            Feeds({name: lesson}, mean, std), calibrate, Feeds({name: judged}, mean, std), None, told
        )

    def _groups(model: Path, name: str, data: Path) -> Iterator[list[Array]]:
        float_model = Ready(model)
        rng = np.random.default_rng(SEED)
        found = boxes(data) if boxes is not None else {path: [] for path in _files(data)}
        for path, around in found.items():
            group = [opened(path, side, box) for box in _crops(path, around, rng)]
            group = [each for picture in group for each in (picture, picture[:, ::-1])]
            shown = [
                picture
                for picture in group
                if sees(float_model.outputs(Feeds({name: picture[None]}, mean, std).one(0)))
            ]
            if shown:
                yield shown

    return make


def person(outputs: Sequence[Array]) -> bool:
    """Returns: whether a mask shows a foreground, and leaves few pixels open."""
    mask = np.asarray(outputs[0])
    return bool(0.05 < (mask > 0.5).mean() < 0.95 and ((mask > 0.1) & (mask < 0.9)).mean() < 0.05)


def _files(data: Path) -> list[Path]:
    return [*imagenet(data)[0], *sorted(p for p in (data / "photos").iterdir() if p.suffix != ".md")]


def _crops(path: Path, boxes: Sequence[Box], rng: np.random.Generator) -> Iterator[Box]:
    from PIL import Image

    with Image.open(path) as picture:
        width, height = picture.size
    if not boxes:
        side = float(min(width, height))
        left, top = (width - side) / 2, (height - side) / 2
        yield left, top, left + side, top + side
        small = side * rng.uniform(0.6, 0.9)
        left, top = rng.uniform(0, width - small), rng.uniform(0, height - small)
        yield left, top, left + small, top + small
    for box in boxes:
        for _ in range(2):
            yield _inside(_moved(box, rng), width, height)


def _moved(box: Box, rng: np.random.Generator) -> Box:
    side = box[2] - box[0]
    x, y = ((box[i] + box[i + 2]) / 2 + side * rng.uniform(-_JITTER, _JITTER) for i in (0, 1))
    half = side / 2 * rng.uniform(1 - _JITTER, 1 + _JITTER)
    return x - half, y - half, x + half, y + half


def _inside(box: Box, width: int, height: int) -> Box:
    """Returns: the largest square in the picture around the middle of a box, no larger than that."""
    half = min(box[2] - box[0], width, height) / 2
    x = float(np.clip((box[0] + box[2]) / 2, half, width - half))
    y = float(np.clip((box[1] + box[3]) / 2, half, height - half))
    return x - half, y - half, x + half, y + half


def faces(data: Path) -> dict[Path, list[Box]]:
    """Returns: squares around the faces that the zoo's detector finds, half as large again."""

    def around(found: dict[str, Any]) -> Box:
        return _square(found["box"], 1.5)

    return _detected("face_detection_short_range", data, around)


def people(data: Path) -> dict[Path, list[Box]]:
    """Returns: squares around the people that the zoo's detector finds: about the hips, as far as it says."""

    def around(found: dict[str, Any]) -> Box:
        (x, y), (to_x, to_y) = found["keypoints"][:2]
        half = 1.25 * float(np.hypot(to_x - x, to_y - y))
        return x - half, y - half, x + half, y + half

    return _detected("pose_detection", data, around)


_SURE = 0.6  # a detector's score


def _detected(detector: str, data: Path, around: Callable[[dict[str, Any]], Box]) -> dict[Path, list[Box]]:
    import sanderling as sd

    files = _files(data)
    answers = sd.run(detector, [str(path) for path in files])
    found = {
        path: [around(box) for box in answer.answer.data["boxes"] if box["score"] >= _SURE]
        for path, answer in zip(files, answers, strict=True)
        if answer.answer is not None
    }
    return {path: boxes for path, boxes in found.items() if boxes}


def _square(box: Sequence[float], scale: float) -> Box:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = scale * max(box[2] - box[0], box[3] - box[1]) / 2
    return x - half, y - half, x + half, y + half


def _stacked(groups: Sequence[Sequence[Array]]) -> Array:
    pictures = [picture for group in groups for picture in group]
    return np.stack([pictures[i] for i in shuffled(len(pictures))])
