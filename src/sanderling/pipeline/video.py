"""Videos and cameras, through OpenCV (extra ``video``): frames in, drawn frames out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sanderling.errors import MissingExtra, SampleError, StorageError
from sanderling.pipeline.item import Item, Source

if TYPE_CHECKING:
    from PIL import Image

_USUAL_FPS = 25.0
_QUIET = "-8"  # FFmpeg's AV_LOG_QUIET


def _cv2() -> Any:
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _QUIET)  # FFmpeg prints by itself; OpenCV reads it once
    try:
        import cv2
    except ImportError:
        raise MissingExtra("reading videos and cameras", "video") from None
    return cv2


def video(path: Path, name: str) -> Source:
    """Opens a video file.

    Args:
        name: of the input that its frames go to.

    Raises:
        SampleError: it cannot be read.
    """
    cv2 = _cv2()
    capture = _capture(str(path), str(path))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    usable = np.isfinite(fps) and 0 < fps < 1000
    return Source(
        str(path), lambda: _frames(capture, str(path), name), count if count > 0 else None,
        fps if usable else _USUAL_FPS,
    )  # fmt: skip


def camera(number: int, name: str) -> Source:
    """Opens a camera.

    Raises:
        SampleError: there is none of this number.
    """
    capture = _capture(number, f"camera {number}")
    fps = float(capture.get(_cv2().CAP_PROP_FPS))
    usable = np.isfinite(fps) and 0 < fps < 1000
    return Source(
        f"camera {number}",
        lambda: _frames(capture, f"camera {number}", name),
        None,
        fps if usable else _USUAL_FPS,
    )


def _capture(source: Any, where: str) -> Any:
    cv2 = _cv2()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what fails is told below
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        capture.release()
        what = "there is no such camera" if isinstance(source, int) else "the video cannot be read"
        raise SampleError(what, where=where)
    return capture


def _frames(capture: Any, where: str, name: str) -> Iterator[Item]:
    from PIL import Image

    number = 0
    try:
        while True:
            good, frame = capture.read()
            if not good:
                break
            image = Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1]))

            def opened(image: Image.Image = image) -> Mapping[str, Any]:
                return {name: image}

            yield Item(f"{where} frame {number}", opened, frame=number)
            number += 1
    finally:
        capture.release()
    if not number:
        raise SampleError("the video holds no frames", where=where)


class VideoWriter:
    """Writes drawn frames to a video file; opened at the first frame, whose size all have.

    Args:
        path: ``.mp4``, ``.avi`` …
        fps: frames a second.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path, self._fps = path, fps
        self._writer: Any = None
        self._size = (0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.release()

    def write(self, image: Image.Image) -> None:
        """Adds a frame.

        Raises:
            StorageError: the file cannot be written.
        """
        cv2 = _cv2()
        if self._writer is None:
            code = {".avi": "MJPG", ".webm": "VP80"}.get(self._path.suffix.lower(), "mp4v")
            self._size = image.size
            self._writer = cv2.VideoWriter(
                str(self._path), cv2.VideoWriter_fourcc(*code), self._fps, image.size
            )
            if not self._writer.isOpened():
                raise StorageError(
                    "the video cannot be written", where=str(self._path), hint="give a .mp4 or .avi"
                )
        fitting = image if image.size == self._size else image.resize(self._size)
        self._writer.write(np.ascontiguousarray(np.asarray(fitting.convert("RGB"))[:, :, ::-1]))
