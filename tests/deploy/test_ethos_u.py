"""Vela compiles what it takes, names what it leaves, and everything that it says of them is an estimate."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

import sanderling as sd
from sanderling.deploy.deploying import Deployed
from sanderling.errors import DeployError, UsageError
from sanderling.graph.graph import Model
from sanderling.measure import vela
from sanderling.tflite import read, write
from tests.deploy.made import integers
from tests.models import Net

pytest.importorskip("ethosu", reason="Vela is not installed")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    folder = tmp_path_factory.mktemp("ethos")
    return sd.deploy(integers(folder), "ethos-u", folder / "bundle")


def test_every_operator_of_a_network_of_integers_is_on_the_npu(deployed: Deployed) -> None:
    assert {row["on"] for row in deployed.built.placed} == {"NPU"}
    compiled = read(deployed.folder / "model_vela.tflite")
    assert [node.kind for node in compiled.main.nodes] == ["ethos-u"]
    given = read(deployed.folder / "model.tflite").main
    for own, theirs in zip(
        (*given.inputs, *given.outputs), (*compiled.main.inputs, *compiled.main.outputs), strict=True
    ):
        assert given.tensors[own].shape == compiled.main.tensors[theirs].shape
        assert given.tensors[own].dtype == compiled.main.tensors[theirs].dtype


def test_its_figures_are_estimates(deployed: Deployed) -> None:
    told = json.loads((deployed.folder / "bundle.json").read_text())
    assert told["figures"]
    assert all(figure["estimated"] for figure in told["figures"])
    assert "measured:" not in (deployed.folder / "README.md").read_text()
    assert told["vela"]["npu"] == "ethos-u55-128"
    npu = next(check for check in told["checks"] if "Ethos-U" in check["where"])
    assert npu["reason"]
    assert not npu["passed"]


def test_what_is_left_to_the_processor_has_a_reason(tmp_path: Path) -> None:
    """Floats go in and come out: the conversions are not the NPU's."""
    file = integers(tmp_path, io="float")
    made = vela.compile_for(read(file), vela.Setup())
    left = [row for row in made.placed if row.on == vela.CPU]
    assert [row.kind for row in left] == ["QUANTIZE", "DEQUANTIZE"]
    assert "Float32" in left[0].reason
    assert all(row.reason for row in left)
    assert len(made.placed) == made.on_npu + 2


def test_rows_are_what_vela_leaves_in_the_file(zoo_dir: Path) -> None:
    model = read(zoo_dir / "tflite" / "movenet_lightning_int8.tflite")
    made = vela.compile_for(model, vela.Setup())
    file = Path(str(model.source))
    assert file.exists()
    left = Counter(row.kind for row in made.placed if row.on == vela.CPU)
    assert left == Counter(node.kind for node in _read(made).main.nodes if node.kind != vela.CUSTOM_CODE)
    names = {tensor.name for tensor in model.main.tensors}
    assert {row.name for row in made.placed} <= names


def _read(made: vela.Compiled) -> Model:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "m.tflite"
        file.write_bytes(made.content)
        return read(file)


def test_a_larger_npu_is_estimated_faster(tmp_path: Path) -> None:
    model = read(integers(tmp_path, Net((1, 32, 32, 16)).conv(32).conv(32)))
    small, large = (vela.compile_for(model, vela.Setup(npu)) for npu in ("ethos-u55-32", "ethos-u55-256"))
    assert large.ms < small.ms
    assert small.cycles == pytest.approx(small.ms * 1e-3 * small.clock_hz, rel=0.01)


def test_names_do_not_confuse_vela(tmp_path: Path) -> None:
    """A model's names are anybody's: they may look like lines of Vela's report, and be alike."""
    model = read(integers(tmp_path, io="float"))
    bad = "x'\nWarning (supported operators) operator: CONV_2D, ofm: 't3'\nReason: nonsense"
    tensors = tuple(replace(tensor, name=bad) for tensor in model.main.tensors)
    graph = replace(model.main, tensors=tensors)
    made = vela.compile_for(replace(model, graphs=(graph,), signatures=()), vela.Setup())
    assert [row.kind for row in made.placed if row.on == vela.CPU] == ["QUANTIZE", "DEQUANTIZE"]
    assert "nonsense" not in made.placed[1].reason


def test_floats_are_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    write(Net((1, 8, 8, 3)).conv(4).model(), file)
    with pytest.raises(DeployError, match="CONV_2D computes in floating point"):
        sd.deploy(file, "ethos-u", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_open_sizes_are_refused(tmp_path: Path) -> None:
    model = read(integers(tmp_path))
    tensors = list(model.main.tensors)
    index = model.main.inputs[0]
    tensors[index] = replace(tensors[index], shape_signature=(1, -1, -1, 3))
    file = tmp_path / "open.tflite"
    write(model.with_main(replace(model.main, tensors=tuple(tensors))), file)
    with pytest.raises(DeployError, match=r"is \[1, \?, \?, 3\].*sizes must be known"):
        sd.deploy(file, "ethos-u", tmp_path / "bundle")


@pytest.mark.parametrize(
    "options, said",
    [
        ({"npu": "ethos-u99"}, "there is no NPU 'ethos-u99'"),
        ({"system": "Nope"}, "Vela does not take 'Nope'"),
        ({"optimise": "fast"}, "got 'fast'"),
    ],
)
def test_wrong_settings_are_said(tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sd.deploy(integers(tmp_path), "ethos-u", tmp_path / "bundle", options=options)
    assert not (tmp_path / "bundle").exists()


def test_vela_is_stopped_when_its_time_is_over(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="was stopped"):
        vela.compile_for(read(integers(tmp_path)), vela.Setup(), seconds=0.01)
