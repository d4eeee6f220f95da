"""The page is opened in Chromium as a person would, from a file, and answers, compares and times itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sanderling as sd
from sanderling.deploy.deploying import Deployed
from sanderling.deploy.web import constants
from sanderling.deploy.web.browser import lacking, launched, opened, settled
from sanderling.errors import DeployError
from sanderling.graph.graph import Model
from sanderling.graph.types import DType, TensorType
from sanderling.measure.elsewhere import read_results
from sanderling.tflite import write
from tests.models import Net
from tests.webgpu.conftest import missing

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if lacking():
        missing(lacking())
    with launched("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as found:
        yield found


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    if lacking():
        missing(lacking())
    return sd.deploy("digits", "web", tmp_path_factory.mktemp("web") / "bundle")


@pytest.fixture(scope="module")
def page(deployed: Deployed, chromium: Any) -> Any:
    found = opened(chromium, deployed.folder / "index.html", viewport=PHONE)
    settled(found)
    return found


def show(page: Any, image: Image.Image) -> list[dict[str, Any]]:
    """Gives the page a picture. Returns: what it answers."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    found: list[dict[str, Any]] = page.evaluate(
        """async (bytes) => {
          await sanderling.showFile(new Blob([new Uint8Array(bytes)]));
          return sanderling.page.shown.answers.map(({ rows, data }) => ({ rows, data }));
        }""",
        list(buffer.getvalue()),
    )
    return found


def test_it_was_tried(deployed: Deployed) -> None:
    (check,) = deployed.checks
    assert check.passed
    assert check.examples == 3
    assert "Chromium" in check.where
    assert {"index.html", "README.md"} <= {path.name for path in deployed.folder.iterdir()}


def test_it_is_small(deployed: Deployed) -> None:
    told = deployed.bundle["web"]
    assert (deployed.folder / "index.html").stat().st_size == told["page_bytes"]
    assert told["page_bytes"] <= 1.25 * told["stored_weights_bytes"] + 150_000


def test_it_says_so_in_the_page(page: Any) -> None:
    assert page.inner_text("#verdict") == "Correct on this device"
    assert page.inner_text("#outputs td") == "probabilities"
    assert page.title() == "digits"
    assert page.inner_text("#hint") == ""


def test_pictures_are_answered_as_the_library_does(page: Any, tmp_path: Path) -> None:
    pixels = next(iter(np.load(Path(sd.__file__).parent / "zoo" / "digits" / "samples.npz").values()))
    for number, row in enumerate(pixels[:4]):
        image = Image.fromarray(row.squeeze().astype(np.uint8))
        image = image if number % 2 else image.resize((90, 70), Image.Resampling.BICUBIC)
        image.save(tmp_path / "digit.png")
        (here,) = sd.run("digits", str(tmp_path / "digit.png"))
        assert here.answer is not None
        (there,) = show(page, image)
        right = here.answer.data["classes"]
        assert [each["name"] for each in there["rows"]] == [each["label"] for each in right]
        assert [each["share"] for each in there["rows"]] == pytest.approx(
            [each["score"] for each in right], abs=1e-4
        )


def test_the_answer_is_drawn(page: Any) -> None:
    page.evaluate("() => document.querySelector('#sample').click()")
    page.wait_for_function("() => document.querySelectorAll('#answer li').length > 1")
    wide, high, seen = page.evaluate(
        """() => {
          const view = document.querySelector("#view");
          const { data } = view.getContext("2d").getImageData(0, 0, view.width, view.height);
          return [view.clientWidth, view.clientHeight, new Set(data).size];
        }"""
    )
    assert wide == high == PHONE["width"] - 32
    assert seen > 10
    assert page.evaluate("() => document.documentElement.scrollWidth") == PHONE["width"]


def test_the_benchmark(page: Any, deployed: Deployed, tmp_path: Path) -> None:
    """`bench --from` reads its result."""
    page.click("#bench")
    page.wait_for_selector("#result:not([hidden])")
    told = json.loads(page.inner_text("#json"))
    assert told["sanderling_bench"] == 1
    assert told["engine"] == "webgpu"
    assert told["model"] == "digits"
    assert told["sha256"] == deployed.bundle["model"]["sha256"]
    assert told["precision"] == "f32"
    assert 0 < told["p50_ms"] <= told["p90_ms"]
    assert told["runs"] >= 20
    assert told["correct"] is True
    assert "Chrome" in told["device"]["user_agent"]
    assert re.match(r"\d{4}-\d\d-\d\dT", told["date"])
    (tmp_path / "result.json").write_text(page.inner_text("#json"))
    (row,) = read_results(tmp_path / "result.json")
    assert (row.model, row.p50_ms, row.correct) == ("digits", told["p50_ms"], True)
    assert "swiftshader" in row.device


def test_the_camera(deployed: Deployed, chromium: Any) -> None:
    """Frames are answered until it is stopped, and the page then goes on with pictures."""
    page = opened(chromium, deployed.folder / "index.html", viewport=PHONE)
    settled(page)
    page.click("#camera")
    page.wait_for_function("() => /^[1-9].* fps, model /.test(document.querySelector('#rate').textContent)")
    assert page.inner_text("#camera") == "Stop"
    page.click("#camera")
    page.click("#sample")
    page.wait_for_function("() => document.querySelector('#rate').textContent.startsWith('model ')")
    assert page.inner_text("#camera") == "Camera"
    assert page.inner_text("#hint") == ""
    page.close()


def test_where_16_bits_are_too_few_32_are_taken(deployed: Deployed, chromium: Any) -> None:
    """The adapter here has no 16 bits: a program that is off by more than it may stands for one."""
    page = opened(chromium, deployed.folder / "index.html")
    settled(page)
    page.wait_for_function("() => globalThis.sanderling.page")
    page.evaluate(
        """() => {
          const { device, head } = sanderling.page, select = document.querySelector("#precision");
          device.half = true;
          head.model.programs.float16 = head.model.programs.float32;
          head.tolerance.float16 = [1e-9];
          select.value = "float16";
          select.dispatchEvent(new Event("change"));
        }"""
    )
    page.wait_for_function("() => document.querySelector('#trust').textContent.startsWith('In 16 bits')")
    assert settled(page)["state"] == "right"
    assert "times what is allowed: computing in 32" in page.inner_text("#trust")
    assert page.input_value("#precision") == "float32"
    page.close()


def test_what_is_no_picture(page: Any) -> None:
    """It is said, and the page goes on."""
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.wait_for_function(
        "() => document.querySelector('#hint').textContent.startsWith('That did not work')"
    )
    assert show(page, Image.new("L", (28, 28)))


def test_without_webgpu_it_says_what_to_enable(deployed: Deployed, chromium: Any) -> None:
    hide = "Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined })"
    page = opened(chromium, deployed.folder / "index.html", hide)
    assert settled(page)["state"] == "unable"
    assert "--enable-unsafe-webgpu" in page.inner_text("#hint")
    assert page.inner_text("#verdict") == "Cannot run here"
    page.close()


def test_each_browser_has_its_sentence(page: Any) -> None:
    agents = {
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile Safari/604.1": "Feature Flags",
        "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0": "dom.webgpu.enabled",
        "Mozilla/5.0 (Linux; Android 11) Chrome/120.0 Mobile Safari/537.36": "Android 12",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X) Version/18.0 Safari/605.1": "version 26",
        "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0 Safari/537.36": "Vulkan",
        "Mozilla/5.0 (Windows NT 10.0) Chrome/110.0 Safari/537.36": "113",
    }
    for agent, word in agents.items():
        assert word in page.evaluate("(agent) => sanderling.enabling(agent)", agent)


EVIL = "</script><img src=x onerror=\"document.title='owned'\">'`${1}"


def test_names_and_labels_are_not_trusted(tmp_path: Path, chromium: Any) -> None:
    graph = Net((1, 12, 12, 3)).conv(4).reshape(1, 576).dense(3).softmax().model().main
    tensors = [*graph.tensors]
    tensors[graph.outputs[0]] = replace(tensors[graph.outputs[0]], name=EVIL)
    file, labels = tmp_path / "a<b>&c.tflite", tmp_path / "labels.txt"
    write(Model((replace(graph, tensors=tuple(tensors)),)), file)
    labels.write_text("\n".join([EVIL, "<b>bold</b>", "&amp;"]))
    done = sd.deploy(file, "web", tmp_path / "bundle", labels=str(labels), task="classify")
    page = opened(chromium, done.folder / "index.html")
    settled(page)
    (answer,) = show(page, Image.new("RGB", (30, 20), (200, 90, 10)))
    assert {row["name"] for row in answer["rows"]} == {EVIL, "<b>bold</b>", "&amp;"}
    assert set(page.locator("#answer .name").all_text_contents()) == {EVIL, "<b>bold</b>", "&amp;"}
    assert page.locator("img, b").count() == 0
    assert page.title() == done.bundle["model"]["name"]
    assert EVIL in page.locator("#outputs td").all_text_contents()
    page.close()


def test_no_other_script_runs_and_nothing_is_asked_for(deployed: Deployed, chromium: Any) -> None:
    page, asked = chromium.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((deployed.folder / "index.html").as_uri())
    settled(page)
    refused = page.evaluate(
        """async () => {
          const script = document.createElement("script");
          script.textContent = "globalThis.ran = true";
          document.head.append(script);
          const fetched = await fetch("data:text/plain,x").then(() => true, () => false);
          return [globalThis.ran === true, fetched];
        }"""
    )
    assert refused == [False, False]
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == 1
    page.close()


def test_a_wrong_answer_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page computes with other weights than the model's: there is no bundle."""
    if lacking():
        missing(lacking())
    kept = constants._rule
    monkeypatch.setattr(constants, "_rule", lambda raw, steps, blob: kept(raw ^ 0x80, None, blob))
    file = tmp_path / "net.tflite"
    write(Net((1, 12, 12, 3)).conv(4).reshape(1, 576).dense(3).model(), file)
    with pytest.raises(DeployError, match=r"is off by .* times what is allowed"):
        sd.deploy(file, "web", tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == [file]


def test_models_without_pictures(tmp_path: Path, chromium: Any) -> None:
    file = tmp_path / "net.tflite"
    write(Net((1, 8)).dense(4).model(), file)
    done = sd.deploy(file, "web", tmp_path / "bundle")
    assert done.checks[0].passed
    page = opened(chromium, done.folder / "index.html")
    settled(page)
    assert "takes no pictures" in page.inner_text("#notes")
    assert not page.is_visible("#camera")
    assert page.evaluate("() => sanderling.bench()")["runs"] >= 20
    page.close()


def rank_6() -> Model:
    shape = (1, 1, 1, 1, 2, 3)
    return Net(shape).op("ADD", shape, (0,), "AddOptions", fused_activation_function="NONE").model()


def without_a_kernel() -> Model:
    model = Net((1, 8)).op("WHERE", (8, 2)).model()
    found = replace(model.main.tensors[-1], type=TensorType((8, 2), DType.INT64))
    return model.with_main(replace(model.main, tensors=(*model.main.tensors[:-1], found)))


def of_any_size() -> Model:
    model = Net((1, 8)).op("ABS", (1, 8), (), "AbsOptions").model()
    tensors = [replace(each, shape_signature=(-1, -1)) for each in model.main.tensors]
    return model.with_main(replace(model.main, tensors=tuple(tensors)))


@pytest.mark.parametrize(
    "made, said",
    [(rank_6, "ADD: .* rank 6, .* 5"), (without_a_kernel, "WHERE: "), (of_any_size, "takes .*any size")],
)  # fmt: skip
def test_what_a_browser_cannot_run_is_named(tmp_path: Path, made: Callable[[], Model], said: str) -> None:
    file = tmp_path / "net.tflite"
    write(made(), file)
    with pytest.raises(DeployError, match=said):
        sd.deploy(file, "web", tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == [file]
