"""Real models in a page: correct, answered as the library does, drawn, and no larger than promised."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sanderling as sd
from sanderling.deploy.web.browser import lacking, launched, opened, settled
from tests.webgpu.conftest import missing


@pytest.fixture(scope="module")
def photo(zoo_dir: Path) -> Path:
    found = zoo_dir.parent / "data" / "photos" / "skimage_astronaut.png"
    if not found.exists():
        pytest.skip(f"NO REAL PAGES: there is no {found}")
    return found


@pytest.fixture(scope="module")
def chromium(photo: Path) -> Iterator[Any]:
    if lacking():
        missing(lacking())
    with launched() as found:
        yield found


def page_of(
    chromium: Any, model: Path, photo: Path, folder: Path, **known: Any
) -> tuple[Any, dict[str, Any]]:
    """Returns: the model's page, and what it answers to the photo."""
    done = sd.deploy(model, "web", folder / "bundle", samples=photo, **known)
    told = done.bundle["web"]
    assert done.checks[0].passed
    assert told["page_bytes"] <= 1.25 * told["stored_weights_bytes"] + 150_000
    page = opened(chromium, done.folder / "index.html", viewport={"width": 390, "height": 844})
    assert settled(page)["state"] == "right"
    (found,) = page.evaluate(
        """async (bytes) => {
          await sanderling.showFile(new Blob([new Uint8Array(bytes)]));
          return sanderling.page.shown.answers.map(({ rows, data }) => ({ rows, data }));
        }""",
        list(photo.read_bytes()),
    )
    return page, found


def answer_of(model: Path, photo: Path, **known: Any) -> dict[str, Any]:
    (item,) = sd.run(model, str(photo), **known)
    assert item.answer is not None
    return dict(item.answer.data)


def test_landmarks_of_a_face_that_a_detector_finds(
    chromium: Any, zoo_dir: Path, photo: Path, tmp_path: Path
) -> None:
    folder = zoo_dir / "tflite"
    model, crop = folder / "face_landmark_fp16.tflite", str(folder / "face_detection_short_range.tflite")
    page, found = page_of(chromium, model, photo, tmp_path, crop=crop)
    right = answer_of(model, photo, crop=crop)
    assert len(found["data"]["points"]) == 468
    for mine, theirs in zip(found["data"]["points"], right["points"], strict=True):
        assert mine == pytest.approx((theirs["x"], theirs["y"]), abs=0.1)  # of 512 pixels
    assert found["data"]["presence"] == pytest.approx(right["presence"], abs=1e-3)
    assert page.evaluate("() => sanderling.page.shown.places.length") == 1
    page.close()


def test_a_mask(chromium: Any, zoo_dir: Path, photo: Path, tmp_path: Path) -> None:
    model = zoo_dir / "tflite" / "selfie_segmentation.tflite"
    page, found = page_of(chromium, model, photo, tmp_path)
    shares = {row["label"]: row["share"] for row in answer_of(model, photo)["classes"]}
    assert {row["name"]: row["share"] for row in found["rows"]} == pytest.approx(shares, abs=2e-3)
    page.close()


def test_a_model_that_remembers(zoo_dir: Path, tmp_path: Path) -> None:
    """Its states are int8, and each example begins anew."""
    if lacking():
        missing(lacking())
    done = sd.deploy(zoo_dir / "tflite" / "okay_nabu_streaming_int8.tflite", "web", tmp_path / "bundle")
    (check,) = done.checks
    assert check.passed
    assert check.examples == 3
