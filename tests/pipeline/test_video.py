"""Videos: frame by frame to answers, and the drawn frames back into a video."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import sanderling as sd
from sanderling.cli import main
from sanderling.errors import MissingExtra, SampleError
from sanderling.pipeline import video as videos
from tests.pipeline.nets import disc, red_mask

MASK = "segment:scores=probability,mean=0,std=255"
FRAMES = 7


@pytest.fixture
def moving(tmp_path: Path) -> Path:
    """A disc that moves to the right, ten pixels a frame."""
    path = tmp_path / "moving.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for number in range(FRAMES):
        frame = np.asarray(disc(box=(10 + 10 * number, 30, 60 + 10 * number, 80)))
        writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
    writer.release()
    return path


def test_every_frame_is_answered(tmp_path: Path, moving: Path) -> None:
    answers = [each.answer for each in sd.run(red_mask(tmp_path), moving, task=MASK)]
    boxes = [next(row["box"] for row in a.data["classes"] if row["class"] == 1) for a in answers if a]
    assert len(boxes) == FRAMES
    np.testing.assert_allclose([box[0] for box in boxes], [10 + 10 * n for n in range(FRAMES)], atol=3)


def test_the_drawn_video_has_every_frame(
    tmp_path: Path, moving: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drawn.mp4"
    assert main(["run", str(red_mask(tmp_path)), str(moving), "--task", MASK, "-o", str(out)]) == 0
    assert capsys.readouterr().err.endswith(" fps\n")
    capture = cv2.VideoCapture(str(out))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    assert len(frames) == FRAMES
    original = np.asarray(disc(box=(10, 30, 60, 80)))[:, :, ::-1].astype(int)
    drawn = frames[0][:120, :160].astype(int)
    assert np.abs(drawn[90:, 100:] - original[90:, 100:]).mean() < 12  # the ground is left as it is
    assert np.abs(drawn[40:70, 20:50] - original[40:70, 20:50]).mean() > 20  # the mask lies on the disc


def test_what_is_no_video_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"nothing")
    with pytest.raises(SampleError, match=r"no\.mp4: the video (cannot be read|holds no frames)"):
        list(sd.run(red_mask(tmp_path), tmp_path / "no.mp4"))


def test_ffmpeg_prints_nothing_of_its_own(tmp_path: Path) -> None:
    """In a process of its own: FFmpeg is told how loud to be when OpenCV first needs it."""
    (tmp_path / "no.mp4").write_bytes(bytes(1000))
    lines = "import sys; from pathlib import Path; from sanderling.pipeline.video import video"
    call = "\ntry: video(Path(sys.argv[1]), 'x')\nexcept Exception as error: print(type(error).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", lines + call, str(tmp_path / "no.mp4")],
        capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("SampleError\n", "")


def test_without_opencv_the_extra_is_named(
    tmp_path: Path, moving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MissingExtra("reading videos and cameras", "video")

    monkeypatch.setattr(videos, "_cv2", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'sanderling\[video\]'"):
        list(sd.run(red_mask(tmp_path), moving))
