"""The pictures of a camera, from the programs that a Raspberry Pi and other Linux machines have for that."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

# They write a camera's pictures as JPEGs, one after the other, to their output; {n} is the camera's number.
PROGRAMS = (
    "rpicam-vid -n -t 0 --camera {n} --width 1280 --height 720 --codec mjpeg -o -",
    "libcamera-vid -n -t 0 --camera {n} --width 1280 --height 720 --codec mjpeg -o -",
    "ffmpeg -nostdin -loglevel error -f v4l2 -i /dev/video{n} -c:v mjpeg -q:v 3 -f mjpeg -",
)
START, END = b"\xff\xd8", b"\xff\xd9"
SCAN = 0xDA  # the marker before the compressed picture
LONE = {0x01, *range(0xD0, 0xD8)}  # markers that nothing belongs to
LARGEST = 64 << 20  # bytes: what holds no picture in so many is no stream of pictures


class CameraError(Exception):
    """No camera gives pictures."""


def frames(number: int) -> Iterator[Image.Image]:
    """Yields: a camera's pictures, without those that come while the last one is being looked at.

    Raises:
        CameraError: it gives none, or no longer.
    """
    from PIL import Image

    commands = [each.format(n=number).split() for each in PROGRAMS if shutil.which(each.split()[0])]
    if not commands:
        raise CameraError(
            "no program for cameras is installed: run 'sudo apt install rpicam-apps' or, for USB, '… ffmpeg'"
        )
    failed = []
    for command in commands:
        with tempfile.TemporaryFile() as said:
            seen = False
            for jpeg in newest(command, said):
                try:
                    picture = Image.open(BytesIO(jpeg)).convert("RGB")
                except (OSError, ValueError):
                    continue  # a broken one: the next will do
                seen = True
                yield picture
            said.seek(0)
            lines = said.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it ended without a word")
        failed.append(f"{command[0]}: {last}")
        if seen:
            break
    raise CameraError(f"camera {number} gives no {'more ' if seen else ''}pictures ({'; '.join(failed)})")


def newest(command: list[str], said: Any) -> Iterator[bytes]:
    """Runs a program. Yields: the newest whole JPEG that it wrote, until it ends.

    Args:
        said: a file for what it complains about.
    """
    waiting: list[bytes] = []
    changed = threading.Condition()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, bufsize=0) as process:

        def read() -> None:
            for jpeg in jpegs(process.stdout):
                with changed:
                    waiting[:] = [jpeg]
                    changed.notify()
            with changed:
                waiting.append(b"")
                changed.notify()

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        try:
            while True:
                with changed:
                    changed.wait_for(lambda: waiting)
                    jpeg = waiting.pop(0)
                if not jpeg:
                    return
                yield jpeg
        finally:
            process.terminate()
            thread.join()


def jpegs(stream: Any) -> Iterator[bytes]:
    """Yields: every whole JPEG of a stream."""
    waiting = b""
    while chunk := stream.read(1 << 16):
        waiting += chunk
        while True:
            start = waiting.find(START)
            end = whole(waiting, start) if start >= 0 else 0
            if not end:
                break
            yield waiting[start:end]
            waiting = waiting[end:]
        if len(waiting) > LARGEST:
            return


def whole(data: bytes, start: int) -> int:
    """Returns: where the JPEG that begins there ends, 0 when it is not whole yet.

    Its segments are stepped over: one of them may hold another, small JPEG.
    """
    place = start + 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:  # no JPEG after all: it ends here, and whoever reads it will say so
            return place
        marker = data[place + 1]
        if marker == SCAN:
            return data.find(END, place) + 2 if data.find(END, place) >= 0 else 0
        if marker == 0xFF:
            place += 1
        elif marker in LONE:
            place += 2
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return 0
