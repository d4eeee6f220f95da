"""The page brings pictures to an input just as the library does: pixel for pixel."""

from __future__ import annotations

import itertools
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from sanderling.deploy.web.blob import Blob
from sanderling.deploy.web.examples import noise_bytes
from sanderling.deploy.web.pictures import coarse, keep_pixels
from sanderling.pipeline.crop import crop_places
from sanderling.samples.pixels import in_colours
from sanderling.tasks.inputs.image import ImageInput, pixels_of, placed
from sanderling.tasks.placement import Placement
from sanderling.tasks.spec import Crop
from tests.deploy.web_scripts import Scripts
from tests.deploy.web_scripts import js as js

SIZES = [
    ((61, 47), (32, 24)),
    ((200, 133), (64, 64)),
    ((9, 30), (40, 28)),
    ((64, 64), (64, 64)),
    ((640, 480), (17, 96)),
]


def picture(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Returns: something with edges, slopes and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    slopes = np.stack([x * 5, y * 3, (x + y) * 2], axis=2) % 256
    noise = rng.integers(0, 256, slopes.shape)
    return Image.fromarray(np.where(((x // 7 + y // 5) % 2 == 0)[..., None], slopes, noise).astype(np.uint8))


def seen(
    js: Scripts, image: Image.Image, side: tuple[int, int], channels: int, settings: ImageInput
) -> np.ndarray:
    rgba = np.asarray(image.convert("RGBA"))
    told = {
        "side": list(side),
        "channels": channels,
        **{k: v for k, v in asdict(settings).items() if k != "mean"},
    }
    found = js.run(
        "return told(lib.seenBy(settings, { data: arrayOf(rgba), width, height }).pixels);",
        rgba=rgba, width=image.width, height=image.height, settings=told,
    )  # fmt: skip
    return found.reshape(*side, channels)


@pytest.mark.parametrize("filter", ["bilinear", "bicubic", "lanczos", "nearest"])
@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
def test_resizing(js: Scripts, resize: str, filter: str) -> None:
    for (size, side), central in itertools.product(SIZES, (1.0, 0.875)):
        settings = ImageInput(resize=resize, filter=filter, central=central, fill=114)  # type: ignore[arg-type]
        image = picture(size)
        wanted = pixels_of(image, placed(size, side, settings), 3, settings)
        np.testing.assert_array_equal(
            seen(js, image, side, 3, settings), wanted, err_msg=f"{size} {side} {central}"
        )


@pytest.mark.parametrize(
    "channels, colour, invert", [(1, "rgb", True), (3, "grey", False), (4, "rgb", False)]
)
def test_colours(js: Scripts, channels: int, colour: str, invert: bool) -> None:
    settings = ImageInput(colour=colour, invert=invert)  # type: ignore[arg-type]
    image = picture((50, 41), 3)
    wanted = pixels_of(image, placed(image.size, (28, 28), settings), channels, settings)
    np.testing.assert_array_equal(seen(js, image, (28, 28), channels, settings), wanted)


@pytest.mark.parametrize("turn, step", [(0.0, 0.4), (0.3, 1.0), (-2.1, 1.7), (0.5, 3.3), (1.2, 5.3)])
def test_turned_parts(js: Scripts, turn: float, step: float) -> None:
    """Also those that reach beyond the picture."""
    image, side = picture((157, 121), 5), (48, 40)
    across, down = step * np.cos(turn), step * np.sin(turn)
    matrix = ((across, -down, 60.0), (down, across, 20.0))
    wanted = np.asarray(Placement(side, image.size, matrix).cut(image))
    found = js.run(
        "const place = new lib.Place(side, [width, height], matrix);"
        "return told(place.cut({ data: arrayOf(rgb), width, height, channels: 3 }).data);",
        rgb=np.asarray(image), width=image.width, height=image.height, side=list(side), matrix=matrix,
    )  # fmt: skip
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


@pytest.mark.parametrize(
    "crop",
    [
        Crop(),
        Crop(square=False, scale=2.0),
        Crop(level=(0, 2), upright=True, shift=(0.1, -0.4)),
        Crop(around=(0, 3)),
    ],
)
def test_the_part_around_a_box(js: Scripts, crop: Crop) -> None:
    rng = np.random.default_rng(1)
    boxes = []
    for score in (0.4, 0.9, 0.7):
        left, top, width, height = rng.uniform(5, 90, 4)
        points = rng.uniform(0, 100, (6, 2)).tolist()
        boxes.append({"box": [left, top, left + width, top + height], "score": score, "keypoints": points})
    wanted = crop_places(boxes, crop, (300, 200), (64, 48))
    found = js.run(
        "return lib.cropPlaces(boxes, crop, [300, 200], [64, 48]).map(({ matrix }) => matrix);",
        boxes=boxes, crop=asdict(crop),
    )  # fmt: skip
    assert len(found) == 2
    np.testing.assert_allclose(found, [place.matrix for place in wanted], rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("shape", [(28, 28, 1), (96, 96, 3), (96, 96, 4), (220, 220, 3)])
def test_kept_pixels_come_back(js: Scripts, shape: tuple[int, int, int]) -> None:
    image = in_colours(picture((shape[1], shape[0]), 7), shape[2])
    pixels = coarse(np.asarray(image).reshape(shape))
    blob = Blob()
    kept = keep_pixels(pixels, blob)
    raw = np.frombuffer(b"".join(blob._parts), np.uint8)
    found = js.run("return told(lib.keptPixels(new lib.Held({}, arrayOf(raw)), kept));", raw=raw, kept=kept)
    np.testing.assert_array_equal(found.reshape(shape), pixels)


def test_noise_is_the_same_everywhere(js: Scripts) -> None:
    for seed in (1, 2463534242, 2**32 - 1):
        found = js.run("return told(lib.noiseBytes(seed, 999));", seed=seed)
        np.testing.assert_array_equal(found, noise_bytes(seed, 999))
