"""The bundle for microcontrollers: its array is the model, its self-test compiles, what cannot go is said.

With ``TFLITE_MICRO`` naming a source tree of TensorFlow Lite for Microcontrollers, the self-test is built
with it and run; ``TFLITE_MICRO_CMAKE`` holds further arguments of CMake.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.deploy.deploying import Deployed
from sanderling.deploy.microcontroller import source
from sanderling.deploy.microcontroller.operators import registrations
from sanderling.deploy.text import comment
from sanderling.engines.registry import find
from sanderling.engines.tflite_micro.operators import CUSTOM_KERNELS, KERNELS
from sanderling.errors import DeployError, UsageError
from sanderling.graph.graph import CUSTOM, Graph, Model, Node
from sanderling.tflite import read, write
from tests.models import Net, classifier, save

MICRO = find("tflite_micro").available()
pytestmark = pytest.mark.skipif(not MICRO, reason=f"TFLite Micro is not here: {MICRO.reason}")
HEADERS = Path(__file__).parent / "tflite_micro_headers"
METHODS = frozenset(
    re.findall(r"TfLiteStatus Add(\w+)\(", (HEADERS / "tensorflow/lite/micro/stand_in.h").read_text())
)


def quantized(model: Model, folder: Path, name: str = "net", *steps: Step, **settings: object) -> Path:
    """Writes a model in full integers."""
    file = save(model, folder / "float.tflite")
    rng = np.random.default_rng(0)
    shape = model.main.tensors[model.main.inputs[0]].shape
    feeds = save_feeds(
        ({model.input_names()[0]: rng.random(shape, np.float32)} for _ in range(16)), folder / "feeds"
    )
    static = Step("static_int8", {"io": "int8", **settings})
    apply(Recipe("x", (*steps, static)), file, folder / f"{name}.tflite", calibration=feeds)
    return folder / f"{name}.tflite"


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantized(classifier(), tmp_path_factory.mktemp("model"), one_scale=["FULLY_CONNECTED"])


@pytest.fixture(scope="module")
def deployed(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return sd.deploy(model_file, "microcontroller", tmp_path_factory.mktemp("mcu") / "bundle")


def compiled(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{bundle}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_it_is_tried_in_tflite_micro_and_not_claimed_to_be_built(deployed: Deployed) -> None:
    interpreted, built = deployed.checks
    assert interpreted.passed
    assert interpreted.examples == 3
    assert built.reason.startswith("not built")
    assert "not built" in (deployed.folder / "README.md").read_text()
    assert any("bit for bit" in note for note in deployed.bundle["notes"])


def test_the_array_is_the_model(deployed: Deployed, model_file: Path) -> None:
    text = (deployed.folder / "model.cc").read_bytes()
    assert source.bytes_of(text) == model_file.read_bytes()
    assert b"alignas(16) const unsigned char kModel[]" in text


def test_the_arena_was_measured_and_has_headroom(deployed: Deployed, model_file: Path) -> None:
    told = deployed.bundle["microcontroller"]
    assert told["arena_bytes"] > told["arena_least_bytes"] >= told["arena_recorded_bytes"] > 0
    assert told["flash_bytes"] == model_file.stat().st_size
    header = (deployed.folder / "model.h").read_text()
    assert f"kArenaBytes = {told['arena_bytes']};" in header
    assert f"recorded {told['arena_recorded_bytes']} bytes" in header


def test_just_its_operators_are_registered(deployed: Deployed, model_file: Path) -> None:
    text = (deployed.folder / "operators.h").read_text()
    kinds = {node.kind for node in read(model_file).main.nodes}
    assert f"MicroMutableOpResolver<{len(kinds)}>" in text
    assert len(re.findall(r"operators\.Add\w+\(\)", text)) == len(kinds)
    assert "AddMaxPool2D()" in text


def test_every_operator_of_tflite_micro_has_its_method() -> None:
    nodes = [Node(kind, (), ()) for kind in KERNELS]
    nodes += [Node(CUSTOM, (), (), custom_code=kind) for kind in CUSTOM_KERNELS]
    found = registrations(Model((Graph((), tuple(nodes), (), ()),)))
    assert len(found) == len(nodes)
    assert {name.removeprefix("Add") for name in found.values()} <= METHODS


def test_the_sources_compile(deployed: Deployed, tmp_path: Path) -> None:
    for name in ("main.cc", "model.cc", "examples.cc"):
        headers = f"-I{HEADERS}"
        done = compiled(
            deployed.folder, headers, "-c", str(deployed.folder / name), "-o", str(tmp_path / "x.o")
        )
        assert done.returncode == 0, done.stderr


def test_what_is_compiled_is_the_model_the_examples_and_the_scales(
    deployed: Deployed, model_file: Path, tmp_path: Path
) -> None:
    program = tmp_path / "print.cc"
    program.write_text(
        """
        #include <cstdio>
        #include "examples.h"
        int main() {
          unsigned hash = 0;
          for (std::size_t i = 0; i < model::kModelBytes; ++i) hash = hash * 31 + model::kModel[i];
          const auto* given = static_cast<const signed char*>(examples::kGiven[1][0]);
          const auto* answer = static_cast<const signed char*>(examples::kAnswers[2][0]);
          std::printf("%u %d %d ", hash, given[5], answer[3]);
          const model::Port& port = model::kOutputs[0];
          std::printf("%.9g ", model::Dequantize<signed char>(-127, port));
          const int half = model::Quantize<signed char>(0.5f, port);
          const int most = model::Quantize<signed char>(9.0f, port);
          std::printf("%d %d\\n", half, most);
        }
        """
    )
    sources = [str(program), *(str(deployed.folder / name) for name in ("model.cc", "examples.cc"))]
    done = compiled(deployed.folder, *sources, "-o", str(tmp_path / "print"))
    assert done.returncode == 0, done.stderr
    said = subprocess.run(
        [str(tmp_path / "print")], capture_output=True, text=True, check=True
    ).stdout.split()
    expected = 0
    for byte in model_file.read_bytes():
        expected = (expected * 31 + byte) & 0xFFFFFFFF
    assert int(said[0]) == expected
    with np.load(replayed(deployed, model_file, tmp_path)) as arrays:
        assert int(said[1]) == arrays["given1"].reshape(-1)[5]
        assert int(said[2]) == arrays["answer2"].reshape(-1)[3]
    assert float(said[3]) == pytest.approx(1 / 256)
    assert said[4:] == ["0", "127"]


def replayed(deployed: Deployed, model_file: Path, folder: Path) -> Path:
    """Writes the second example's input, and the third one's answer by LiteRT's reference kernels."""
    text = (deployed.folder / "examples.cc").read_text()
    rows = re.findall(r"kGiven(\d)_0\[\] = \{([^}]*)\}", text)
    given = {int(k): np.array([int(v) for v in row.split(",") if v.strip()], np.int8) for k, row in rows}
    runner = find("litert").load(model_file, read(model_file), options={"kernels": "reference"})
    answer = runner.run([given[2].reshape(runner.inputs[0].type.shape)])[0]
    runner.close()
    np.savez(folder / "arrays.npz", given1=given[1], answer2=answer)
    return folder / "arrays.npz"


@pytest.mark.skipif(not os.environ.get("TFLITE_MICRO"), reason="TFLITE_MICRO names no source tree")
def test_the_self_test_runs_with_tflite_micros_sources(model_file: Path, tmp_path: Path) -> None:
    given = {"tflite-micro": os.environ["TFLITE_MICRO"], "cmake": os.environ.get("TFLITE_MICRO_CMAKE", "")}
    done = sd.deploy(model_file, "microcontroller", tmp_path / "bundle", options=given)
    assert done.checks[1].passed
    assert done.checks[1].examples == 3


def test_sources_that_are_none_are_named(model_file: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    with pytest.raises(
        DeployError, match=r"the self-test cannot be built: .*TFLITE_MICRO is to name a source tree"
    ):
        sd.deploy(model_file, "microcontroller", tmp_path / "x", options={"tflite-micro": str(tmp_path)})
    assert not (tmp_path / "x").exists()


def test_weights_of_few_values_become_tables(tmp_path: Path) -> None:
    net = Net((1, 400)).dense(64).dense(4).model()
    file = quantized(net, tmp_path, "net", Step("share", {"values": 16, "fit": False}))
    plain = sd.deploy(file, "microcontroller", tmp_path / "plain")
    packed = sd.deploy(file, "microcontroller", tmp_path / "packed", options={"look-up-tables": "yes"})
    told, before = packed.bundle["microcontroller"], plain.bundle["microcontroller"]
    assert told["look_up_tables"] == 1
    assert told["flash_bytes"] < 0.65 * before["flash_bytes"]
    assert told["arena_bytes"] > before["arena_bytes"]  # where they are unpacked
    assert "AddDecode()" in (packed.folder / "operators.h").read_text()
    assert (packed.folder / "examples.cc").read_bytes() == (plain.folder / "examples.cc").read_bytes()


def test_a_model_with_tables_is_deployed_as_it_is(tmp_path: Path) -> None:
    net = Net((1, 400)).dense(64).dense(4).model()
    plain = quantized(net, tmp_path, "net", Step("share", {"values": 16, "fit": False}))
    apply(Recipe("x", (Step("look_up_tables"),)), plain, tmp_path / "packed.tflite")
    done = sd.deploy(tmp_path / "packed.tflite", "microcontroller", tmp_path / "bundle")
    assert done.bundle["microcontroller"]["look_up_tables"] == 1
    assert done.bundle["microcontroller"]["flash_bytes"] < 0.65 * plain.stat().st_size
    assert done.bundle["model"]["name"] == "packed"


def test_without_few_values_the_model_stays_and_that_is_said(model_file: Path, tmp_path: Path) -> None:
    done = sd.deploy(model_file, "microcontroller", tmp_path / "x", options={"look-up-tables": "yes"})
    assert done.bundle["microcontroller"]["look_up_tables"] == 0
    assert any("no weights have so few values" in note for note in done.bundle["notes"])
    with pytest.raises(UsageError, match="expected yes or no"):
        sd.deploy(model_file, "microcontroller", tmp_path / "y", options={"look-up-tables": "maybe"})


def resized(file: Path, folder: Path) -> Path:
    """Writes the same model with an input of any height and width."""
    model = read(file)
    tensors = list(model.main.tensors)
    index = model.main.inputs[0]
    tensors[index] = replace(tensors[index], shape_signature=(1, -1, -1, 1))
    write(model.with_main(replace(model.main, tensors=tuple(tensors))), folder / "resized.tflite")
    return folder / "resized.tflite"


def test_what_cannot_go_is_one_sentence(model_file: Path, tmp_path: Path) -> None:
    lacking = Net((1, 8)).dense(4)
    lacking.op("ROUND", (1, 4)).op("SIGN", (1, 4))
    floats = quantized(classifier(), tmp_path, "floats", io="float", everything=True)
    cases = {
        save(
            classifier(), tmp_path / "f.tflite"
        ): r"CONV_2D, MAX_POOL_2D, RESHAPE, FULLY_CONNECTED and 1 more "
        "compute in float, .* sanderling optimize --target microcontroller",
        floats: "'x' and 'y' are float, .* --io int8",
        save(lacking.model(), tmp_path / "lacking.tflite"): "TFLite Micro has no kernel for SIGN",
        resized(model_file, tmp_path): r"input '.*' has sizes that only a call tells \(\[1, -1, -1, 1\]\)",
    }
    for file, sentence in cases.items():
        with pytest.raises(DeployError, match=sentence):
            sd.deploy(file, "microcontroller", tmp_path / "bundle")
        assert not (tmp_path / "bundle").exists()


def test_a_models_names_stay_in_their_comments() -> None:
    assert comment("a\n*/ int x; \\") == "a__ int x; _"
    assert comment("what??/") == "what_/"


def test_numbers_are_literals_that_say_what_they_are() -> None:
    assert source.number_lines(np.array([-(2**63), 2**31, -5], np.int64)).split(", ") == [
        "    (-9223372036854775807LL - 1)", "2147483648LL", "-5,",
    ]  # fmt: skip
    for value in (1.0, 0.1, 3e-39, 123456789.0):
        assert np.float32(source.real(value).removesuffix("f")) == np.float32(value)
    assert source.bytes_of(source.byte_lines(bytes(range(256))).encode()) == bytes(range(256))


@pytest.mark.parametrize("name", ["resnet8_cifar10", "kws", "vww", "anomaly"])
def test_mlperf_tiny(name: str, zoo_dir: Path, tmp_path: Path) -> None:
    file = zoo_dir / "tflite" / f"mlperf_tiny_{name}_int8.tflite"
    done = sd.deploy(file, "microcontroller", tmp_path / "bundle")
    assert done.checks[0].passed
    exact = any("bit for bit" in note for note in done.bundle["notes"])
    # LiteRT's reference kernels round the sums of its fully connected layers in another way.
    assert exact or name == "anomaly"


def test_state_is_set_up(zoo_dir: Path, tmp_path: Path) -> None:
    file = zoo_dir / "tflite" / "okay_nabu_streaming_int8.tflite"
    done = sd.deploy(file, "microcontroller", tmp_path / "bundle")
    assert done.checks[0].passed
    assert done.bundle["microcontroller"]["variables"] == 6
    for name in ("main.cc", "examples.cc"):
        built = compiled(done.folder, f"-I{HEADERS}", "-fsyntax-only", str(done.folder / name))
        assert built.returncode == 0, built.stderr
    assert json.loads((done.folder / "bundle.json").read_text())["target"] == "microcontroller"
