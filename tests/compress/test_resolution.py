"""A model for smaller pictures has the same weights, and what depends on the size is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sanderling as sd
from sanderling.compress.resolution import at_resolution, rows
from sanderling.errors import UsageError
from sanderling.graph.graph import Model
from tests.models import Net, save


def network(rows: int, columns: int, *, pool: str) -> Model:
    """Convolutions, then a mean over the picture: MEAN, or a pool whose window is the picture."""
    net = Net((1, rows, columns, 3), seed=4).conv(8).depthwise(stride=2).conv(12)
    height, width = net.tensors[net.last].shape[1:3]
    if pool == "MEAN":
        axes = net.constant(np.array([1, 2], np.int32), "axes")
        net.op("MEAN", (1, 12), (axes,), "ReducerOptions", keep_dims=False)
    else:
        net.op(
            pool, (1, 1, 1, 12), (), "Pool2DOptions", padding="VALID", stride_w=width, stride_h=height,
            filter_width=width, filter_height=height, fused_activation_function="NONE",
        )  # fmt: skip
        net.reshape(1, 12)
    return net.dense(5).softmax().model()


@pytest.mark.parametrize("pool", ["MEAN", "AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize("pixels", [12, 20, 33])
def test_it_is_the_network_built_for_that_size(tmp_path: Path, pool: str, pixels: int) -> None:
    made = at_resolution(network(16, 24, pool=pool), pixels)
    built = network(pixels, round(24 * pixels / 16), pool=pool)
    assert made.main.tensors[made.main.inputs[0]].shape == built.main.tensors[built.main.inputs[0]].shape
    assert rows(made) == pixels
    x = np.random.default_rng(0).random(built.main.tensors[0].shape, np.float32)
    found = sd.Session(save(made, tmp_path / "made.tflite"))(x)
    wanted = sd.Session(save(built, tmp_path / "built.tflite"))(x)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_channels_may_come_first(tmp_path: Path) -> None:
    """As in a model of PyTorch's that keeps its layout."""
    net = Net((1, 3, 16, 24), seed=4)
    order = net.constant(np.array([0, 2, 3, 1], np.int32), "order")
    net.op("TRANSPOSE", (1, 16, 24, 3), (order,), "TransposeOptions").conv(8)
    axes = net.constant(np.array([1, 2], np.int32), "axes")
    model = net.op("MEAN", (1, 8), (axes,), "ReducerOptions", keep_dims=False).dense(5).model()
    made = at_resolution(model, 12)
    assert made.main.tensors[made.main.inputs[0]].shape == (1, 3, 12, 18)
    x = np.random.default_rng(0).random((1, 3, 12, 18), np.float32)
    assert sd.Session(save(made, tmp_path / "made.tflite"))(x).shape == (1, 5)


def test_a_layer_on_all_pixels_is_named() -> None:
    net = Net((1, 16, 16, 3)).conv(4)
    model = net.reshape(1, 16 * 16 * 4).dense(5).model()
    with pytest.raises(UsageError, match=r"cannot be run on 12 pixels: RESHAPE '\w+' depends on the size"):
        at_resolution(model, 12)


def test_an_answer_of_another_form_is_refused() -> None:
    model = Net((1, 16, 16, 3)).conv(4).model()
    with pytest.raises(UsageError, match=r"would answer \[1, 12, 12, 4\] instead of \[1, 16, 16, 4\]"):
        at_resolution(model, 12)


def test_only_pictures_have_a_resolution() -> None:
    with pytest.raises(UsageError, match=r"has no input of which the resolution could be changed \(input"):
        at_resolution(Net((1, 16)).dense(5).model(), 12)
    with pytest.raises(UsageError, match="2 pixels were asked for, expected at least 8"):
        at_resolution(network(16, 16, pool="MEAN"), 2)


def test_a_search_tries_several_resolutions(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(24):
        plain = rng.integers(0, 255, (1, 1, 3)) * np.ones((40, 40, 1))
        Image.fromarray(plain.astype(np.uint8)).save(folder / f"{number:02}.png")
    path = save(network(32, 32, pool="MEAN"), tmp_path / "net.tflite")
    result = sd.optimize(
        path, folder, mean=0, std=1, resolutions=[16, 32], output=tmp_path / "out", seconds=12, max_drop=0.5
    )
    told = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    names = [trial["name"] for trial in told["trials"]]
    assert any("net-16px" in name for name in names)
    assert not any("net-32px" in name for name in names)  # that is the model itself
    assert result.best is not None
