"""Image files of every kind reach the model as the same picture."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sanderling.errors import SampleError, UsageError
from sanderling.graph.types import DType, Quant
from sanderling.samples.load import load_samples
from tests.samples.models import model, picture_model, tensor


def gradient(height: int = 16, width: int = 24) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([y * 255 // height, x * 255 // width, np.full_like(y, 100)], axis=-1).astype(np.uint8)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_folder_is_read_recursively_in_sorted_order(tmp_path: Path) -> None:
    for name in ("b/2.png", "a/9.png", "b/10.png", ".hidden/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save(tmp_path / name, gradient())
    samples = load_samples(tmp_path, picture_model())
    assert [samples.name_of(i) for i in range(len(samples))] == ["a/9.png", "b/10.png", "b/2.png"]
    assert samples.origin == f"3 images in {tmp_path}"
    assert not samples.synthetic
    assert samples[0]["image"].shape == (1, 8, 8, 3)


def test_pixels_are_resized_bilinearly_and_normalised(tmp_path: Path) -> None:
    save(tmp_path / "a.png", gradient())
    fed = load_samples(tmp_path, picture_model(), scale=1.0)[0]["image"]
    expected = np.asarray(Image.fromarray(gradient()).resize((8, 8), Image.Resampling.BILINEAR), np.float32)
    np.testing.assert_array_equal(fed[0], expected)
    signed = load_samples(tmp_path, picture_model(), mean=127.5, std=127.5)[0]["image"]
    np.testing.assert_allclose(signed[0], expected / 127.5 - 1, atol=1e-6)
    fractions = load_samples(tmp_path, picture_model(), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    np.testing.assert_allclose(
        fractions[0]["image"][0], (expected / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225), atol=1e-5
    )
    assert any("pixels were taken as 0..1" in note for note in fractions.notes)


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "gif", "tiff", "ppm"])
def test_every_format_gives_about_the_same(tmp_path: Path, suffix: str) -> None:
    pixels = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    save(tmp_path / f"a.{suffix}", pixels)
    fed = load_samples(tmp_path, picture_model(), scale=1.0)[0]["image"]
    np.testing.assert_allclose(fed, np.broadcast_to([200, 40, 90], fed.shape), atol=8)


def test_modes_are_converted(tmp_path: Path) -> None:
    flat = np.full((16, 16), 0x8080, np.uint16)
    Image.fromarray(flat).save(tmp_path / "grey16.png")
    rgba = np.zeros((16, 16, 4), np.uint8)
    Image.fromarray(rgba).save(tmp_path / "transparent.png")
    Image.new("CMYK", (16, 16), (0, 0, 0, 127)).save(tmp_path / "cmyk.jpg")
    Image.new("L", (16, 16), 128).save(tmp_path / "grey.png")
    Image.new("1", (16, 16), 1).save(tmp_path / "bits.png")
    Image.new("RGB", (16, 16), (128, 128, 128)).convert("P").save(tmp_path / "palette.png")
    samples = load_samples(tmp_path, picture_model(), scale=1.0)
    seen = {samples.name_of(i): float(samples[i]["image"].mean()) for i in range(len(samples))}
    assert seen["grey16.png"] == pytest.approx(128, abs=1)
    assert seen["transparent.png"] == 255  # transparent shows white
    assert seen["cmyk.jpg"] == pytest.approx(128, abs=4)
    assert seen["grey.png"] == 128
    assert seen["bits.png"] == 255
    assert seen["palette.png"] == pytest.approx(128, abs=30)


def test_exif_rotation_is_undone(tmp_path: Path) -> None:
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # stored upside down
    Image.fromarray(upright[::-1].copy()).save(tmp_path / "a.png", exif=exif)
    fed = load_samples(tmp_path, picture_model(), scale=1.0)[0]["image"][0]
    assert fed[:3].min() == 255
    assert fed[5:].max() == 0


def test_layouts(tmp_path: Path) -> None:
    save(tmp_path / "a.png", gradient(32, 32))
    nhwc = load_samples(tmp_path, picture_model(32, 32), scale=1.0)[0]["image"]
    nchw = load_samples(tmp_path, model(tensor("image", (1, 3, 32, 32))), scale=1.0)[0]["image"]
    np.testing.assert_array_equal(np.moveaxis(nhwc, 3, 1), nchw)
    grey = load_samples(tmp_path, picture_model(32, 32, 1), scale=1.0)[0]["image"]
    assert grey.shape == (1, 32, 32, 1)
    np.testing.assert_allclose(grey[0, :, :, 0], nhwc[0] @ [0.299, 0.587, 0.114], atol=1)
    assert load_samples(tmp_path, model(tensor("image", (1, 32, 32))))[0]["image"].shape == (1, 32, 32)


def test_integer_inputs(tmp_path: Path) -> None:
    save(tmp_path / "a.png", gradient(8, 8))
    expected = gradient(8, 8)[None]
    raw = load_samples(tmp_path, picture_model(dtype=DType.UINT8, quant=Quant.of(1 / 128, 128)))
    np.testing.assert_array_equal(raw[0]["image"], expected)
    unit = load_samples(tmp_path, picture_model(dtype=DType.INT8, quant=Quant.of(1 / 255, -128)))
    np.testing.assert_array_equal(unit[0]["image"], expected.astype(int) - 128)
    assert any("scale" in note and "0..1" in note for note in unit.notes)
    signed = load_samples(tmp_path, picture_model(dtype=DType.INT8, quant=Quant.of(1 / 127.5, -1)))
    assert int(np.abs(signed[0]["image"].astype(int) - (expected.astype(int) - 128)).max()) <= 1
    plain = load_samples(tmp_path, picture_model(dtype=DType.INT32))
    np.testing.assert_array_equal(plain[0]["image"], expected)


def test_any_size_is_filled_in_and_said(tmp_path: Path) -> None:
    save(tmp_path / "a.png", gradient())
    free = model(tensor("image", (1, 1, 1, 3), signature=(-1, -1, -1, 3)))
    samples = load_samples(tmp_path, free)
    assert samples[0]["image"].shape == (1, 224, 224, 3)
    assert any("any size" in note for note in samples.notes)


def test_labels_of_the_folder_are_used_and_said(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.png", gradient())
    (tmp_path / "labels.csv").write_text("file,label,name\na.png,7,cat\nb.png,3,dog\n")
    samples = load_samples(tmp_path, picture_model())
    assert [samples.label(i) for i in range(2)] == [7, 3]
    assert any("labels taken from" in note for note in samples.notes)
    assert load_samples(tmp_path, picture_model(), labels=[1, 2]).labels == [1, 2]


def test_missing_labels_are_counted(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.png", gradient())
    (tmp_path / "l.csv").write_text("file,label\nb.png,1\n")
    with pytest.raises(SampleError, match=r"2 of 3 samples have no label, the first is a\.png"):
        load_samples(tmp_path, picture_model(), labels=tmp_path / "l.csv")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a.png", gradient())
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    (tmp_path / "c.jpg").write_bytes(b"no image")
    samples = load_samples(tmp_path, picture_model(), scale=1.0)
    for index, name in ((1, "b.png"), (2, "c.jpg")):
        with pytest.raises(SampleError, match="cannot read the image") as caught:
            samples[index]
        assert caught.value.where.endswith(name)


def test_folders_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="the folder is empty"):
        load_samples(tmp_path, picture_model())
    (tmp_path / "a.docx").write_text("x")
    (tmp_path / "b.docx").write_text("x")
    with pytest.raises(SampleError, match=r"found 2 \.docx"):
        load_samples(tmp_path, picture_model())
    with pytest.raises(SampleError, match="no such file or folder"):
        load_samples(tmp_path / "nothing", picture_model())
    with pytest.raises(SampleError, match="images do not fit input 'x'"):
        load_samples(save(tmp_path / "a.png", gradient()), model(tensor("x", (1, 640))))
    with pytest.raises(SampleError, match="has 2"):
        load_samples(tmp_path / "a.png", model(tensor("x", (1, 8, 8, 3)), tensor("y", (1, 8, 8, 3))))


def test_thumbnails_are_small_pngs(tmp_path: Path) -> None:
    save(tmp_path / "a.png", gradient(300, 600))
    samples = load_samples(tmp_path, picture_model())
    data = samples.thumbnail(0)
    assert data is not None
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    assert image.size == (160, 80)


def test_preprocess_gets_the_picture_and_is_checked(tmp_path: Path) -> None:
    save(tmp_path / "a.png", gradient())
    script = tmp_path / "mine.py"
    script.write_text(
        "import numpy as np\ndef f(im):\n    return np.asarray(im.resize((8, 8)), np.float32) * 2\n"
    )
    samples = load_samples(tmp_path / "a.png", picture_model(), preprocess=f"{script}:f")
    assert samples[0]["image"].max() > 255
    with pytest.raises(SampleError, match=r"takes float32\[1,8,8,3\], got float64\[2, 2\]"):
        load_samples(tmp_path / "a.png", picture_model(), preprocess=lambda image: np.zeros((2, 2)))
    with pytest.raises(SampleError, match="NaN or infinite"):
        load_samples(tmp_path / "a.png", picture_model(), preprocess=lambda image: np.full((8, 8, 3), np.nan))
    with pytest.raises(SampleError, match="preprocess failed"):
        load_samples(tmp_path / "a.png", picture_model(), preprocess=lambda image: image.nothing)
    with pytest.raises(UsageError, match="has no function 'g'"):
        load_samples(tmp_path / "a.png", picture_model(), preprocess=f"{script}:g")
    before = load_samples(tmp_path / "a.png", picture_model(), preprocess=f"{script}:f").fingerprint
    script.write_text(script.read_text().replace("* 2", "* 3"))
    assert load_samples(tmp_path / "a.png", picture_model(), preprocess=f"{script}:f").fingerprint != before


def test_preprocess_reads_files_of_any_kind(tmp_path: Path) -> None:
    for name in ("a.dat", "b.dat"):
        (tmp_path / name).write_bytes(b"\1" * 192)
    samples = load_samples(
        tmp_path, picture_model(), preprocess=lambda path: np.fromfile(path, np.uint8).reshape(8, 8, 3)
    )
    assert len(samples) == 2
    assert samples[1]["image"].dtype == np.float32


def test_limit_is_spread_over_the_source(tmp_path: Path) -> None:
    for number in range(9):
        save(tmp_path / f"{number}.png", gradient(8, 8))
    samples = load_samples(tmp_path, picture_model(), limit=3)
    assert samples.indices == (0, 4, 8)


def test_fingerprint_follows_content_and_settings(tmp_path: Path) -> None:
    save(tmp_path / "a.png", gradient())
    first = load_samples(tmp_path, picture_model()).fingerprint
    assert load_samples(tmp_path, picture_model()).fingerprint == first
    assert load_samples(tmp_path, picture_model(), scale=1.0).fingerprint != first
    assert load_samples(tmp_path, picture_model(16, 16)).fingerprint != first
    assert load_samples(tmp_path, picture_model(), labels=[1]).fingerprint != first
    save(tmp_path / "b.png", gradient())
    assert load_samples(tmp_path, picture_model()).fingerprint != first
