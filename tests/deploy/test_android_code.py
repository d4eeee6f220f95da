"""The app's Kotlin, compiled once with Android's names declared, and run on the JVM: pictures go in and
answers come out as they do here."""

import importlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sanderling as sd
from sanderling.deploy.android.jvm import answered, off
from sanderling.deploy.app import packed
from sanderling.deploy.deploying import Deployed
from sanderling.deploy.literals import Choice, Ints, Reals, Record, kotlin
from sanderling.deploy.order import Detector, Order
from sanderling.deploy.plan import value_table
from sanderling.deploy.plan_task import meaning_of
from sanderling.errors import DeployError
from sanderling.samples.inputs import Input
from sanderling.tasks.answer import Asked, find_task
from sanderling.tasks.inputs.image import ImageInput, pixels_of, placed
from sanderling.tasks.placement import Placement
from sanderling.tasks.spec import TaskSpec
from sanderling.verbs.answering import make_pipeline
from tests.deploy.phone_tools import compile_kotlin, kotlinc, unpack_stubs

CODE = "app/src/main/kotlin"
FILES = Path(sd.__file__).parent / "deploy" / "android" / "files"
SIDE, SIZE = (48, 64), (157, 103)
RNG = np.random.default_rng(0)


def variants() -> list[tuple[ImageInput, tuple[int, int], int]]:
    """Ways in which a picture goes in: settings, height and width, channels."""
    plain = ImageInput()
    return [
        (plain, (24, 40), 3),
        (replace(plain, filter="bicubic"), (24, 40), 3),
        (replace(plain, filter="lanczos"), (90, 130), 3),
        (replace(plain, filter="nearest"), (24, 40), 3),
        (replace(plain, resize="letterbox", fill=114), (32, 32), 3),
        (replace(plain, resize="letterbox"), (50, 20), 1),
        (replace(plain, resize="crop"), (32, 32), 3),
        (replace(plain, central=0.875), (33, 31), 3),
        (replace(plain, colour="bgr"), (20, 20), 3),
        (replace(plain, colour="grey"), (20, 20), 3),
        (replace(plain, invert=True), (28, 28), 1),
        (replace(plain, filter="bicubic", resize="crop", central=0.5), (64, 64), 4),
    ]


def variant(settings: ImageInput, side: tuple[int, int], channels: int) -> Record:
    return Record("PictureInput", {
        "input": 0, "height": side[0], "width": side[1], "channels": channels, "channelsFirst": False,
        "heightAxis": 1, "resize": Choice("Resize", settings.resize), "central": settings.central,
        "filter": Choice("Filter", settings.filter), "fill": settings.fill, "grey": settings.colour == "grey",
        "bgr": settings.colour == "bgr", "invert": settings.invert, "table": "",
    })  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A way in which outputs are read."""

    task: str
    options: Mapping[str, Any]
    outputs: Sequence[np.ndarray]
    side: tuple[int, int] = SIDE
    labels: tuple[str, ...] = ()
    resize: str = "stretch"
    names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", [f"o{i}" for i in range(len(self.outputs))])

    @property
    def spec(self) -> TaskSpec:
        return TaskSpec(self.task, options=self.options, labels=self.labels)

    @property
    def placement(self) -> Placement:
        return placed(SIZE, self.side, ImageInput(resize=self.resize))  # type: ignore[arg-type]


def floats(*shape: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    return RNG.uniform(low, high, shape).astype(np.float32)


def boxes(count: int) -> np.ndarray:
    """Returns: corners [1,count,4] as top, left, bottom, right."""
    first, size = RNG.uniform(0, 0.7, (count, 2)), RNG.uniform(0.05, 0.4, (count, 2))
    return np.concatenate([first, first + size], axis=1)[None].astype(np.float32)


def grid(count: int, classes: int, scale: float = 1.0) -> np.ndarray:
    """Returns: rows [1,count,4+classes] of centers, sizes and scores, as YOLO gives them."""
    rows = np.concatenate([RNG.uniform(0.2, 0.8, (count, 2)), RNG.uniform(0.1, 0.4, (count, 2))], axis=1)
    return np.concatenate([rows * scale, RNG.random((count, classes)) ** 4], axis=1)[None].astype(np.float32)


def cases() -> list[Case]:
    smooth = np.asarray(Image.fromarray(floats(6, 8)).resize((64, 48), Image.Resampling.BICUBIC))
    planes = [np.asarray(Image.fromarray(floats(4, 5)).resize((64, 48))) for _ in range(4)]
    classes = np.stack(planes, axis=2)[None]
    anchors = [floats(1, 896, 16, low=-40, high=40), floats(1, 896, 1, low=-6, high=3)]
    ssd = [floats(1, 1917, 4, low=-3, high=3), floats(1, 1917, 5, low=-6, high=2)]
    listed = [boxes(20), RNG.integers(0, 5, (1, 20)).astype(np.float32), floats(1, 20), np.float32([17])]
    yolo = {"format": "grid", "boxes": 0, "scores": 0, "score": 0.3}
    return [
        Case("classify", {}, [floats(1, 7)]),
        Case("classify", {"scores": "logits", "top": 3}, [floats(1, 7, low=-4, high=4)]),
        Case("classify", {"scores": "independent", "least": 0.6}, [floats(1, 7, low=-4, high=4)]),
        Case("classify", {}, [floats(5, 9, low=-4, high=4)]),
        Case("classify", {}, [floats(1, 1)]),
        Case("classify", {}, [floats(1, 1, low=2, high=3)]),
        Case("classify", {"output": 1}, [floats(1, 2), floats(1, 1, 1, 4)], labels=("a", "b", "c")),
        Case("segment", {"scores": "probability"}, [smooth[None, :, :, None]]),
        Case("segment", {"scores": "logit"}, [(smooth - 0.5)[None]]),
        Case("segment", {"scores": "classes"}, [classes], resize="letterbox"),
        Case("segment", {"scores": "classes", "axis": 1}, [np.moveaxis(classes, 3, 1)]),
        Case("segment", {"scores": "map"}, [np.rint(4 * smooth)[None]]),
        Case("detect", {"score": 0.3}, listed, labels=("???", "cat", "dog")),
        Case("detect", {"count": None, "score": 0.3}, listed[:3]),
        Case("detect", {
            "format": "anchors", "boxes": 0, "scores": 1, "coding": "pixels", "logits": True, "score": 0.6,
        }, anchors, (128, 128), resize="letterbox"),
        Case("detect", {
            "format": "anchors", "boxes": 0, "scores": 1, "logits": True, "background": True, "score": 0.7,
        }, ssd, (300, 300)),
        Case("detect", yolo, [grid(60, 3)]),
        Case("detect", {**yolo, "objectness": True}, [grid(60, 4, 48.0)]),
        Case("detect", {**yolo, "transposed": True}, [np.moveaxis(grid(60, 3), 2, 1)]),
        Case("detect", {**yolo, "objectness": True, "pixels": False, "score": 0.1}, [grid(60, 1)]),
        Case("landmarks", {"per_point": 3, "third": "depth"}, [floats(1, 1404, high=60), np.float32([[9]])]),
        Case("landmarks", {"per_point": 3, "third": "score"}, [floats(1, 1, 17, 3)]),
        Case("landmarks", {"per_point": 5}, [floats(1, 195, low=-2, high=50), floats(1, 1)]),
        Case("landmarks", {"per_point": 2, "order": "yx", "units": "shares"}, [floats(1, 68, 2)]),
    ]  # fmt: skip


def case_plan(case: Case) -> Record:
    found = meaning_of(case.spec, case.outputs, case.names, case.side)
    task = found.record
    if "anchors" in found.files:
        task = replace(task, fields={**task.fields, "anchors": f"{len(case.outputs[0][0])}.bin"})
    ports = [
        Record("Port", {"name": n, "type": Choice("Type", "float32"), "dims": Ints(o.shape), "scale": 0.0,
                        "zeroPoint": 0})
        for n, o in zip(case.names, case.outputs, strict=True)
    ]  # fmt: skip
    return Record("Plan", {
        "file": "", "inputs": [], "outputs": ports, "picture": None, "task": task, "labels": "",
        "keepsState": False, "examples": [], "tolerance": Reals(()), "gpuTolerance": Reals(()),
        "signatureInputs": Ints(()), "signatureOutputs": Ints(()),
    })  # fmt: skip


def picture() -> Image.Image:
    """A picture of coarse and of fine parts."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize(SIZE)
    noise = rng.integers(-20, 20, (SIZE[1], SIZE[0], 3))
    return Image.fromarray(np.clip(np.asarray(coarse, np.int64) + noise, 0, 255).astype(np.uint8))


def places() -> list[Placement]:
    """Parts of it: turned, made smaller and beyond its borders, made larger at its corner."""
    return [
        Placement((40, 30), SIZE, ((1.1, -0.4, 20.0), (0.4, 1.1, 5.0))),
        Placement((16, 16), SIZE, ((4.3, 0.7, -9.0), (-0.7, 4.3, 12.0))),
        Placement((20, 20), SIZE, ((0.25, 0.0, 140.0), (0.0, 0.25, 90.0))),
    ]


MAIN = """package deployed
import java.io.File
val variants = @VARIANTS@
val places = listOf(@PLACES@)
val cases = @CASES@
val casePlaces = listOf(@CASEPLACES@)
fun main(arguments: Array<String>) {
    val folder = File(arguments[0])
    val files = Files { name -> File(folder, name).takeIf { it.exists() }?.readBytes() }
    val picture = Pixels(@WIDTH@, @HEIGHT@, 3, files.need("picture.bin"))
    variants.forEachIndexed { i, how ->
        val place = placed(picture, how.width, how.height, how)
        File(folder, "seen_$i.bin").writeBytes(seen(picture, place, how).data)
    }
    places.forEachIndexed { i, place -> File(folder, "cut_$i.bin").writeBytes(place.cut(picture).data) }
    println(@TEXT@)
    cases.forEachIndexed { i, plan ->
        val outputs = plan.outputs.indices.map { Tensor.read(files.need("${i}_$it.bin"), Type.FLOAT32) }
        val fed = Fed(Tensor(Type.UINT8, intArrayOf(0), ByteArray(0)), casePlaces[i])
        println(json(answer(plan, outputs, fed, picture, files)))
    }
}
"""
TEXT = 'a"b\\c$d ${e} é 日 😀'


def in_kotlin(place: Placement) -> str:
    numbers = ", ".join(str(float(v)) for row in place.matrix for v in row)
    return f"Placement({numbers}, {place.side[1]}, {place.side[0]})"


def program(read: Sequence[Case]) -> str:
    """A program that brings the picture in, in every way, says a text, and reads outputs."""
    return (
        MAIN.replace("@VARIANTS@", kotlin([variant(*each) for each in variants()]))
        .replace("@CASES@", kotlin([case_plan(case) for case in read]))
        .replace("@CASEPLACES@", ", ".join(in_kotlin(case.placement) for case in read))
        .replace("@PLACES@", ", ".join(map(in_kotlin, places())))
        .replace("@TEXT@", kotlin(TEXT)).replace("@WIDTH@", str(SIZE[0])).replace("@HEIGHT@", str(SIZE[1]))
    )  # fmt: skip


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return sd.deploy("digits", "android", tmp_path_factory.mktemp("android") / "bundle")


@dataclass(frozen=True)
class Zoo:
    """A real model, its detector, and what is known of it."""

    name: str
    known: Mapping[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def real(zoo: Path | None, tmp_path_factory: pytest.TempPathFactory) -> list[Zoo]:
    """Real models of each task, deployed without a compiler; none where there is no zoo."""
    if zoo is None:
        return []
    files, photos = zoo / "tflite", zoo.parent / "data" / "photos"
    asked: dict[str, dict[str, Any]] = {
        "ssd_mobilenetv2_oidv4_fp16": {},
        "selfie_segmentation": {},
        "movenet_lightning_int8": {},
        "face_landmark_fp16": {"crop": str(files / "face_detection_short_range.tflite")},
    }
    folder = tmp_path_factory.mktemp("real")
    found = []
    for name, known in asked.items():
        samples = photos / "skimage_astronaut.png"
        sd.deploy(files / f"{name}.tflite", "android", folder / name, samples=samples, **known)
        found.append(Zoo(name, {**known, "samples": samples}, folder / name))
    return found


@pytest.fixture(scope="module")
def zoo() -> Path | None:
    folder = Path(os.environ.get("SANDERLING_ZOO") or Path(__file__).parents[2].parent / "shared" / "zoo")
    return folder if folder.is_dir() else None


@pytest.fixture(scope="module")
def read() -> list[Case]:
    return cases()


@pytest.fixture(scope="module")
def jar(
    deployed: Deployed, real: list[Zoo], read: list[Case], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """All of the app's code, compiled once, with Android's names declared, and the plans of all models."""
    folder = tmp_path_factory.mktemp("jar")
    (folder / "Variants.kt").write_text(program(read))
    sources = [
        unpack_stubs("android.txt", folder / "stubs"), deployed.folder / CODE,
        deployed.folder / "app/src/androidTest/kotlin", FILES / "check" / "Main.kt", folder / "Variants.kt",
    ]  # fmt: skip
    for number, each in enumerate(real):
        plans = (each.folder / CODE / "deployed" / "Plans.kt").read_text()
        plans = plans.replace("object Plans", f"object Plans{number}")
        call = "answers(Plans@.model, Plans@.detector, Plans@.crop, arguments)".replace("@", str(number))
        file = folder / f"Main{number}.kt"
        file.write_text(f"{plans}\nfun main(arguments: Array<String>) = {call}\n")
        sources.append(file)
    done = compile_kotlin(sources, folder / "app.jar")
    assert done.returncode == 0, done.stderr
    return folder / "app.jar"


def use(jar: Path, main: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the target take code that is compiled already."""
    module = importlib.import_module("sanderling.deploy.android.jvm")  # sd.deploy is a function
    monkeypatch.setattr(module, "_compiled", lambda *_: jar)
    monkeypatch.setattr(module, "_MAIN", f"deployed.{main}Kt")


def test_the_code_answers_as_we_do(jar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(jar, "Main", monkeypatch)
    done = sd.deploy("digits", "android", tmp_path / "bundle", options={"kotlinc": kotlinc()})
    check = done.checks[1]
    assert check.passed, check
    assert check.examples == 3


def test_code_that_feeds_something_else_gives_no_bundle(
    jar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(jar, "Main", monkeypatch)
    right = value_table

    def spoilt(spec: Input, settings: ImageInput) -> np.ndarray:
        return right(spec, settings)[:, ::-1]

    monkeypatch.setattr(importlib.import_module("sanderling.deploy.plan"), "value_table", spoilt)
    with pytest.raises(DeployError, match="output 'what goes into image' is off by"):
        sd.deploy("digits", "android", tmp_path / "bundle", options={"kotlinc": kotlinc()})
    assert not (tmp_path / "bundle").exists()


def test_code_that_fails_is_one_sentence(
    jar: Path, deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(jar, "Main", monkeypatch)
    assets = deployed.folder / "app/src/main/assets"
    model = sd.load(assets / "model.tflite")
    order = Order(assets / "model.tflite", model, TaskSpec("classify"), (), (), False, {})
    (tmp_path / "assets").mkdir()
    with pytest.raises(DeployError, match=r"fails on the JVM: .*the file model/pixels\.bin is missing"):
        list(answered(order, jar, tmp_path / "assets", [assets / "model/0.png"], tmp_path))


def test_pictures_go_in_and_outputs_are_read_as_here(jar: Path, read: list[Case], tmp_path: Path) -> None:
    image = picture()
    (tmp_path / "picture.bin").write_bytes(np.asarray(image).tobytes())
    for i, case in enumerate(read):
        for name, anchors in meaning_of(case.spec, case.outputs, case.names, case.side).files.items():
            assert name == "anchors"
            (tmp_path / f"{len(case.outputs[0][0])}.bin").write_bytes(packed(anchors))
        for j, output in enumerate(case.outputs):
            (tmp_path / f"{i}_{j}.bin").write_bytes(packed(np.ascontiguousarray(output, np.float32)))
    command = ["java", "-Dstdout.encoding=UTF-8", "-cp", str(jar), "deployed.VariantsKt", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr.decode()
    text, *answers = ran.stdout.decode().splitlines()
    assert text == TEXT
    for i, (settings, side, channels) in enumerate(variants()):
        wanted = pixels_of(image, placed(image.size, side, settings), channels, settings)
        found = np.frombuffer((tmp_path / f"seen_{i}.bin").read_bytes(), np.uint8).reshape(wanted.shape)
        np.testing.assert_array_equal(found, wanted, err_msg=str((settings, side, channels)))
    for i, place in enumerate(places()):
        wanted = np.asarray(place.cut(image))
        found = np.frombuffer((tmp_path / f"cut_{i}.bin").read_bytes(), np.uint8).reshape(wanted.shape)
        assert np.abs(found.astype(int) - wanted).max() <= 1, i  # where rounding of a double decides
        assert (found == wanted).mean() > 0.999, i
    for case, line in zip(read, answers, strict=True):
        task = find_task(case.task)
        asked = Asked(tuple(case.names), case.side, case.placement, case.labels)
        right = task.answer(list(case.outputs), task.options(**case.options), asked)
        assert off(json.loads(line), right) <= 1, (case.task, case.options, line, right.data)
        rows = right.data.get("boxes") or right.data.get("classes") or right.data.get("points")
        assert rows, (case.task, case.options)  # there is something to compare


def test_real_models_are_answered_as_here(
    jar: Path, real: list[Zoo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not real:
        pytest.skip("no real models: shared/zoo is not there")
    for number, each in enumerate(real):
        use(jar, f"Main{number}", monkeypatch)
        done = sd.deploy(
            each.folder / "app/src/main/assets/model.tflite", "android", tmp_path / each.name,
            options={"kotlinc": kotlinc()}, **each.known,
        )  # fmt: skip
        assert done.checks[1].passed, (each.name, done.checks[1])


def test_a_detector_finds_what_the_model_sees(
    jar: Path, real: list[Zoo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not real:
        pytest.skip("no real models: shared/zoo is not there")
    number, face = next((i, each) for i, each in enumerate(real) if each.name == "face_landmark_fp16")
    use(jar, f"Main{number}", monkeypatch)
    assets = face.folder / "app/src/main/assets"
    pipeline = make_pipeline(assets / "model.tflite", engine="litert", threads=1, crop=face.known["crop"])
    try:
        ((_, answer, _),) = pipeline.examined(pipeline.sources(face.known["samples"]))
        finder, model = pipeline.cropper, pipeline.machine.model
        assert finder is not None
        found = Detector(Path(finder.machine.model.source or ""), finder.machine.model, finder.spec)
        order = Order(
            Path(model.source or ""), model, pipeline.spec, pipeline.machine.inputs, (), False, {}, found
        )
        (said,) = answered(order, jar, assets, [face.known["samples"]], tmp_path, whole=True)
    finally:
        pipeline.close()
    mine, right = said.answers[0]["points"], answer.data["points"]
    assert len(mine) == 468
    moved = np.abs(np.array(mine) - [[p["x"], p["y"]] for p in right]).max()
    assert moved < 0.1  # pixels; our detector's places are rounded to hundredths
