"""From pictures on disk to answers: every kind of picture, every way to give one, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sanderling as sd
from sanderling import zoo
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import FormatError, SampleError, UsageError
from sanderling.pipeline.answered import Answered
from tests.pipeline.nets import (
    any_size,
    boxes_of_nobodys_anchors,
    disc,
    is_red,
    larger,
    red_mask,
    red_or_not,
    weighed_sum,
)

MASK = "segment:scores=probability,mean=0,std=255"


def iou(a: Any, b: Any) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def one(model: Any, given: Any, **more: Any) -> Answered:
    (answered,) = sd.run(model, given, **more)
    return answered


def alpha(image: Image.Image) -> Image.Image:
    turned = image.convert("RGBA")
    turned.putalpha(Image.new("L", image.size, 255))
    return turned


def lying(image: Image.Image) -> Image.Image:
    """Stored turned by 90 degrees, with the EXIF note that says so."""
    exif = Image.Exif()
    exif[0x112] = 6
    turned = image.rotate(90, expand=True)
    turned.info["exif"] = exif.tobytes()
    return turned


KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "rgb.png": lambda image: image,
    "rgb.bmp": lambda image: image,
    "rgb.tif": lambda image: image,
    "rgb.webp": lambda image: image,
    "photo.jpg": lambda image: image,
    "cmyk.jpg": lambda image: image.convert("CMYK"),
    "palette.png": lambda image: image.convert("P", palette=Image.Palette.ADAPTIVE),
    "first_frame.gif": lambda image: image.convert("P", palette=Image.Palette.ADAPTIVE),
    "alpha.png": alpha,
    "turned.jpg": lying,
    "lab.tif": lambda image: image.convert("LAB"),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_disc_is_found_in_every_kind_of_picture(tmp_path: Path, name: str) -> None:
    image = disc()
    made = KINDS[name](image)
    more: dict[str, Any] = {"exif": made.info["exif"]} if "exif" in made.info else {}
    if name.endswith(".gif"):
        more = {"save_all": True, "append_images": [made.rotate(180)]}
    made.save(tmp_path / name, **more)
    answered = one(red_mask(tmp_path), str(tmp_path / name), task=MASK)
    assert answered.answer is not None
    assert iou(answered.answer.arrays["mask"] == 1, is_red(image)) > 0.9
    shown = answered.drawn()
    assert shown is not None
    assert shown.width == image.width


@pytest.mark.parametrize("mode", ["L", "I;16", "1", "F"])
def test_grey_pictures_of_any_depth_mean_the_same(tmp_path: Path, mode: str) -> None:
    grey = np.tile(np.linspace(0, 255, 64), (48, 1))
    stored = {
        "L": grey.astype(np.uint8), "I;16": (grey * 257).astype(np.uint16), "1": grey > 128,
        "F": (grey / 255).astype(np.float32),
    }[mode]  # fmt: skip
    Image.fromarray(stored).save(tmp_path / "a.tif")
    answer = one(larger(tmp_path), tmp_path / "a.tif", task="image:mean=0,std=255").answer
    assert answer is not None
    found = answer.arrays["image"][24, :, 0].astype(float)
    assert found[2] < 40
    assert found[-3] > 215
    middle = found[len(found) // 2]
    assert 100 < middle < 160 or mode == "1"


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_places_are_those_of_the_persons_picture(tmp_path: Path, resize: str) -> None:
    """The same disc, however the picture is brought to the input's size."""
    image = disc((331, 173), (200, 20, 300, 120))
    answer = one(red_mask(tmp_path), image, task=f"{MASK},resize={resize}").answer
    assert answer is not None
    assert iou(answer.arrays["mask"] == 1, is_red(image)) > 0.9
    box = next(row["box"] for row in answer.data["classes"] if row["class"] == 1)
    np.testing.assert_allclose(box, [200, 20, 300, 120], atol=6)


def test_a_crop_says_nothing_of_what_it_does_not_show(tmp_path: Path) -> None:
    image = disc((400, 100), (5, 30, 45, 70))  # at the border, which a crop leaves out
    answer = one(red_mask(tmp_path), image, task=f"{MASK},resize=crop").answer
    assert answer is not None
    assert not (answer.arrays["mask"] == 1).any()


def test_folders_patterns_lists_and_arrays_are_all_answered(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    (pictures / "deep").mkdir(parents=True)
    for name in ("b.png", "a.jpg", "deep/c.png"):
        disc().save(pictures / name)
    (pictures / "notes.txt").write_text("not a picture")
    (pictures / ".hidden.png").write_text("nor this")
    model = red_or_not(tmp_path)
    found = list(sd.run(model, pictures, task="classify:mean=0,std=255"))
    assert [each.short for each in found] == ["a.jpg", "b.png", "deep/c.png"]
    assert all(each.answer and each.answer.data["classes"][0]["class"] == 0 for each in found)
    assert len(list(sd.run(model, str(pictures / "*.png"), task="classify"))) == 1
    assert len(list(sd.run(model, str(pictures / "**" / "*.png"), task="classify"))) == 2
    given = [disc(), np.asarray(disc()), str(pictures / "b.png")]
    assert len(list(sd.run(model, given, task="classify"))) == 3
    rows = np.stack([np.asarray(disc().resize((32, 32)))] * 4)
    np.save(tmp_path / "rows.npy", rows)
    answers = list(sd.run(model, tmp_path / "rows.npy", task="classify:mean=0,std=255"))
    assert len(answers) == 4
    assert answers[0].name.endswith("rows.npy[0]")
    assert answers[0].answer is not None
    assert answers[0].answer.data["classes"][0]["class"] == 0


def test_answers_come_one_by_one(tmp_path: Path) -> None:
    """Nothing is read ahead but the few pictures from which things are guessed."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(30):
        disc().save(folder / f"{number:02}.png")
    stream = sd.run(red_or_not(tmp_path), folder, task="classify")
    next(stream)
    for number in range(10, 30):
        (folder / f"{number:02}.png").unlink()
    rest = list(stream)
    assert len(rest) == 29
    assert [each.error is None for each in rest] == [True] * 9 + [False] * 20
    assert isinstance(rest[-1].error, SampleError)


def test_a_broken_picture_does_not_end_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "some"
    folder.mkdir()
    disc().save(folder / "b.png")
    whole = (folder / "b.png").read_bytes()
    (folder / "a.png").write_bytes(whole[: len(whole) // 3])
    (folder / "c.jpg").write_bytes(b"")
    first, second, third = sd.run(red_or_not(tmp_path), folder, task="classify")
    assert "cannot read the image" in str(first.error)
    assert second.answer is not None
    assert third.text == str(third.error)
    assert first.to_json()["error"]["where"].endswith("a.png")


def test_several_inputs(tmp_path: Path) -> None:
    model = weighed_sum(tmp_path)
    np.save(tmp_path / "a.npy", np.array([[1, 2, 3]], np.float32))
    np.savez(tmp_path / "both.npz", a=np.ones((2, 3), np.float32), b=np.full((2, 3), 2, np.float32))
    answered = one(model, [f"a={tmp_path / 'a.npy'}", "b=10,20,30"], task="other")
    assert answered.answer is not None
    assert answered.answer.data["outputs"][0]["values"] == [11, 22, 33]
    rows = list(sd.run(model, tmp_path / "both.npz", task="other"))
    assert [each.answer.data["outputs"][0]["values"] for each in rows if each.answer] == [[3, 3, 3]] * 2
    mapping = {"a": np.ones((1, 3), np.float32), "b": np.ones((1, 3), np.float32)}
    assert one(model, mapping, task="other").error is None
    with pytest.raises(UsageError, match="input 'b' is missing"):
        list(sd.run(model, f"a={tmp_path / 'a.npy'}"))
    with pytest.raises(UsageError, match="there is no input 'c'; inputs are: a, b"):
        list(sd.run(model, f"c={tmp_path / 'a.npy'}"))


def test_what_was_guessed_is_told_and_what_was_stated_is_not(tmp_path: Path) -> None:
    told: list[str] = []
    one(red_mask(tmp_path), disc(), tell=told.append)
    assert any(note.startswith("GUESS: no normalisation was stated") for note in told)
    assert any("guessed segment" in note for note in told)
    told.clear()
    one(red_mask(tmp_path), disc(), task=MASK, tell=told.append)
    assert told == []


def test_image_to_image_is_guessed(tmp_path: Path) -> None:
    answered = one(larger(tmp_path), disc((48, 24), (10, 4, 26, 20)))
    assert answered.answer is not None
    assert answered.text.startswith("a picture of 96 × 48 from one of 48 × 24")
    shown = answered.drawn()
    assert shown is not None
    assert iou(is_red(shown), is_red(disc((96, 48), (20, 8, 52, 40)))) > 0.85


def test_what_can_be_written(tmp_path: Path) -> None:
    answered = one(red_mask(tmp_path), disc(), task=MASK)
    for name in ("a.png", "a.jpg", "a.txt", "a.json", "a.npy", "a.npz"):
        assert answered.save(tmp_path / name).stat().st_size > 0
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["answer"]["size"] == [160, 120]
    assert np.load(tmp_path / "a.npy").shape == (120, 160)
    with pytest.raises(UsageError, match=r"files ending in '.xyz' are not known"):
        answered.save(tmp_path / "a.xyz")
    numbers = one(weighed_sum(tmp_path), {"a": np.ones((1, 3)), "b": np.ones((1, 3))}, task="other")
    with pytest.raises(UsageError, match="there is nothing to draw this answer on"):
        numbers.save(tmp_path / "b.png")


def test_a_function_of_the_users_own(tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(
        "def share(outputs, picture):\n"
        "    return {'share': float(next(iter(outputs.values())).mean()), 'width': picture.width}\n"
        "def broken(outputs, picture):\n    return 1 / 0\n"
    )
    answer = one(red_mask(tmp_path), disc(), task=f"{code}:share").answer
    assert answer is not None
    assert answer.data["width"] == 160
    with pytest.raises(UsageError, match=r"failed .ZeroDivisionError: division by zero"):
        one(red_mask(tmp_path), disc(), task=f"{code}:broken")


@pytest.mark.parametrize(
    "given, more, error, sentence",
    [
        ("nothing.png", {}, SampleError, "nothing.png: there is no such file or folder"),
        ("no/*.png", {}, SampleError, "no file matches this pattern"),
        ([], {}, UsageError, "nothing was given to run the model on"),
        (".", {"task": "classify:axis=1"}, UsageError, "classify has no setting 'axis'"),
        (".", {"task": "detect"}, UsageError, "cannot be read as 'detect'"),
        (".", {"mean": [1, 2], "std": 1}, UsageError, "got 2 means or stds"),
        (".", {"crop": "nothere"}, FormatError, "there is no such file or zoo model"),
        (".", {"labels": "no.txt"}, UsageError, "no.txt: cannot be read"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    tmp_path: Path, given: Any, more: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    disc().save(tmp_path / "a.png")
    where = tmp_path if given == "." else tmp_path / given if isinstance(given, str) else given
    with pytest.raises(error) as caught:
        list(sd.run(red_mask(tmp_path), where, **more))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_zoo_model_knows_its_classes(tmp_path: Path) -> None:
    image = Image.new("L", (100, 100), 0)
    from PIL import ImageDraw, ImageFont

    ImageDraw.Draw(image).text((30, 0), "7", fill=255, font=ImageFont.load_default(size=90))
    image.save(tmp_path / "seven.png")
    answer = one("digits", tmp_path / "seven.png").answer
    assert answer is not None
    assert answer.lines[0].startswith("7 ")


def test_an_optimized_model_remembers_its_inputs_and_classes(tmp_path: Path) -> None:
    """``best.json`` says how pixels become inputs and what classes are called: nothing is guessed again."""
    recipe = Recipe("float16 weights", (Step("float16"),))
    sd.optimize("digits", output=tmp_path, minimize="size", recipe=recipe, limit=60, seconds=20)
    rows = zoo.samples_path("digits")
    assert rows is not None
    samples = np.load(rows)
    pictures = [Image.fromarray(each.squeeze()) for each in samples[samples.files[0]][:20]]
    told: list[str] = []
    for name in ("best.json", "best.tflite"):
        first = list(sd.run(tmp_path / name, pictures, tell=told.append))
        second = list(sd.run("digits", pictures))
        assert [a.answer.lines[0][0] for a in first if a.answer] == [
            b.answer.lines[0][0] for b in second if b.answer
        ]
    assert told == []


def test_boxes_that_nobody_can_place_are_shown_as_numbers(tmp_path: Path) -> None:
    told: list[str] = []
    answered = one(boxes_of_nobodys_anchors(tmp_path), disc(), mean=0, std=1, tell=told.append)
    assert answered.answer is not None
    assert len(answered.answer.data["outputs"]) == 2
    assert any("boxes of 150 anchors cannot be placed" in note for note in told)
    with pytest.raises(UsageError, match="boxes of 150 anchors cannot be placed"):
        one(boxes_of_nobodys_anchors(tmp_path), disc(), task="detect", mean=0, std=1)


def test_a_model_of_any_size_takes_the_pictures_own(tmp_path: Path) -> None:
    model = any_size(tmp_path)
    image = disc((331, 173), (200, 20, 300, 120))
    answer = one(model, image, task="segment:mean=0,std=255,resize=keep").answer
    assert answer is not None
    assert iou(answer.arrays["mask"] == 1, is_red(image)) > 0.95
    guessed = one(model, image, mean=0, std=1, scale=1 / 255)
    assert guessed.answer is not None
    assert iou(guessed.answer.arrays["mask"] == 1, is_red(image)) > 0.9
