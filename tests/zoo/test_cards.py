"""The cards: complete, consistent, and what the guide says of them."""

from __future__ import annotations

import datetime
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from sanderling import zoo
from sanderling.zoo.figures import reference

FOLDER = Path(zoo.__file__).parent
SHA256 = re.compile(r"[0-9a-f]{64}")
# SPDX identifiers of licences that let anybody use, change and pass on what they cover.
FREE = {"Apache-2.0", "MIT", "Zlib", "BSD-2-Clause", "BSD-3-Clause"}
KEYS = {
    "name", "summary", "task", "subject", "input", "output", "input_shape", "quality", "package", "path",
    "size_bytes", "sha256", "beside", "build", "convert",
}  # fmt: skip
TOOL = Path(__file__).parents[2] / "tools" / "make_zoo_table.py"


def card(name: str) -> zoo.Published:
    found = zoo.describe(name)
    assert isinstance(found, zoo.Published)
    return found


def test_there_is_something_for_every_kind_of_task() -> None:
    tasks = [zoo.describe(name).task for name in zoo.names()]
    assert len(tasks) >= 20
    assert {"classify", "detect", "segment", "landmarks"} <= set(tasks)


@pytest.mark.parametrize("name", zoo.published())
def test_a_card_is_complete(name: str) -> None:
    found = card(name)
    assert found.name == name
    assert re.fullmatch(r"[a-z0-9_]+", name)
    for text in (found.summary, found.subject, found.input, found.output):
        assert text.strip() == text != ""
        assert "\n" not in text
    assert len(found.summary) <= 110
    assert set(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))) <= KEYS
    for part in found.parts:
        assert SHA256.fullmatch(part.sha256)
        assert 0 < part.size_bytes < 100_000_000
        assert part.path
        assert Path(part.name).name == part.name
    assert found.kind in (".tflite", ".onnx", ".h5", ".hdf5", ".keras", ".pt2") or found.build
    assert len(set(found.classes)) == len(found.classes)
    assert all(isinstance(size, int) and (size > 0 or size == -1) for size in found.input_shape)
    if found.crop_with:
        assert zoo.describe(found.crop_with).task == "detect"
    if found.quality is not None:
        assert 0 < found.quality.value <= 1
        assert found.quality.source


@pytest.mark.parametrize("name", zoo.published())
def test_its_package_is_pinned_and_free(name: str) -> None:
    package = card(name).package
    assert SHA256.fullmatch(package.sha256)
    stem = f"{re.sub('[-_.]+', '_', package.name)}-{package.version}-"
    assert package.file.lower().startswith(stem.lower())
    assert package.file.endswith(".whl")
    assert set(re.split(r" AND ", package.license)) <= FREE
    assert "wheel" in package.stated


@pytest.mark.parametrize("name", zoo.names())
@pytest.mark.skipif(
    importlib.util.find_spec("sanderling.tasks.spec") is None, reason="nothing reads tasks yet"
)
def test_its_task_is_one_that_can_be_run(name: str) -> None:
    spec = importlib.import_module("sanderling.tasks.spec")
    found = spec.from_json(zoo.describe(name).spec, name)
    assert found.name == zoo.describe(name).task
    assert found.inputs
    assert found.labels == zoo.describe(name).classes


def test_every_package_is_used() -> None:
    used = {
        json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["package"]
        for name in zoo.published()
    }
    assert used == {file.stem for file in (FOLDER / "packages").glob("*.json")}


def test_no_two_cards_are_the_same_file() -> None:
    hashes = [card(name).model.sha256 for name in zoo.published()]
    assert len(set(hashes)) == len(hashes)


def test_figures_are_of_models_that_there_are() -> None:
    known = reference()
    assert known.device
    assert datetime.date.fromisoformat(known.date) <= datetime.date.today() + datetime.timedelta(days=1)
    assert set(known.figures) <= set(zoo.names())
    native = [name for name in zoo.published() if card(name).kind == ".tflite"]
    assert {*native, *zoo.bundled()} <= set(known.figures), "run: python benchmarks/zoo_figures.py"
    assert all(0 < figure.p50 <= figure.p90 for figure in known.figures.values())


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_zoo_table", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_guide_has_the_cards_table() -> None:
    made = tool()
    assert made.page() == made.TARGET.read_text(encoding="utf-8"), "run: python tools/make_zoo_table.py"
