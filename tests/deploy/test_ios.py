"""The project for iOS: its files, Swift that parses, and its C++ program, compiled and run here."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling.deploy.deploying import Deployed
from sanderling.errors import DeployError, UsageError
from sanderling.graph.graph import Model
from sanderling.tflite import read
from sanderling.tflite.metadata import label_names
from tests.deploy.phone_tools import fetched, unpack_stubs
from tests.models import Net, save

ASSETS = "Deployed/Sources/Deployed/Assets"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return sd.deploy("digits", "ios", tmp_path_factory.mktemp("ios") / "bundle")


def test_what_was_not_tried_is_said(deployed: Deployed) -> None:
    told = json.loads((deployed.folder / "bundle.json").read_text())
    assert told["checks"][0]["passed"]
    assert told["checks"][-1]["reason"].startswith("not built here")
    readme = (deployed.folder / "README.md").read_text()
    assert "**Not built here**" in readme
    assert "{{" not in readme
    assert str(Path(sd.__file__).parent) not in json.dumps(told)


def test_the_model_names_its_classes(deployed: Deployed) -> None:
    assert label_names(read(deployed.folder / ASSETS / "model.tflite")) == tuple("0123456789")


def objects(project: str) -> dict[str, str]:
    """Returns: the kinds of a project's objects, by their identifiers."""
    return dict(re.findall(r"\t\t(D\d{23})(?: /\*.*?\*/)? = \{\n\t\t\tisa = (\w+);", project))


def test_the_project_names_only_what_it_holds(deployed: Deployed) -> None:
    project = (deployed.folder / "App.xcodeproj/project.pbxproj").read_text()
    assert project.count("{") == project.count("}")
    assert project.count("(") == project.count(")")
    found = objects(project)
    assert set(re.findall(r"D\d{23}", project)) == set(found)
    assert list(found.values()).count("PBXNativeTarget") == 1
    assert 'PRODUCT_BUNDLE_IDENTIFIER = "com.example.digits";' in project
    assert (deployed.folder / "Deployed/Package.swift").is_file()
    assert (deployed.folder / "App/DeployedApp.swift").is_file()


def errors(node: object) -> Iterator[str]:
    """Yields: what a parser could not read."""
    if node.type == "ERROR" or node.is_missing:  # type: ignore[attr-defined]
        yield f"line {node.start_point[0] + 1}: {node.text.decode()[:60]!r}"  # type: ignore[attr-defined]
    elif node.has_error:  # type: ignore[attr-defined]
        for child in node.children:  # type: ignore[attr-defined]
            yield from errors(child)


def swift_errors(folder: Path) -> dict[str, list[str]]:
    import tree_sitter_swift
    from tree_sitter import Language, Parser

    parser = Parser(Language(tree_sitter_swift.language()))
    files = sorted(folder.rglob("*.swift"))
    assert files
    found = {file.name: list(errors(parser.parse(file.read_bytes()).root_node)) for file in files}
    return {name: wrong for name, wrong in found.items() if wrong}


def test_swift_parses(deployed: Deployed, tmp_path: Path) -> None:
    assert swift_errors(deployed.folder) == {}
    (tmp_path / "Broken.swift").write_text("func broken( { return }")
    assert swift_errors(tmp_path)  # the parser does see what is wrong


def declared(file: Path, pattern: str) -> dict[str, list[str]]:
    """Returns: the fields of each class or struct that a file declares."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", file.read_text(), flags=re.DOTALL)
    found = {}
    for name, body in re.findall(pattern, text, flags=re.DOTALL):
        found[name] = re.findall(r"\b(?:val|let) (\w+):", body)
    return found


def test_both_apps_know_the_same_of_a_model() -> None:
    folder = Path(sd.__file__).parent / "deploy"
    kotlin = declared(folder / "android/files/core/Plan.kt", r"\bclass (\w+)\((.*?)\n?\)(?: : Task\(\))?\n")
    swift = declared(folder / "ios/files/Deployed/Plan.swift", r"\bstruct (\w+)(?:: \w+)? \{(.*?)\n\}")
    assert len(kotlin) == 9
    assert kotlin == {name: fields for name, fields in swift.items() if name != "Files"}


def with_sizes(*sizes: int) -> Model:
    """A model whose input may be of any size where −1 stands."""
    model = Net((1, 8)).dense(4).model()
    graph = model.main
    last = graph.outputs[0]
    marked = {graph.inputs[0]: sizes, last: (sizes[0], 4)}
    tensors = tuple(replace(each, shape_signature=marked.get(i, ())) for i, each in enumerate(graph.tensors))
    return replace(model, graphs=(replace(graph, tensors=tensors),))


def test_a_model_of_any_size_is_refused(tmp_path: Path) -> None:
    file = save(with_sizes(1, -1), tmp_path / "net.tflite")
    with pytest.raises(DeployError, match=r"input 'x' takes any size \(float32\[1,\?\]\)"):
        sd.deploy(file, "ios", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_batch_of_any_size_is_a_batch_of_one(tmp_path: Path) -> None:
    file = save(with_sizes(-1, 8), tmp_path / "net.tflite")
    done = sd.deploy(file, "ios", tmp_path / "bundle")
    plans = (done.folder / "Deployed/Sources/Deployed/Plans.swift").read_text()
    assert "dims: [1, 8]" in plans
    assert "dims: [1, 4]" in plans


def test_an_id_that_is_none_is_refused(tmp_path: Path) -> None:
    for name in ("example", 'com.a";x', "com.ex ample", "../x"):
        with pytest.raises(UsageError, match="is no id of an app"):
            sd.deploy("digits", "ios", tmp_path / "bundle", options={"bundle-id": name})


def compiled(folder: Path, include: Path) -> subprocess.CompletedProcess[str]:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no C++ compiler is installed")
    command = [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{include}"]
    return subprocess.run(
        [*command, str(folder / "cpp/self_test.cc")], capture_output=True, text=True, check=False, timeout=120
    )


def test_the_metal_delegate_compiles_against_its_names(deployed: Deployed, tmp_path: Path) -> None:
    done = compiled(deployed.folder, unpack_stubs("tflite.txt", tmp_path))
    assert done.returncode == 0, done.stderr


def library() -> str:
    return str(fetched("tflite-c"))


def test_the_cpp_program_answers_right(tmp_path: Path) -> None:
    done = sd.deploy("digits", "ios", tmp_path / "bundle", options={"tflite-c": library()})
    check = done.checks[1]
    assert check.passed, check
    assert check.examples == 3


def test_a_wrong_answer_gives_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    build = importlib.import_module("sanderling.deploy.ios.build")
    right = build.self_test

    def spoilt(order: object, folder: Path, assets: Path, tell: object) -> object:
        file = assets / "model" / "1_out_0.bin"
        data = bytearray(file.read_bytes())
        data[-40:] = np.full(10, 0.1, np.float32).tobytes()
        file.write_bytes(bytes(data))
        return right(order, folder, assets, tell)

    monkeypatch.setattr(build, "self_test", spoilt)
    with pytest.raises(DeployError, match="output 'probabilities' is off by"):
        sd.deploy("digits", "ios", tmp_path / "bundle", options={"tflite-c": library()})
    assert not (tmp_path / "bundle").exists()


def test_a_folder_without_the_library_is_said(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"holds no tensorflow/lite/c/c_api\.h"):
        sd.deploy("digits", "ios", tmp_path / "bundle", options={"tflite-c": str(tmp_path)})
