"""Real models on real photos: answers lie where a person sees them, and where other models find the same."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sanderling as sd
from sanderling.tasks.answer import Answer
from sanderling.tasks.boxes import overlap
from sanderling.tasks.drawing.skeletons import skeleton

FACE = (165, 70, 285, 190)  # where the astronaut's face is, by eye: left, top, right, bottom


@pytest.fixture(scope="module")
def photos(zoo_dir: Path) -> Path:
    folder = zoo_dir.parent / "data" / "photos"
    if not folder.is_dir():
        pytest.skip(f"no photos at {folder}")
    return folder


@pytest.fixture(scope="module")
def models(zoo_dir: Path) -> Path:
    return zoo_dir / "tflite"


@pytest.fixture(scope="module")
def astronaut(photos: Path) -> Image.Image:
    with Image.open(photos / "skimage_astronaut.png") as image:
        return image.convert("RGB")


def answer(models: Path, name: str, given: Any, **more: Any) -> Answer:
    (answered,) = sd.run(models / f"{name}.tflite", given, **more)
    assert answered.answer is not None
    return answered.answer


def points(found: Answer) -> np.ndarray:
    return np.array([[each["x"], each["y"]] for each in found.data["points"]])


def ring(number: int) -> list[int]:
    """Points around a part of the face: 3 is the left eye, 4 the right one."""
    return list(skeleton(468).chains[number].points)


def mesh(models: Path, image: Image.Image) -> np.ndarray:
    detector = str(models / "face_detection_short_range.tflite")
    return points(answer(models, "face_landmark_fp16", image, crop=detector))


def test_ssd_finds_the_cat(models: Path, photos: Path) -> None:
    labels = models / "ssd_mobilenetv2_oidv4_labels.txt"
    found = answer(models, "ssd_mobilenetv2_oidv4_fp16", photos / "skimage_chelsea.png", labels=labels)
    (box,) = found.data["boxes"]
    assert box["label"] == "Cat"
    assert box["class"] == 8
    left, top, right, bottom = box["box"]
    assert left < 60  # the cat fills the picture's left and middle
    assert top < 40
    assert 380 < right <= 451
    assert bottom > 260


@pytest.mark.parametrize("name", ["face_detection_short_range", "face_detection_full_range_sparse"])
@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_the_face_is_found(models: Path, astronaut: Image.Image, name: str, resize: str) -> None:
    wide = astronaut.crop((0, 0, 512, 300))
    found = answer(models, name, wide, task=f"detect:mean=127.5,std=127.5,resize={resize}")
    box, truth = np.array([found.data["boxes"][0]["box"]]), np.array([FACE], np.float64)
    assert overlap(box, truth)[0, 0] > 0.5
    assert len(found.data["boxes"][0]["keypoints"]) == 6


def test_the_mesh_lies_on_the_face(models: Path, astronaut: Image.Image) -> None:
    """Its eyes lie where the detector, another net, sees them."""
    detected = answer(models, "face_detection_short_range", astronaut).data["boxes"][0]["keypoints"]
    found = mesh(models, astronaut)
    assert len(found) == 468
    right, left = found[ring(4)].mean(axis=0), found[ring(3)].mean(axis=0)
    np.testing.assert_allclose(right, detected[0], atol=6)
    np.testing.assert_allclose(left, detected[1], atol=6)
    low, high = found.min(axis=0), found.max(axis=0)
    assert FACE[0] - 5 < low[0] < high[0] < FACE[2] + 5
    assert FACE[1] - 10 < low[1] < high[1] < FACE[3] + 5


@pytest.mark.parametrize("degrees", [25, -40])
def test_the_mesh_turns_with_the_face(models: Path, astronaut: Image.Image, degrees: float) -> None:
    centre = (225.0, 130.0)
    turned = astronaut.rotate(degrees, resample=Image.Resampling.BICUBIC, center=centre)
    found = mesh(models, turned) - centre
    angle = np.deg2rad(degrees)  # counterclockwise, with y down
    back = found @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + centre
    straight = mesh(models, astronaut)
    error = np.linalg.norm(back - straight, axis=1).mean() / np.ptp(straight[:, 0])
    assert error < 0.06


def test_no_face_no_mesh(models: Path, photos: Path) -> None:
    detector = str(models / "face_detection_short_range.tflite")
    found = answer(models, "face_landmark_fp16", photos / "china.jpg", crop=detector)
    assert "finds nothing" in found.lines[0]


def test_a_body_is_where_it_is(models: Path, astronaut: Image.Image) -> None:
    for name in ("movenet_lightning_int8", "pose_landmark_lite"):
        found = answer(models, name, astronaut)
        nose = found.data["points"][0]
        assert nose["name"] == "nose"
        assert FACE[0] < nose["x"] < FACE[2]
        assert FACE[1] < nose["y"] < FACE[3]


def test_two_segmenters_agree_on_the_astronaut(models: Path, astronaut: Image.Image) -> None:
    selfie = answer(models, "selfie_segmentation", astronaut).arrays["mask"] == 1
    deeplab = answer(models, "deeplabv3_257_mv_gpu", astronaut).arrays["mask"] == 15  # a person
    assert selfie.shape == deeplab.shape == (512, 512)
    assert (selfie & deeplab).sum() / (selfie | deeplab).sum() > 0.6
    for mask in (selfie, deeplab):
        assert mask[FACE[1] + 20 : FACE[3], FACE[0] + 20 : FACE[2] - 20].mean() > 0.95
        assert mask[20:200, 320:].mean() < 0.02  # the wall behind


def test_deeplab_sees_the_cat(models: Path, photos: Path) -> None:
    found = answer(models, "deeplabv3_257_mv_gpu", photos / "skimage_chelsea.png")
    assert [row["class"] for row in found.data["classes"]][:2] == [8, 0]  # a cat, the background


def test_a_classifier_is_right_as_often_as_it_should_be(models: Path, zoo_dir: Path) -> None:
    folder = zoo_dir.parent / "data" / "imagenet600"
    if not folder.is_dir():
        pytest.skip(f"no pictures at {folder}")
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        labels = {row[0]: row[1] for row in csv.reader(file)}
    files = sorted(path for path in folder.rglob("*.jpg") if path.name in labels)[::5]
    stream = sd.run(models / "mobilenet_v2_224_uint8.tflite", [str(path) for path in files])
    right = [
        each.answer.data["classes"][0]["class"] == int(labels[each.short]) + 1
        for each in stream
        if each.answer
    ]
    assert len(right) == len(files) >= 100
    assert np.mean(right) > 0.82  # 87 % on all of them
