"""PyTorch programs come out with their answers, names and shapes, and without transposes in between."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import sanderling as sd
from sanderling.convert.conversion import Conversion, Wishes
from sanderling.convert.torch import CONVERTER
from sanderling.errors import ConvertError, UsageError
from sanderling.graph.graph import Model
from sanderling.tflite import write
from tests.convert.torch_networks import (
    Normalized,
    Recommender,
    Recurrent,
    Shuffle,
    UNet,
    Vision,
    settle,
)

IMAGE = torch.zeros(1, 3, 32, 32)
CONVOLUTIONS = {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"}
CASES = {
    "unet": (UNet(), (IMAGE,), 0),
    "shuffle": (Shuffle(), (IMAGE,), 2),  # what is shuffled are the channels: two times
    "normalized": (Normalized(), (IMAGE,), 0),
    "vision": (Vision(), (IMAGE,), None),  # attention transposes, behind the only convolution
    "recommender": (Recommender(), (torch.ones(1, dtype=torch.int64),) * 2 + (torch.ones(1),), None),
    "lstm": (Recurrent("LSTM", num_layers=2, bidirectional=True), (torch.zeros(1, 7, 6),), None),
    "lstm with a state": (
        Recurrent("LSTM"), (torch.zeros(1, 7, 6), torch.zeros(1, 1, 10), torch.zeros(1, 1, 10)), None,
    ),
    "gru": (Recurrent("GRU"), (torch.zeros(1, 7, 6),), None),
}  # fmt: skip


def error(conversion: Conversion, folder: Path, seed: int = 0) -> float:
    """Returns: the largest difference between source and result, as a share of the output's scale."""
    path = folder / "model.tflite"
    write(conversion.model, path)
    model, rng = conversion.model, np.random.default_rng(seed)
    given = []
    for index in model.main.inputs:
        kind = model.main.tensors[index].type
        whole = not kind.dtype.is_float
        values = rng.integers(0, 9, kind.shape) if whole else rng.standard_normal(kind.shape)
        given.append(values.astype(kind.dtype.numpy))
    got = sd.Session(path)(dict(zip(model.input_names(), given, strict=True)))
    worst = 0.0
    for name, want in zip(model.output_names(), conversion.reference(given), strict=True):
        found = np.asarray(got[name])
        assert found.shape == want.shape
        scale = max(float(np.abs(want).max()), 1e-6)
        worst = max(worst, float(np.abs(found.astype(np.float64) - want).max()) / scale)
    return worst


def between_convolutions(model: Model) -> int:
    """Returns: how many TRANSPOSEs read, however far, from a convolution, and are read by another."""
    graph = model.main
    after = {i for node in graph.nodes if node.op in CONVOLUTIONS for i in node.outputs}
    for node in graph.nodes:
        if after & set(node.inputs):
            after |= set(node.outputs)
    before = {i for node in graph.nodes if node.op in CONVOLUTIONS for i in node.inputs}
    for node in reversed(graph.nodes):
        if before & set(node.outputs):
            before |= set(node.inputs)
    moved = [node for node in graph.nodes if node.op == "TRANSPOSE"]
    return sum(node.inputs[0] in after and node.outputs[0] in before for node in moved)


@pytest.mark.parametrize("name", CASES)
def test_networks_keep_their_answers(name: str, tmp_path: Path) -> None:
    module, example, transposes = CASES[name]
    done = CONVERTER.convert(settle(module), Wishes(layout="nhwc", example=example))
    assert error(done, tmp_path) <= 1e-4
    if transposes is not None:
        assert between_convolutions(done.model) == transposes


@pytest.mark.parametrize("name", ["unet", "normalized"])
def test_in_the_source_s_own_layout_only_the_edges_transpose(name: str, tmp_path: Path) -> None:
    module, example, _ = CASES[name]
    done = CONVERTER.convert(settle(module), Wishes(example=example))
    assert error(done, tmp_path) <= 1e-4
    assert between_convolutions(done.model) == 0
    assert done.model.main.tensors[done.model.main.inputs[0]].shape == (1, 3, 32, 32)


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Linear(4, 3), nn.Dropout()

    def forward(self, x: torch.Tensor, scale: float = 1.0, *, extra: torch.Tensor) -> dict[str, object]:
        y = self.drop(self.layer(x)) * scale
        return {"first": y, "rest": (y + extra, [x.abs()]), "size": x.shape[0], "none": None}


def test_names_follow_arguments_and_keys(tmp_path: Path) -> None:
    module = Named().train()
    extra = torch.ones(3)
    done = CONVERTER.convert(module, Wishes(example=((torch.ones(1, 4), 2.0), {"extra": extra})))
    assert done.model.input_names() == ["x", "extra"]
    assert done.model.output_names() == ["first", "rest_0", "rest_1_0"]
    assert [done.model.main.tensors[i].name for i in done.model.main.inputs] == ["x", "extra"]
    assert any("'size'" in note for note in done.notes)
    assert not any("'none'" in note for note in done.notes)
    assert module.training  # as it was
    assert error(done, tmp_path) <= 1e-4  # without dropout


def exported(folder: Path) -> Path:
    batch = torch.export.Dim("batch", max=64)
    length = torch.export.Dim("length", max=64)
    program = torch.export.export(
        nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU()).eval(),
        (torch.ones(2, 2, 9),),
        dynamic_shapes=({0: batch, 2: length},),
    )
    path = folder / "sequence.pt2"
    torch.export.save(program, path)
    return path


def test_a_file_is_converted_with_its_open_sizes_fixed(tmp_path: Path) -> None:
    path = exported(tmp_path)
    usual = CONVERTER.convert(path, Wishes())
    assert usual.model.main.tensors[usual.model.main.inputs[0]].shape == (1, 2, 9)
    assert sum("is open and became" in note for note in usual.notes) == 2
    assert error(usual, tmp_path) <= 1e-4
    wished = CONVERTER.convert(path, Wishes({"": (3, 2, 12)}))
    assert wished.model.main.tensors[wished.model.main.inputs[0]].shape == (3, 2, 12)
    assert error(wished, tmp_path) <= 1e-4


def test_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = exported(tmp_path)
    with pytest.raises(UsageError, match=r"was exported with the shape \[-1, 2, -1\] and cannot take \[1, 3"):
        CONVERTER.convert(path, Wishes({"": (1, 3, 9)}))
    with pytest.raises(UsageError, match="there is no input 'y'"):
        CONVERTER.convert(path, Wishes({"y": (1, 2, 9)}))


def test_a_live_module_takes_another_size() -> None:
    done = CONVERTER.convert(nn.Conv2d(3, 4, 3), Wishes({"input": (1, 3, 20, 24)}, example=IMAGE))
    assert done.model.main.tensors[done.model.main.outputs[0]].shape == (1, 4, 18, 22)


def test_what_cannot_be_converted_is_one_sentence() -> None:
    with pytest.raises(UsageError, match=r"a module is converted with an example of its inputs; convert"):
        CONVERTER.convert(nn.Linear(2, 2), Wishes())
    with pytest.raises(
        ConvertError, match=r"torch.export cannot trace this module \(RuntimeError: a and b must"
    ):
        CONVERTER.convert(nn.Linear(2, 2), Wishes(example=torch.ones(1, 3)))

    class Antialiased(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.interpolate(x, size=(9, 9), mode="bilinear", antialias=True)

    with pytest.raises(ConvertError, match=r"cannot lower operator aten._upsample_bilinear2d_aa.default"):
        CONVERTER.convert(Antialiased(), Wishes(example=IMAGE))
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        script = torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2))
    with pytest.raises(ConvertError, match="is TorchScript"):
        CONVERTER.convert(script, Wishes(example=torch.ones(1, 2)))


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x * 2


def test_what_is_not_kept_is_told() -> None:
    done = CONVERTER.convert(Counting(), Wishes(example=torch.ones(1, 3)))
    assert "changes of its buffers (calls) are not kept from call to call" in done.notes


def test_half_precision_is_refused() -> None:
    half = nn.Linear(2, 2).half()
    with pytest.raises(
        ConvertError, match=r"computes in float16, for which LiteRT has few operators; export"
    ):
        CONVERTER.convert(half, Wishes(example=torch.ones(1, 2).half()))


def test_the_command_proves_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from sanderling.cli import main

    out = tmp_path / "out.tflite"
    assert not main(["convert", str(exported(tmp_path)), "-o", str(out), "--json"])
    told = json.loads(capfd.readouterr().out)
    assert told["ok"]
    assert told["proof"]["outputs"][0]["name"] == "output"
    assert out.is_file()
