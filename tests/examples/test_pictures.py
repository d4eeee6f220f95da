"""The examples on a photo of a person, with models of the zoo."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sanderling import zoo
from sanderling.errors import FetchError

ROOT = Path(__file__).parents[2]
PHOTO = ROOT.parent / "shared" / "data" / "photos" / "skimage_astronaut.png"
pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(not PHOTO.is_file(), reason=f"NO PHOTO: {PHOTO.name} is not beside the project"),
]


def printed(script: str, model: str, output: Path) -> str:
    try:
        zoo.fetch(model)
    except FetchError as error:
        if "cannot be reached" not in error.what:
            raise
        pytest.skip(f"NO NETWORK: {error}")
    run = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), str(PHOTO), "-o", str(output)],
        capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


def changed(output: Path) -> np.ndarray:
    """Where the picture differs from the photo [H,W]."""
    before, after = (np.asarray(Image.open(path).convert("RGB"), np.int16) for path in (PHOTO, output))
    assert before.shape == after.shape
    return np.abs(before - after).max(axis=2) > 12


def test_the_contour_lies_around_the_face(tmp_path: Path) -> None:
    told = printed("face_contour.py", "face_landmark", tmp_path / "contour.png")
    size = re.search(r"a face of (\d+) × (\d+) pixels at \((\d+), (\d+)\)", told)
    assert size is not None
    width, height, x, y = map(int, size.groups())
    # The face: from ear to ear and from the hair to the chin.
    assert abs(x - 179) < 8
    assert abs(y - 72) < 10
    assert abs(width - 93) < 10
    assert abs(height - 103) < 12
    rows, columns = np.nonzero(changed(tmp_path / "contour.png"))
    assert (rows.min(), rows.max()) > (50, 150)
    assert columns.max() < 300


def test_the_background_is_blurred_and_the_person_is_not(tmp_path: Path) -> None:
    told = printed("portrait_segmentation.py", "selfie_segmentation", tmp_path / "portrait.png")
    assert "of the picture is a person" in told
    differs = changed(tmp_path / "portrait.png")
    assert differs[90:170, 190:260].mean() < 0.02  # her face
    assert differs[40:260, 380:460].mean() > 0.15  # the shuttle behind her
